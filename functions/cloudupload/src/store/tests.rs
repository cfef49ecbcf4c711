//! The store against a DynamoDB that answers as the real one is documented to.

mod jobs;
mod outbox;
mod slots;
mod users;
mod writers;

use aws_sdk_dynamodb::Client;
use fake_endpoint::{Answer, Endpoint, dynamodb};
use serde_json::{Value, json};

use super::*;
use crate::{job, job::State, retry};

fn jobs_at(endpoint: &Endpoint) -> Jobs {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    let outbox = Outbox::new(&config, "outbox".to_owned(), "0a1b".to_owned());
    Jobs::new(Client::new(&config), "jobs".to_owned(), outbox)
}

fn id(number: u64) -> JobId {
    JobId::new(number).unwrap()
}

/// A job's item as it lies in DynamoDB.
fn item(number: u64, state: State) -> Value {
    let job = Job {
        id: id(number),
        state,
        ..job::example()
    };
    dynamodb::item(&serde_json::to_value(job).unwrap())
}

/// An item that no release wrote.
fn unreadable(number: u64) -> Value {
    let mut item = item(number, State::Created);
    item["state"]["S"] = "uncertain".into();
    item
}

/// EventBridge's answer to one event.
fn taken() -> Answer {
    Answer::json(&json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}))
}

/// The detail of the one event that was sent.
fn event_of(endpoint: &Endpoint) -> Value {
    let calls = endpoint.calls_of("PutEvents");
    assert_eq!(calls.len(), 1);
    let entries = calls[0].json()["Entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    serde_json::from_str(entries[0]["Detail"].as_str().unwrap()).unwrap()
}
