//! The slots, and the queue for them, in DynamoDB.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Stack, executions::execution_arn};
use crate::{JobId, environment::env_var};

/// The jobs that have a slot or wait for one, with their users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    pub held: BTreeMap<JobId, String>,
    pub waiting: BTreeMap<JobId, String>,
}

impl Queue {
    pub fn contains(&self, id: JobId) -> bool {
        self.held.contains_key(&id) || self.waiting.contains_key(&id)
    }
}

impl Stack {
    pub async fn queue(&self) -> Queue {
        let items = self
            .dynamodb
            .scan()
            .table_name(env_var("SLOTS_TABLE"))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        let mut queue = Queue::default();
        for item in items.expect("DynamoDB answers") {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
            let job = item["job"].as_n().ok().and_then(|job| job.parse().ok());
            let (Some(job), Some(user)) = (job, text("user")) else {
                continue; // the count of the grants
            };
            match text("kind").map(String::as_str) {
                Some("held") => queue.held.insert(job, user.clone()),
                _ => queue.waiting.insert(job, user.clone()),
            };
        }
        queue
    }

    /// Whether the job waits for a slot; the queue if not.
    pub async fn waits_for_slot(&self, id: JobId) -> Result<(), Queue> {
        match self.queue().await {
            queue if queue.waiting.contains_key(&id) => Ok(()),
            queue => Err(queue),
        }
    }

    /// Whether the job has a slot; the queue if not.
    pub async fn has_slot(&self, id: JobId) -> Result<(), Queue> {
        match self.queue().await {
            queue if queue.held.contains_key(&id) => Ok(()),
            queue => Err(queue),
        }
    }

    /// Gives the job a slot, past what grants them.
    pub async fn put_slot(&self, id: JobId, user: &str) {
        let put = self
            .dynamodb
            .put_item()
            .table_name(env_var("SLOTS_TABLE"))
            .set_item(Some(slot_key(id)))
            .item("user", AttributeValue::S(user.to_owned()))
            .item("execution", AttributeValue::S(execution_arn(id)))
            .item("since", AttributeValue::N("1".to_owned()));
        put.send().await.expect("DynamoDB answers");
    }

    /// Makes the grant of the job's slot this many seconds older.
    pub async fn age_slot(&self, id: JobId, seconds: u64) {
        let update = self
            .dynamodb
            .update_item()
            .table_name(env_var("SLOTS_TABLE"))
            .set_key(Some(slot_key(id)))
            .update_expression("SET since = since - :seconds")
            .expression_attribute_values(":seconds", AttributeValue::N(seconds.to_string()));
        update.send().await.expect("the job has a slot");
    }
}

fn slot_key(id: JobId) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("kind".to_owned(), AttributeValue::S("held".to_owned())),
        ("job".to_owned(), AttributeValue::N(id.to_string())),
    ])
}
