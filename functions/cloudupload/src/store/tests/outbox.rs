use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use fake_endpoint::{
    Answer, Call, Endpoint,
    dynamodb::{self, plain_item},
};
use serde_json::{Value, json};

use super::{event_of, id, item, jobs_at, taken};
use crate::{
    clock::Timestamp,
    job::{Job, State, StateChange},
    store::{Jobs, Outbox},
};

const NOW: Timestamp = Timestamp::from_secs(1_795_446_000);

/// Tables with job 1, which is killed, and a bus that answers like that.
fn killing(bus: impl Fn(&Call) -> Answer + Send + 'static) -> Endpoint {
    Endpoint::new(move |call| match call.name.as_str() {
        "GetItem" => Answer::json(&json!({"Item": item(1, State::Failed)})),
        "PutEvents" => bus(call),
        _ => Answer::json(&json!({})),
    })
}

#[tokio::test]
async fn an_event_is_written_with_the_state_and_sent_after_it() {
    let endpoint = killing(|_| taken());
    let before = Timestamp::now();
    jobs_at(&endpoint).fail(id(1), Job::KILLED).await.unwrap();
    assert_eq!(
        endpoint.names(),
        ["TransactWriteItems", "GetItem", "PutEvents", "DeleteItem"]
    );
    let transaction = endpoint.calls()[0].json();
    let put = &transaction["TransactItems"][1]["Put"];
    assert_eq!(put["TableName"], "outbox");
    let written = plain_item(&put["Item"]);
    let at = written["at"].as_u64().unwrap();
    assert!((before..=Timestamp::now()).contains(&Timestamp::from_secs(at)));
    let expected = json!({
        "job": 1, "sequence": 5, "state": "failed", "details": "killed", "at": at, "expires": at + 7 * 86_400,
    });
    assert_eq!(written, expected);

    let entry = endpoint.calls()[2].json()["Entries"][0].clone();
    assert_eq!(entry["Source"], "obs.cloudupload");
    assert_eq!(entry["DetailType"], "Cloud upload job state change");
    assert_eq!(entry["Time"], at);
    let event = event_of(&endpoint);
    assert_eq!(
        (&event["sequence"], &event["reason"]),
        (&json!(5), &json!("killed"))
    );
    let key = json!({"job": {"N": "1"}, "sequence": {"N": "5"}});
    assert_eq!(endpoint.calls()[3].json()["Key"], key);
}

#[tokio::test]
async fn an_event_that_is_not_taken_stays_and_the_change_is_done_all_the_same() {
    let refused = json!({"ErrorCode": "InternalFailure", "ErrorMessage": "trouble"});
    for answer in [
        Answer::new(
            400,
            json!({"__type": "AccessDeniedException", "message": "no"}).to_string(),
        ),
        Answer::json(&json!({"FailedEntryCount": 1, "Entries": [refused]})),
    ] {
        let endpoint = killing(move |_| answer.clone());
        let job = jobs_at(&endpoint).fail(id(1), Job::KILLED).await.unwrap();
        assert_eq!(job.state, State::Failed);
        assert_eq!(
            endpoint.names(),
            ["TransactWriteItems", "GetItem", "PutEvents"]
        );
    }
}

#[tokio::test]
async fn an_event_bus_that_is_silent_holds_nobody_up() {
    let endpoint = killing(|_| Answer::never());
    let began = Instant::now();
    jobs_at(&endpoint).fail(id(1), Job::KILLED).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// DynamoDB knows a transaction again by its token.
#[tokio::test]
async fn a_change_whose_answer_was_lost_is_sent_again_as_the_same_one() {
    let mut is_lost = true;
    let endpoint = Endpoint::new(move |call| match call.name.as_str() {
        "TransactWriteItems" if std::mem::take(&mut is_lost) => {
            call.refusal(500, "InternalServerError", "lost")
        }
        "GetItem" => Answer::json(&json!({"Item": item(1, State::Failed)})),
        "PutEvents" => taken(),
        _ => Answer::json(&json!({})),
    });
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    let config = endpoint.config().to_builder().retry_config(retries).build();
    let outbox = Outbox::new(&config, "outbox".to_owned(), "0a1b".to_owned());
    let jobs = Jobs::new(Client::new(&config), "jobs".to_owned(), outbox);
    jobs.fail(id(1), Job::KILLED).await.unwrap();
    let sent = endpoint.calls_of("TransactWriteItems");
    assert_eq!(sent.len(), 2);
    assert!(sent[0].json()["ClientRequestToken"].is_string());
    assert_eq!(sent[0].json(), sent[1].json());
}

/// A change that came about so many seconds ago, as it lies in the outbox.
fn unsent(job: u64, seconds: u64) -> Value {
    let at = Timestamp::from_secs(NOW.as_secs() - seconds);
    let change = StateChange::new(id(job), State::Receiving, "", at);
    dynamodb::item(&serde_json::to_value(change).unwrap())
}

/// An outbox with these items, the records of all jobs but 99, and a bus that answers like that.
fn outbox_of(items: Vec<Value>, bus: impl Fn(&Call) -> Answer + Send + 'static) -> Endpoint {
    Endpoint::new(move |call| match call.name.as_str() {
        "Scan" => Answer::json(&json!({ "Items": items })),
        "BatchGetItem" => {
            let request = call.json();
            let keys = request["RequestItems"]["jobs"]["Keys"].as_array().unwrap();
            let numbers = keys.iter().map(|key| key["id"]["S"].as_str().unwrap());
            let numbers = numbers.map(|number| number.parse().unwrap());
            let records = numbers.filter(|&number| number != 99);
            let records: Vec<Value> = records
                .map(|number| item(number, State::Uploading))
                .collect();
            Answer::json(&json!({"Responses": {"jobs": records}}))
        }
        "PutEvents" => bus(call),
        "DeleteItem" => Answer::json(&json!({})),
        name => panic!("{name} is not needed"),
    })
}

/// What a bus answers that takes all events but those of one job.
fn all_but(refused: &'static str) -> impl Fn(&Call) -> Answer + Send + 'static {
    move |call| {
        let request = call.json();
        let entries = request["Entries"].as_array().unwrap().iter();
        let results = entries.map(|entry| {
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            match detail["job"] == refused {
                true => json!({"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}),
                false => json!({"EventId": "1"}),
            }
        });
        let results: Vec<Value> = results.collect();
        Answer::json(&json!({ "Entries": results }))
    }
}

#[tokio::test]
async fn what_is_late_is_sent_and_deleted() {
    let endpoint = outbox_of(vec![unsent(1, 29), unsent(2, 30)], all_but("none"));
    let left = jobs_at(&endpoint).send_late_events(NOW).await.unwrap();
    assert_eq!(left, 0);
    assert_eq!(
        endpoint.names(),
        ["Scan", "BatchGetItem", "PutEvents", "DeleteItem"]
    );
    assert_eq!(event_of(&endpoint)["job"], "2");
}

#[tokio::test]
async fn an_empty_outbox_takes_one_call() {
    let endpoint = outbox_of(Vec::new(), all_but("none"));
    assert_eq!(jobs_at(&endpoint).send_late_events(NOW).await.unwrap(), 0);
    assert_eq!(endpoint.names(), ["Scan"]);
}

#[tokio::test]
async fn what_cannot_be_sent_keeps_back_nothing_else() {
    let mut items: Vec<Value> = (1..=21).map(|job| unsent(job, 60)).collect();
    items.push(unsent(99, 60));
    items.push(json!({"job": {"N": "1"}, "sequence": {"N": "9"}}));
    let endpoint = outbox_of(items, all_but("7"));
    let left = jobs_at(&endpoint).send_late_events(NOW).await.unwrap();
    assert_eq!(
        left, 3,
        "the refused, the one without a record, the unreadable"
    );
    let sizes = endpoint.calls_of("PutEvents").into_iter();
    let sizes = sizes.map(|call| call.json()["Entries"].as_array().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [10, 10, 1]);
    assert_eq!(endpoint.calls_of("DeleteItem").len(), 20);
}

#[tokio::test]
async fn a_bus_in_trouble_is_asked_once_in_a_sweep() {
    let items = (1..=21).map(|job| unsent(job, 60)).collect();
    let endpoint = outbox_of(items, |call| {
        call.refusal(400, "AccessDeniedException", "no")
    });
    let left = jobs_at(&endpoint).send_late_events(NOW).await.unwrap();
    assert_eq!(left, 21);
    assert_eq!(endpoint.calls_of("PutEvents").len(), 1);
}
