use fake_endpoint::{
    Answer, Endpoint,
    dynamodb::{cancelled, expression},
};
use serde_json::{Value, json};

use super::{id, item, jobs_at};
use crate::{
    clock::Timestamp,
    job::{State, TaskToken},
    store::{Grant, Queued, Slots, StoreError, Waiter},
};

const IN_ORDER: (&str, Option<&Value>) = ("None", None);
const FAILED: (&str, Option<&Value>) = ("ConditionalCheckFailed", None);

fn slots_at(endpoint: &Endpoint) -> Slots {
    Slots::new(jobs_at(endpoint), "slots".to_owned())
}

fn waiter() -> Waiter {
    Waiter {
        job: id(1),
        user: "tom".parse().unwrap(),
        owner: None,
        execution: "arn:x".to_owned(),
        since: Timestamp::from_secs(1795445844),
        places: vec!["123456789012/eu-west-1".parse().unwrap()],
    }
}

/// Tables that answer each transaction like that, and have job 1, which is uploading.
fn answering(mut transaction: impl FnMut() -> Answer + Send + 'static) -> Endpoint {
    Endpoint::new(move |call| match call.name.as_str() {
        "TransactWriteItems" => transaction(),
        "GetItem" => Answer::json(&json!({"Item": item(1, State::Uploading)})),
        _ => Answer::json(&json!({"Attributes": item(1, State::Scheduled)})),
    })
}

fn done() -> Answer {
    Answer::json(&json!({}))
}

/// The parts of the one transaction.
fn parts(endpoint: &Endpoint) -> Vec<Value> {
    let calls = endpoint.calls_of("TransactWriteItems");
    assert_eq!(calls.len(), 1);
    calls[0].json()["TransactItems"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_with_a_slot_begins() {
    let endpoint = answering(done);
    let job = slots_at(&endpoint)
        .begin(id(1), "uploading image")
        .await
        .unwrap();
    assert_eq!(job.state, State::Uploading);
    assert_eq!(endpoint.names(), ["TransactWriteItems", "GetItem"]);
    let [record, slot] = [0, 1].map(|part| parts(&endpoint)[part]["Update"].clone());
    assert_eq!(
        expression(&record, "ConditionExpression"),
        r#"state IN ("scheduled", "uploading")"#
    );
    let update = expression(&record, "UpdateExpression");
    assert!(
        update.starts_with("SET work.upload_began = if_not_exists(work.upload_began, ")
            && update.ends_with(r#"state = "uploading", details = "uploading image""#),
        "{update}"
    );
    assert_eq!(
        slot["Key"],
        json!({"kind": {"S": "held"}, "job": {"N": "1"}})
    );
    assert_eq!(slot["ConditionExpression"], "attribute_exists(job)");
}

#[tokio::test]
async fn a_job_without_a_slot_does_not_begin() {
    let endpoint = answering(|| cancelled(&[IN_ORDER, FAILED]));
    let begun = slots_at(&endpoint).begin(id(1), "x").await;
    assert!(
        matches!(begun, Err(StoreError::NotHeld(job)) if job == id(1)),
        "{begun:?}"
    );
}

#[tokio::test]
async fn a_final_job_does_not_begin_and_is_told() {
    let endpoint = answering(|| {
        let killed = item(1, State::Failed);
        cancelled(&[("ConditionalCheckFailed", Some(&killed)), FAILED])
    });
    let begun = slots_at(&endpoint).begin(id(1), "x").await;
    assert!(
        matches!(&begun, Err(StoreError::Superseded(job)) if job.state == State::Failed),
        "{begun:?}"
    );
    assert_eq!(endpoint.names(), ["TransactWriteItems"]);
}

#[tokio::test]
async fn a_grant_is_given_overtaken_or_comes_too_late() {
    let not_waiting = [IN_ORDER, FAILED, IN_ORDER, IN_ORDER];
    let not_scheduled = [IN_ORDER, IN_ORDER, IN_ORDER, FAILED];
    // An overtaken grant for the same job finds it gone from the queue too.
    let overtaken = [FAILED, FAILED, FAILED, IN_ORDER];
    for (reasons, outcome) in [
        (None, Grant::Given),
        (Some(not_waiting), Grant::Gone),
        (Some(not_scheduled), Grant::Gone),
        (Some(overtaken), Grant::Overtaken),
    ] {
        let endpoint = answering(move || reasons.map_or_else(done, |reasons| cancelled(&reasons)));
        assert_eq!(
            slots_at(&endpoint).grant(&waiter(), 5).await.unwrap(),
            outcome
        );
        assert_eq!(endpoint.names(), ["TransactWriteItems"]);
    }
}

#[tokio::test]
async fn a_grant_counts_the_turn_and_moves_the_job_from_the_queue_to_the_slots() {
    for (turn, condition) in [(0, "attribute_not_exists(number)"), (5, "number = 5")] {
        let endpoint = answering(done);
        slots_at(&endpoint).grant(&waiter(), turn).await.unwrap();
        let parts = parts(&endpoint);
        let turned = &parts[0]["Update"];
        assert_eq!(expression(turned, "ConditionExpression"), condition);
        assert_eq!(
            expression(turned, "UpdateExpression"),
            format!("SET number = {}", turn + 1)
        );
        assert_eq!(parts[1]["Delete"]["Key"]["kind"]["S"], "waiting");
        assert_eq!(
            parts[1]["Delete"]["ConditionExpression"],
            "attribute_exists(job)"
        );
        assert_eq!(parts[2]["Put"]["Item"]["kind"]["S"], "held");
        assert_eq!(
            parts[2]["Put"]["Item"]["places"],
            json!({"L": [{"S": "123456789012/eu-west-1"}]})
        );
        assert_eq!(
            parts[2]["Put"]["ConditionExpression"],
            "attribute_not_exists(job)"
        );
        assert_eq!(
            expression(&parts[3]["ConditionCheck"], "ConditionExpression"),
            r#"state IN ("scheduled")"#
        );
    }
}

#[tokio::test]
async fn a_transaction_in_conflict_with_another_is_tried_again_and_then_given_up() {
    for (conflicts, calls) in [(2, 3), (20, 11)] {
        let mut left = conflicts;
        let endpoint = answering(move || {
            if left == 0 {
                return done();
            }
            left -= 1;
            cancelled(&[("TransactionConflict", None), IN_ORDER, IN_ORDER, IN_ORDER])
        });
        let granted = slots_at(&endpoint).grant(&waiter(), 5).await;
        assert_eq!(endpoint.names().len(), calls);
        match granted {
            Ok(granted) => assert_eq!((granted, conflicts), (Grant::Given, 2)),
            Err(StoreError::Aws(failure)) => assert!(failure.transient && conflicts == 20),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_slot_of_a_job_that_is_not_final_is_not_given_back() {
    let endpoint = answering(|| cancelled(&[IN_ORDER, IN_ORDER, FAILED]));
    let released = slots_at(&endpoint).release(id(1)).await;
    assert!(
        matches!(released, Err(StoreError::NotFinal(job)) if job == id(1)),
        "{released:?}"
    );
    assert_eq!(
        expression(
            &parts(&endpoint)[2]["ConditionCheck"],
            "ConditionExpression"
        ),
        r#"attribute_not_exists(id) OR state IN ("succeeded", "failed")"#
    );

    let endpoint = answering(done);
    slots_at(&endpoint).release(id(1)).await.unwrap();
    let kinds = [0, 1].map(|part| parts(&endpoint)[part]["Delete"]["Key"]["kind"]["S"].clone());
    assert_eq!(kinds, ["held", "waiting"]);
}

#[tokio::test]
async fn a_step_that_waits_again_keeps_the_slot_under_its_new_token() {
    let token = TaskToken("AQC8".to_owned());
    let endpoint = answering(done);
    let queued = slots_at(&endpoint).wait(&waiter(), &token).await.unwrap();
    assert_eq!(
        (queued, endpoint.names()),
        (Queued::Waiting, vec!["TransactWriteItems".to_owned()])
    );

    let endpoint = answering(|| cancelled(&[IN_ORDER, IN_ORDER, FAILED]));
    let queued = slots_at(&endpoint).wait(&waiter(), &token).await.unwrap();
    assert_eq!(queued, Queued::Held);
    assert_eq!(endpoint.names(), ["TransactWriteItems", "UpdateItem"]);
    let update = expression(&endpoint.calls()[1].json(), "UpdateExpression");
    assert_eq!(update, r#"SET token = "AQC8""#);
}

#[tokio::test]
async fn a_table_without_grants_is_at_turn_0() {
    let endpoint = Endpoint::new(|_| Answer::json(&json!({})));
    assert_eq!(slots_at(&endpoint).turn().await.unwrap(), 0);
    let endpoint = Endpoint::new(|_| Answer::json(&json!({"Item": {"number": {"N": "7"}}})));
    assert_eq!(slots_at(&endpoint).turn().await.unwrap(), 7);
}
