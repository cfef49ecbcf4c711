//! The store against a DynamoDB that answers as the real one is documented to.

mod jobs;
mod slots;
mod users;
mod writers;

use aws_sdk_dynamodb::Client;
use fake_endpoint::{Endpoint, dynamodb};
use serde_json::Value;

use super::*;
use crate::{job, job::State, retry};

fn jobs_at(endpoint: &Endpoint) -> Jobs {
    retry::testing::skip_pauses();
    Jobs::new(Client::new(&endpoint.config()), "jobs".to_owned())
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

fn code_of(error: &StoreError) -> Option<&str> {
    match error {
        StoreError::Aws(failure) => failure.code.as_deref(),
        _ => None,
    }
}
