//! The job records in DynamoDB.
//!
//! One item a job under its number, and one item `counter` from which the numbers come. Every change of state is a
//! conditional write: whoever loses the race is told that the job has [moved](JobsError::Moved).
//!
//! A job that is not [settled](Job::is_settled) has an attribute `unfinished`, by which an index of the table knows it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_dynamo::{from_attribute_value, from_item, to_attribute_value, to_item};

use crate::{
    aws::Failure,
    backoff, clock,
    job::{BadJobId, Job, JobId, Order, Progress, State, TaskToken, Work},
};

type Item = HashMap<String, AttributeValue>;

/// What can go wrong with a job's record.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error("no such job")]
    NoSuchJob(JobId),
    /// Somebody else made the job final, or took it past this state: the caller has to stop.
    #[error("job {} is {} already", .0.id, .0.state)]
    Moved(Box<Job>),
    #[error(transparent)]
    Aws(#[from] Failure),
    #[error("the job numbers are used up: {0}")]
    NoNumberLeft(#[from] BadJobId),
    #[error("the record of job {id} cannot be read: {source}")]
    Unreadable {
        id: String,
        source: serde_dynamo::Error,
    },
    #[error("a record cannot be written: {0}")]
    Unwritable(serde_dynamo::Error),
    #[error("DynamoDB left {0} of the records asked for unread, {1} times in a row")]
    Unprocessed(usize, u32),
}

/// The table of jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// DynamoDB's limit of keys in one BatchGetItem (API reference, BatchGetItem).
const BATCH: usize = 100;

/// How often BatchGetItem may leave keys unprocessed before a list call gives up.
const BATCH_TRIES: u32 = 6;

const COUNTER: &str = "counter";

/// The attribute, and the index that it makes.
const UNFINISHED: &str = "unfinished";

/// How often a write is tried that a transaction on the same record is in the way of.
const CONFLICT_TRIES: u32 = 8;

impl Jobs {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Makes a job of an order: takes the next number, which is `first` in a table that has none yet, and writes the record.
    pub async fn create(&self, order: Order, first: JobId) -> Result<Job, JobsError> {
        let job = Job::new(self.next_id(first).await?, order, clock::now());
        let mut item: Item = to_item(&job).map_err(JobsError::Unwritable)?;
        item.insert(UNFINISHED.to_owned(), AttributeValue::S("yes".to_owned()));
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Err(error) => match error.as_service_error() {
                // Our own write, of which the first answer was lost.
                Some(PutItemError::ConditionalCheckFailedException(refused))
                    if refused.item() == Some(&item) =>
                {
                    Ok(job)
                }
                _ => Err(Failure::of("dynamodb:PutItem")(error).into()),
            },
            Ok(_) => Ok(job),
        }
    }

    async fn next_id(&self, first: JobId) -> Result<JobId, JobsError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(COUNTER.to_owned()))
            .update_expression("SET taken = if_not_exists(taken, :before) + :one")
            .expression_attribute_values(
                ":before",
                AttributeValue::N((first.number() - 1).to_string()),
            )
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(Failure::of("dynamodb:UpdateItem"))?;
        #[derive(serde::Deserialize)]
        struct Counter {
            taken: u64,
        }
        let counter: Counter = read(answer.attributes.unwrap_or_default())?;
        Ok(JobId::new(counter.taken)?)
    }

    /// The job as the last write left it.
    pub async fn get(&self, id: JobId) -> Result<Job, JobsError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(HashMap::from([key(id)])))
            .consistent_read(true)
            .send()
            .await
            .map_err(Failure::of("dynamodb:GetItem"))?;
        read(answer.item.ok_or(JobsError::NoSuchJob(id))?)
    }

    /// Those of the jobs asked for that exist, each as its last write left it. One whose record cannot be read keeps back
    /// none of the others.
    pub async fn get_many(
        &self,
        ids: BTreeSet<JobId>,
    ) -> Result<HashMap<JobId, Result<Job, JobsError>>, JobsError> {
        let ids: Vec<JobId> = ids.into_iter().collect();
        let mut batches = tokio::task::JoinSet::new();
        for batch in ids.chunks(BATCH) {
            let keys = batch.iter().map(|&id| HashMap::from([key(id)])).collect();
            let jobs = self.clone();
            batches.spawn(async move { jobs.get_batch(keys).await });
        }
        let mut found = HashMap::with_capacity(ids.len());
        while let Some(batch) = batches.join_next().await {
            let items =
                batch.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
            for item in items {
                found.insert(read_id(&item)?, read(item));
            }
        }
        Ok(found)
    }

    /// BatchGetItem may leave out any part of a batch and asks its callers to come again for it, later each time
    /// (API reference, BatchGetItem, `UnprocessedKeys`).
    async fn get_batch(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, JobsError> {
        let mut items = Vec::with_capacity(keys.len());
        for tried in 0..BATCH_TRIES {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .expect("the only field that must be there, keys, is set");
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send()
                .await
                .map_err(Failure::of("dynamodb:BatchGetItem"))?;
            items.extend(
                answer
                    .responses
                    .unwrap_or_default()
                    .remove(&self.table)
                    .unwrap_or_default(),
            );
            keys = answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table)
                .map(|left| left.keys)
                .unwrap_or_default();
            if keys.is_empty() {
                return Ok(items);
            }
            pause(tried).await;
        }
        Err(JobsError::Unprocessed(keys.len(), BATCH_TRIES))
    }

    /// One page of all jobs, in no order, but for those whose records cannot be read; the second value is where the next
    /// page begins.
    pub async fn page(
        &self,
        from: Option<Item>,
    ) -> Result<(Vec<Result<Job, JobsError>>, Option<Item>), JobsError> {
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .set_exclusive_start_key(from)
            .filter_expression("attribute_exists(#state)")
            .expression_attribute_names("#state", "state")
            .send()
            .await
            .map_err(Failure::of("dynamodb:Scan"))?;
        let items = answer.items.unwrap_or_default().into_iter();
        Ok((items.map(read).collect(), answer.last_evaluated_key))
    }

    /// The jobs that are not settled, in no order. A job may show up a moment after it was made.
    pub async fn unfinished(&self) -> Result<Vec<JobId>, JobsError> {
        let items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(UNFINISHED)
            .key_condition_expression("unfinished = :yes")
            .expression_attribute_values(":yes", AttributeValue::S("yes".to_owned()))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(Failure::of("dynamodb:Query"))?;
        items.iter().map(read_id).collect()
    }

    /// Takes the job to an open state, if it has not gone past it.
    pub async fn advance(&self, id: JobId, to: State, details: &str) -> Result<Job, JobsError> {
        let change = Change::default()
            .set("state", to)?
            .set("details", details)?;
        self.change(id, to.predecessors(), change).await
    }

    /// Ends the job well: `details` is the AMI's id.
    pub async fn succeed(&self, id: JobId, details: &str) -> Result<Job, JobsError> {
        let change = Change::default()
            .set("state", State::Succeeded)?
            .set("details", details)?
            .set("progress", 100)?
            .set("ended", clock::now())?
            .remove("token");
        self.change(id, State::Succeeded.predecessors(), change)
            .await
    }

    /// Ends the job: `details` is the reason, which its user reads.
    pub async fn fail(&self, id: JobId, details: &str) -> Result<Job, JobsError> {
        let change = Change::default()
            .set("state", State::Failed)?
            .set("details", details)?
            .set("ended", clock::now())?;
        self.change(id, State::Failed.predecessors(), change).await
    }

    /// Writes down by which token the job's execution waits for its slot.
    pub async fn set_token(&self, id: JobId, token: &TaskToken) -> Result<Job, JobsError> {
        let change = Change::default().set("token", token)?;
        self.change(id, &[State::Scheduled], change).await
    }

    /// Writes down the last clean-up of a final job, and takes a settled one off the list of the unfinished.
    pub async fn set_cleaned(&self, job: &Job) -> Result<Job, JobsError> {
        let change = Change::default()
            .set("cleaned", job.cleaned)?
            .remove("token");
        let change = match job.is_settled() {
            true => change.remove(UNFINISHED),
            false => change,
        };
        self.change(job.id, &State::FINAL, change).await
    }

    /// Writes down how far the job is. Fails with [`Moved`](JobsError::Moved) once the job is final, which is how a
    /// running step learns of a kill.
    pub async fn set_progress(&self, id: JobId, progress: Progress) -> Result<Job, JobsError> {
        let change = Change::default().set("progress", progress.percent())?;
        self.change(id, &State::OPEN, change).await
    }

    /// Writes down what a step found or made; what is `None` in it stays as the record says.
    pub async fn learn(&self, id: JobId, news: &Work) -> Result<Job, JobsError> {
        self.write_work(id, news, Change::set_attribute).await
    }

    /// Writes down what a step made first. Where another run of the step was earlier, the record stays as it is.
    pub async fn learn_first(&self, id: JobId, news: &Work) -> Result<Job, JobsError> {
        self.write_work(id, news, Change::set_attribute_once).await
    }

    async fn write_work(
        &self,
        id: JobId,
        news: &Work,
        set: fn(Change, &str, AttributeValue) -> Change,
    ) -> Result<Job, JobsError> {
        let news: Item = to_item(news).map_err(JobsError::Unwritable)?;
        let change = news
            .into_iter()
            .fold(Change::default(), |change, (name, value)| {
                set(change, &format!("work.{name}"), value)
            });
        self.change(id, &State::OPEN, change).await
    }

    /// Writes down how many of the staged bytes a slice has moved; `work.moved` of the answer has those of all slices.
    pub async fn set_moved(&self, id: JobId, slice: u32, bytes: u64) -> Result<Job, JobsError> {
        let change = Change::default().set(&format!("work.moved.{slice}"), bytes)?;
        self.change(id, &State::OPEN, change).await
    }

    /// Counts one more try of a step, as the API shows it.
    pub async fn count_try(&self, id: JobId) -> Result<Job, JobsError> {
        self.change(id, &State::OPEN, Change::default().add("try", 1)?)
            .await
    }

    /// Writes down how far the job is, for one of all that work on it in every `period`, and answers whether that was the
    /// caller, who is then to write the line in the log. `job` is the record as it was a moment ago: its progress does not
    /// go back.
    pub async fn report(
        &self,
        job: &Job,
        progress: Progress,
        period: Duration,
    ) -> Result<bool, JobsError> {
        let percent = progress.percent().max(job.progress.unwrap_or_default());
        let now = clock::now_in_millis();
        let then = now.saturating_sub(period.as_millis() as u64);
        let change = Change::default()
            .set("progress", percent)?
            .set("reported", now)?
            .expect_at_most("reported", then)?;
        match self.change(job.id, &State::OPEN, change).await {
            Ok(_) => Ok(true),
            Err(JobsError::Moved(job)) if !job.state.is_final() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn change(&self, id: JobId, from: &[State], change: Change) -> Result<Job, JobsError> {
        let change = change.expect_state(from);
        for tried in 0.. {
            let answer = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(HashMap::from([key(id)])))
                .update_expression(change.expression())
                .condition_expression(&change.condition)
                .set_expression_attribute_names(Some(change.names.clone()))
                .set_expression_attribute_values(Some(change.values.clone()))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .send()
                .await;
            let error = match answer {
                Ok(answer) => return read(answer.attributes.unwrap_or_default()),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    return Err(moved(id, refused.item().cloned()));
                }
                Some(UpdateItemError::TransactionConflictException(_))
                    if tried < CONFLICT_TRIES =>
                {
                    pause(tried).await;
                }
                _ => return Err(Failure::of("dynamodb:UpdateItem")(error).into()),
            }
        }
        unreachable!("the loop ends by its returns")
    }
}

/// Waits before a write is tried again that others were in the way of.
pub(crate) async fn pause(tried: u32) {
    let pause = backoff::pause(tried, Duration::from_millis(50), Duration::from_secs(6));
    tokio::time::sleep(pause).await;
}

/// What to tell of a condition that the record, as it is, does not meet.
pub(crate) fn moved(id: JobId, item: Option<Item>) -> JobsError {
    match item.map(read) {
        Some(Ok(job)) => JobsError::Moved(Box::new(job)),
        Some(Err(unreadable)) => unreadable,
        None => JobsError::NoSuchJob(id),
    }
}

/// An update expression in the making, with placeholders for every name: many of ours are reserved words.
#[derive(Default)]
pub(crate) struct Change {
    clauses: BTreeMap<&'static str, Vec<String>>,
    pub(crate) condition: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

impl Change {
    pub(crate) fn set(self, path: &str, value: impl Serialize) -> Result<Self, JobsError> {
        let value = to_attribute_value(value).map_err(JobsError::Unwritable)?;
        Ok(self.set_attribute(path, value))
    }

    fn set_attribute(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.clause("SET", format!("{path} = {value}"))
    }

    /// Sets what is not set yet.
    pub(crate) fn set_once(self, path: &str, value: impl Serialize) -> Result<Self, JobsError> {
        let value = to_attribute_value(value).map_err(JobsError::Unwritable)?;
        Ok(self.set_attribute_once(path, value))
    }

    fn set_attribute_once(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.clause("SET", format!("{path} = if_not_exists({path}, {value})"))
    }

    fn add(mut self, path: &str, value: impl Serialize) -> Result<Self, JobsError> {
        let value = to_attribute_value(value).map_err(JobsError::Unwritable)?;
        let (path, value) = (self.name(path), self.value(value));
        Ok(self.clause("ADD", format!("{path} {value}")))
    }

    fn remove(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.clause("REMOVE", path)
    }

    fn clause(mut self, verb: &'static str, change: String) -> Self {
        self.clauses.entry(verb).or_default().push(change);
        self
    }

    /// Only a record in one of these states is changed.
    pub(crate) fn expect_state(mut self, from: &[State]) -> Self {
        self.names.insert("#state".to_owned(), "state".to_owned());
        let allowed: Vec<String> = from.iter().map(|state| format!(":{state}")).collect();
        for (placeholder, state) in allowed.iter().zip(from) {
            let state = AttributeValue::S(state.to_string());
            self.values.insert(placeholder.clone(), state);
        }
        self.expect(format!("#state IN ({})", allowed.join(", ")))
    }

    /// Only a record that has no more there, or nothing, is changed.
    fn expect_at_most(mut self, path: &str, most: impl Serialize) -> Result<Self, JobsError> {
        let most = to_attribute_value(most).map_err(JobsError::Unwritable)?;
        let (path, most) = (self.name(path), self.value(most));
        Ok(self.expect(format!(
            "(attribute_not_exists({path}) OR {path} <= {most})"
        )))
    }

    fn expect(mut self, condition: String) -> Self {
        self.condition = match self.condition.is_empty() {
            true => condition,
            false => format!("{} AND {condition}", self.condition),
        };
        self
    }

    pub(crate) fn expression(&self) -> String {
        self.clauses
            .iter()
            .map(|(verb, changes)| format!("{verb} {}", changes.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn name(&mut self, path: &str) -> String {
        path.split('.')
            .map(|name| {
                let placeholder = format!("#n{}", self.names.len());
                self.names.insert(placeholder.clone(), name.to_owned());
                placeholder
            })
            .collect::<Vec<_>>()
            .join(".")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

pub(crate) fn key(id: JobId) -> (String, AttributeValue) {
    ("id".to_owned(), AttributeValue::S(id.to_string()))
}

fn read<T: DeserializeOwned>(item: Item) -> Result<T, JobsError> {
    let id = item
        .get("id")
        .and_then(|id| id.as_s().ok())
        .cloned()
        .unwrap_or_default();
    from_item(item).map_err(|source| JobsError::Unreadable { id, source })
}

/// The number of the job that an item is the record of.
fn read_id(item: &Item) -> Result<JobId, JobsError> {
    let id = item.get("id").cloned();
    let id = id.unwrap_or(AttributeValue::Null(true));
    from_attribute_value(id.clone()).map_err(|source| JobsError::Unreadable {
        id: format!("{id:?}"),
        source,
    })
}
