use std::sync::{Arc, Mutex};

use fake_endpoint::{
    Answer, Call, Endpoint,
    dynamodb::{condition_failed, expression, plain_item},
};
use serde_json::{Value, json};

use super::id;
use crate::{
    clock::Moment,
    store::{Ledger, StoreError, WriterId, Writers, Written},
    target::AccountRegion,
};

fn place() -> AccountRegion {
    "123456789012/eu-central-1".parse().unwrap()
}

async fn replace(endpoint: &Endpoint, seen: &Ledger, next: Ledger) -> Result<Written, StoreError> {
    let writers = Writers::new(&endpoint.config(), "writers".to_owned());
    writers.replace(&place(), seen, next).await
}

/// A table that has one item, and keeps to the two conditions that are known.
fn table(item: &Arc<Mutex<Option<Value>>>, call: &Call) -> Answer {
    let (request, mut item) = (call.json(), item.lock().unwrap());
    assert_eq!(request["TableName"], "writers");
    let condition = expression(&request, "ConditionExpression");
    let holds = match item.as_ref().map(plain_item) {
        None => condition == "attribute_not_exists(place)",
        Some(plain) => condition == format!("stamp = {}", plain["stamp"]),
    };
    if !holds {
        return condition_failed(call, item.as_ref());
    }
    *item = Some(request["Item"].clone());
    Answer::json(&json!({}))
}

fn done(written: Result<Written, StoreError>) -> Ledger {
    match written {
        Ok(Written::Done(ledger)) => ledger,
        written => panic!("{written:?}"),
    }
}

fn with_writer(ledger: &Ledger, job: u64) -> Ledger {
    let (mut next, job) = (ledger.clone(), id(job));
    next.claim(&WriterId::new(job, 0), job, 1, Moment::now());
    next
}

#[tokio::test]
async fn two_writers_that_come_at_the_same_moment_both_count() {
    let item = Arc::default();
    let shown = Arc::clone(&item);
    let endpoint = Endpoint::new(move |call| table(&item, call));
    let nobody = Ledger::default();
    let first = done(replace(&endpoint, &nobody, with_writer(&nobody, 1)).await);

    let second = replace(&endpoint, &nobody, with_writer(&nobody, 2)).await;
    assert_eq!(second.unwrap(), Written::Overtaken(first.clone()));
    let both = done(replace(&endpoint, &first, with_writer(&first, 2)).await);
    assert_eq!(both.fair_share(), 400);

    let item = plain_item(shown.lock().unwrap().as_ref().unwrap());
    assert_eq!(item["place"], "123456789012/eu-central-1");
    assert_eq!(item["writers"].as_object().unwrap().len(), 2);
    assert!(item["expires"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_again() {
    let endpoint = Endpoint::new(|call| {
        let written = call.json()["Item"].clone();
        condition_failed(call, Some(&written))
    });
    let nobody = Ledger::default();
    let written = replace(&endpoint, &nobody, with_writer(&nobody, 1)).await;
    assert_eq!(done(written).sum(), 800);
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_begun_anew() {
    let endpoint = Endpoint::new(|call| match call.json()["ConditionExpression"].as_str() {
        Some("stamp = :seen") => condition_failed(call, None),
        _ => Answer::json(&json!({})),
    });
    let nobody = Ledger::default();
    let seen = done(replace(&endpoint, &nobody, with_writer(&nobody, 1)).await);
    let written = replace(&endpoint, &seen, with_writer(&seen, 2)).await;
    assert_eq!(written.unwrap(), Written::Overtaken(nobody));
}

#[tokio::test]
async fn other_failures_are_what_they_are() {
    let item = json!({"place": {"S": "x"}, "stamp": {"S": "not a number"}});
    let endpoint = Endpoint::new(move |call| condition_failed(call, Some(&item)));
    let refused = replace(&endpoint, &Ledger::default(), Ledger::default()).await;
    assert!(
        matches!(refused, Err(StoreError::UnreadableLedger(_))),
        "{refused:?}"
    );

    let endpoint = Endpoint::new(|call| call.refusal(400, "AccessDeniedException", "not allowed"));
    let refused = replace(&endpoint, &Ledger::default(), Ledger::default()).await;
    assert!(
        matches!(&refused, Err(StoreError::Aws(failure)) if !failure.transient),
        "{refused:?}"
    );
}
