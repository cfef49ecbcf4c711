//! Jobs, slots, the writers of EBS blocks, callers and users in DynamoDB.
//!
//! Five tables: the job records ([`Jobs`]), the slots ([`Slots`]), the writers ([`Writers`]), the callers ([`Callers`]),
//! and the users ([`Users`]). Every change of a slot is one transaction with the record of its job; every change of a job's
//! state goes through `transition`. Writers, callers and users have no part in either.

mod callers;
mod jobs;
mod slots;
#[cfg(test)]
mod tests;
mod transaction;
mod transition;
mod update;
mod users;
mod writers;

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use serde_dynamo::{from_attribute_value, from_item};

pub use self::{
    callers::Callers,
    jobs::Jobs,
    slots::{Grant, Holder, Limits, Queued, Slots, Waiter},
    users::{Change, Users},
    writers::{Claim, HAND_OVER, LEASE, Ledger, PUTS_PER_SECOND, SKEW, WriterId, Writers, Written},
};
use crate::{
    aws::Failure,
    job::{BadJobId, Job, JobId},
    retry::RetryBudget,
};

/// An item of a table.
pub type Item = HashMap<String, AttributeValue>;

/// Attempts at a write that conflicts with a transaction.
const CONFLICTS: RetryBudget = RetryBudget {
    attempts: 11,
    first: Duration::from_millis(50),
    longest: Duration::from_secs(6),
};

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no such job")]
    NoSuchJob(JobId),
    /// Somebody else made the job final, or took it past this state: the caller has to stop.
    #[error("job {} is {} already", .0.id, .0.state)]
    Superseded(Box<Job>),
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("the job numbers are used up: {0}")]
    NoNumberLeft(#[from] BadJobId),
    #[error("the record of job {id} cannot be read: {source}")]
    Unreadable {
        id: String,
        source: serde_dynamo::Error,
    },
    #[error("an item of the slots cannot be read: {0}")]
    UnreadableSlot(serde_dynamo::Error),
    #[error("an item of the writers cannot be read: {0}")]
    UnreadableLedger(serde_dynamo::Error),
    #[error("the item of a caller cannot be read: {0}")]
    UnreadableCaller(serde_dynamo::Error),
    #[error("the item of a user cannot be read: {0}")]
    UnreadableUser(serde_dynamo::Error),
    #[error("a record cannot be written: {0}")]
    Unwritable(serde_dynamo::Error),
    #[error("DynamoDB left {0} of the records asked for unread, {1} times in a row")]
    Unprocessed(usize, u32),
    #[error("job {0} has no slot, and may not upload")]
    NotHeld(JobId),
    #[error("the slot of job {0} cannot be given back: the job is not final")]
    NotFinal(JobId),
}

fn key(id: JobId) -> Item {
    HashMap::from([("id".to_owned(), AttributeValue::S(id.to_string()))])
}

fn read<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let id = item
        .get("id")
        .and_then(|id| id.as_s().ok())
        .cloned()
        .unwrap_or_default();
    from_item(item).map_err(|source| StoreError::Unreadable { id, source })
}

/// The number of the job that an item is the record of.
fn read_id(item: &Item) -> Result<JobId, StoreError> {
    let id = item.get("id").cloned();
    let id = id.unwrap_or(AttributeValue::Null(true));
    from_attribute_value(id.clone()).map_err(|source| StoreError::Unreadable {
        id: format!("{id:?}"),
        source,
    })
}

/// Why the record, as it is, refused a write.
fn superseded(id: JobId, item: Option<Item>) -> StoreError {
    match item.map(read) {
        Some(Ok(job)) => StoreError::Superseded(Box::new(job)),
        Some(Err(unreadable)) => unreadable,
        None => StoreError::NoSuchJob(id),
    }
}
