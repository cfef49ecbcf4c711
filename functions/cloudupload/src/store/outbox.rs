//! The outbox: events of changes of jobs' states that EventBridge may not have yet.
//!
//! A table of its own has one item for each such change, with the job's number and the event's sequence number as its key.
//! The item is written in one transaction with the state, so that there is an event of every change, and of nothing else.
//! The function that changed the state sends the event and deletes the item. Where that failed, the sweeper does both. An event
//! is therefore sent once or more, and one that is sent late comes after those that follow it.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    config::Builder,
    types::{AttributeValue, Put, TransactWriteItem},
};
use futures_util::future::join_all;
use lambda_runtime::tracing;
use serde_dynamo::{from_item, to_item};

use super::{Item, Jobs, StoreError, transaction::built};
use crate::{
    aws::Failure,
    clock::Timestamp,
    event_bus::{self, BusEvent, EventBus, NotTaken},
    job::{DETAIL_TYPE, EventRecord, JobId, SOURCE, StateChange},
};

/// The time that whoever has changed a state has for its event. It is longer than the calls for that take, and than the
/// clocks of two functions differ.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// The time after which DynamoDB may delete an event that EventBridge does not take.
const FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);

/// The table of events that may not be sent yet, and the bus that they are for.
#[derive(Clone, Debug)]
pub struct Outbox {
    client: Client,
    table: String,
    bus: EventBus,
    /// The unique part of the CloudFormation stack's id.
    deployment: String,
}

impl Outbox {
    pub fn new(config: &SdkConfig, table: String, deployment: String) -> Self {
        let client = Builder::from(&event_bus::best_effort(config));
        Self {
            client: Client::from_conf(client.build()),
            table,
            bus: EventBus::new(config),
            deployment,
        }
    }

    /// The part of a transaction that puts the event of a change into the outbox.
    pub(super) fn put_part(&self, change: &StateChange) -> Result<TransactWriteItem, StoreError> {
        let mut item: Item = to_item(change).map_err(StoreError::Unwritable)?;
        let expires = change.at + FORGOTTEN;
        let expires = AttributeValue::N(expires.as_secs().to_string());
        item.extend(key(change));
        item.insert("expires".to_owned(), expires);
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        Ok(TransactWriteItem::builder().put(built(put.build())).build())
    }

    /// Sends the event of a change that has just come about. If it cannot be sent, it stays in the outbox, for the sweeper.
    pub(super) async fn send(&self, change: &StateChange, record: &EventRecord) {
        if let Err(error) = self.send_all(&[(change, record)]).await {
            tracing::warn!(job = %change.job, "an event is not sent yet: {error}");
        }
    }

    /// Sends the events of a batch, and deletes those that are sent. Gives how many are left.
    async fn send_all(&self, batch: &[(&StateChange, &EventRecord)]) -> Result<usize, StoreError> {
        let events = batch.iter().map(|(change, record)| {
            let detail = change.event(record, &self.deployment);
            BusEvent::new(SOURCE, DETAIL_TYPE, change.at, &detail)
        });
        let events = events
            .collect::<Result<_, _>>()
            .map_err(StoreError::UnwritableEvent)?;
        let results = self.bus.put(events).await?;
        let ended = batch.iter().zip(results);
        let ended = ended.map(|((change, _), result)| self.finish(change, result));
        let left = join_all(ended).await;
        Ok(left.into_iter().filter(|&is_left| is_left).count())
    }

    /// Deletes an event that is sent. Answers whether it is left.
    async fn finish(&self, change: &StateChange, result: Result<(), NotTaken>) -> bool {
        let (job, state) = (change.job, change.state);
        if let Err(error) = result {
            tracing::error!(%job, %state, "an event is not sent: {error}");
            return true;
        }
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(change)))
            .send()
            .await
            .map_err(Failure::of("dynamodb:DeleteItem"));
        if let Err(failure) = deleted {
            tracing::warn!(%job, %state, "an event will be sent again: {failure}");
        }
        false
    }

    /// Some of what lies in the outbox, in no order; the second value is where the next page begins.
    async fn page(&self, from: Option<Item>) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(Failure::of("dynamodb:Scan"))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

impl Jobs {
    /// Sends the events that whoever changed a job's state has not sent. Gives how many are left: what EventBridge does not
    /// take keeps back nothing else.
    pub async fn send_late_events(&self, now: Timestamp) -> Result<usize, StoreError> {
        let (mut left, mut from) = (0, None);
        loop {
            // Read without consistency, at half the price: what was written a moment ago is not late.
            let (items, next) = self.outbox.page(from).await?;
            left += self.send_late(items, now).await?;
            if next.is_none() {
                return Ok(left);
            }
            from = next;
        }
    }

    async fn send_late(&self, items: Vec<Item>, now: Timestamp) -> Result<usize, StoreError> {
        let mut left = 0;
        let mut late = Vec::new();
        for item in items {
            match from_item::<_, StateChange>(item) {
                Ok(change) if now.since(change.at) < SENT_WITHIN => {}
                Ok(change) => late.push(change),
                Err(unreadable) => {
                    tracing::error!("an event in the outbox cannot be read: {unreadable}");
                    left += 1;
                }
            }
        }
        if late.is_empty() {
            return Ok(left);
        }
        let jobs: BTreeSet<JobId> = late.iter().map(|change| change.job).collect();
        let records = self.get_many_as::<EventRecord>(jobs, None).await?;
        let mut sendable = Vec::with_capacity(late.len());
        for change in &late {
            match records.get(&change.job) {
                Some(Ok(record)) => sendable.push((change, record)),
                unreadable => {
                    let job = change.job;
                    tracing::error!(%job, "an event has no record to be made of: {unreadable:?}");
                    left += 1;
                }
            }
        }
        let mut batches = sendable.chunks(event_bus::LARGEST_BATCH);
        for batch in batches.by_ref() {
            match self.outbox.send_all(batch).await {
                Ok(left_of_batch) => left += left_of_batch,
                Err(error) => {
                    tracing::error!("events are not sent: {error}");
                    left += batch.len();
                    break;
                }
            }
        }
        // After a request that failed as a whole, the others would fail, too.
        Ok(left + batches.map(<[_]>::len).sum::<usize>())
    }
}

fn key(change: &StateChange) -> Item {
    let number = |number: u32| AttributeValue::N(number.to_string());
    HashMap::from([
        ("job".to_owned(), number(change.job.number())),
        (
            "sequence".to_owned(),
            number(change.state.sequence().into()),
        ),
    ])
}
