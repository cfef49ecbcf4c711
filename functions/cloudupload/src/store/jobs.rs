//! The job records.
//!
//! One item a job under its number, and one item `counter` from which the numbers come. Every change of state is a
//! conditional write: a caller that loses the race is told that the job is [superseded](StoreError::Superseded).
//!
//! A job that is not [settled](Job::is_settled) has an attribute `unfinished`, by which an index of the table knows it.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use serde_dynamo::to_item;

use super::{
    CONFLICTS, Item, Outbox, StoreError, key, projection::Projection, read, read_id, superseded,
    transition::Transition, update::UpdateExpression,
};
use crate::{
    aws::Failure,
    clock::{self, Timestamp},
    job::{
        Artifacts, Creator, Intent, Job, JobId, JobSummary, Owner, Progress, State, Subject,
        TaskToken, UploadRequest, Usage,
    },
    retry::RetryBudget,
};

/// The table of jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub(super) client: Client,
    pub(super) table: String,
    /// The events of changes of jobs' states.
    pub(super) outbox: Outbox,
}

/// DynamoDB's limit of keys in one BatchGetItem (API reference, BatchGetItem).
const BATCH: usize = 100;

/// Batches that are read at the same time: items take several times the memory that a job takes.
const BATCHES: usize = 16;

/// Attempts at a batch of which BatchGetItem leaves keys unprocessed.
const UNPROCESSED: RetryBudget = RetryBudget {
    attempts: 6,
    first: Duration::from_millis(50),
    longest: Duration::from_secs(6),
};

const COUNTER: &str = "counter";

/// The attribute, and the index that it makes.
pub(super) const UNFINISHED: &str = "unfinished";

/// The attribute that says whose a job is, and the index that it makes.
pub(super) const OWNER: &str = "owner";

/// The job's number, as a number, by which that index is sorted.
pub(super) const NUMBER: &str = "number";

/// The attribute's value.
pub(super) fn unfinished() -> AttributeValue {
    AttributeValue::S("yes".to_owned())
}

impl Jobs {
    pub fn new(client: Client, table: String, outbox: Outbox) -> Self {
        Self {
            client,
            table,
            outbox,
        }
    }

    /// Creates a job: takes the next number, which is `first` in a table that has none yet, and writes the record.
    pub async fn create(
        &self,
        request: UploadRequest,
        creator: Creator,
        first: JobId,
    ) -> Result<Job, StoreError> {
        let id = self.next_id(first).await?;
        let job = Job {
            caller: creator.caller,
            owner: Some(creator.owner),
            ..Job::new(id, request, Timestamp::now())
        };
        self.transition(job.id, Transition::New(&job)).await
    }

    /// Creates a job that has failed: nothing is left to do for it.
    pub async fn create_refused(
        &self,
        subject: Subject,
        reason: String,
        creator: Creator,
        first: JobId,
    ) -> Result<JobSummary, StoreError> {
        let id = self.next_id(first).await?;
        let job = JobSummary::refused(id, subject, reason, creator, Timestamp::now());
        self.put_refused(&job).await?;
        Ok(job)
    }

    async fn next_id(&self, first: JobId) -> Result<JobId, StoreError> {
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
    pub async fn get(&self, id: JobId) -> Result<Job, StoreError> {
        self.get_as(id).await
    }

    /// The same of any job, one that was refused included.
    pub async fn summary(&self, id: JobId) -> Result<JobSummary, StoreError> {
        self.get_as(id).await
    }

    async fn get_as<T: DeserializeOwned>(&self, id: JobId) -> Result<T, StoreError> {
        read(self.item(id).await?)
    }

    pub(super) async fn item(&self, id: JobId) -> Result<Item, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(Failure::of("dynamodb:GetItem"))?;
        answer.item.ok_or(StoreError::NoSuchJob(id))
    }

    /// Those of these jobs that exist, each as its last write left it. A record that cannot be read is an error of its own,
    /// and does not keep back the others.
    pub async fn get_many(
        &self,
        ids: BTreeSet<JobId>,
    ) -> Result<HashMap<JobId, Result<Job, StoreError>>, StoreError> {
        self.get_many_as(ids, None).await
    }

    /// The same of any jobs, those that were refused included.
    pub async fn summaries(
        &self,
        ids: BTreeSet<JobId>,
    ) -> Result<HashMap<JobId, Result<JobSummary, StoreError>>, StoreError> {
        let summary = Projection::of(&JobSummary::ATTRIBUTES);
        self.get_many_as(ids, Some(&summary)).await
    }

    pub(super) async fn get_many_as<T: DeserializeOwned>(
        &self,
        ids: BTreeSet<JobId>,
        part: Option<&Projection>,
    ) -> Result<HashMap<JobId, Result<T, StoreError>>, StoreError> {
        let ids: Vec<JobId> = ids.into_iter().collect();
        let batches = ids.chunks(BATCH).map(|batch| {
            let keys = batch.iter().copied().map(key).collect();
            let jobs = self.clone();
            async move { jobs.get_batch(keys, part).await }
        });
        let batches: Vec<_> = batches.collect();
        let mut batches = stream::iter(batches).buffer_unordered(BATCHES);
        let mut found = HashMap::with_capacity(ids.len());
        while let Some(items) = batches.try_next().await? {
            for item in items {
                found.insert(read_id(&item)?, read(item));
            }
        }
        Ok(found)
    }

    /// The items of some keys, or a part of each. BatchGetItem may leave out some of a batch, which are then to be asked
    /// for again, later each time (API reference, BatchGetItem, `UnprocessedKeys`).
    async fn get_batch(
        &self,
        mut keys: Vec<Item>,
        part: Option<&Projection>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        let mut attempts = UNPROCESSED.start();
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .set_projection_expression(part.map(|part| part.expression.clone()))
                .set_expression_attribute_names(part.map(|part| part.names.clone()))
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
            if !attempts.again().await {
                return Err(StoreError::Unprocessed(keys.len(), UNPROCESSED.attempts));
            }
        }
    }

    /// One page of all jobs, in no order; the second value is where the next page begins.
    pub async fn page(
        &self,
        from: Option<Item>,
    ) -> Result<(Vec<Result<JobSummary, StoreError>>, Option<Item>), StoreError> {
        let summary = Projection::of(&JobSummary::ATTRIBUTES);
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .set_exclusive_start_key(from)
            .filter_expression("attribute_exists(#state)")
            .projection_expression(summary.expression)
            .set_expression_attribute_names(Some(summary.names))
            .send()
            .await
            .map_err(Failure::of("dynamodb:Scan"))?;
        let items = answer.items.unwrap_or_default().into_iter();
        Ok((items.map(read).collect(), answer.last_evaluated_key))
    }

    /// The numbers of an owner's jobs, the newest first, `limit` at most, of those before `before` if one is given. A job may
    /// show up a moment after it was made. Jobs of the release before have no owner in their record, and are missing.
    pub async fn owned(
        &self,
        owner: &Owner,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<JobId>, StoreError> {
        let mut condition = "#owner = :owner".to_owned();
        let mut values = Item::from([(":owner".to_owned(), AttributeValue::S(owner.to_string()))]);
        if let Some(before) = before {
            condition.push_str(" AND #number < :before");
            let before = AttributeValue::N(before.number().to_string());
            values.insert(":before".to_owned(), before);
        }
        let names = before.map(|_| ("#number".to_owned(), NUMBER.to_owned()));
        let names = names
            .into_iter()
            .chain([("#owner".to_owned(), OWNER.to_owned())]);
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(OWNER)
            .key_condition_expression(condition)
            .set_expression_attribute_names(Some(names.collect()))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(Failure::of("dynamodb:Query"))?;
        answer
            .items
            .unwrap_or_default()
            .iter()
            .map(read_id)
            .collect()
    }

    /// The jobs that are not settled, in no order. A job may show up a moment after it was made.
    pub async fn unfinished(&self) -> Result<Vec<JobId>, StoreError> {
        let items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(UNFINISHED)
            .key_condition_expression("unfinished = :yes")
            .expression_attribute_values(":yes", unfinished())
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(Failure::of("dynamodb:Query"))?;
        items.iter().map(read_id).collect()
    }

    /// Takes the job to an open state, if it has not gone past it.
    pub async fn advance(&self, id: JobId, to: State, details: &str) -> Result<Job, StoreError> {
        self.change_state(id, to, details, UpdateExpression::default())
            .await
    }

    /// Ends the job well: `details` is the AMI's id.
    pub async fn succeed(&self, id: JobId, details: &str) -> Result<Job, StoreError> {
        let also = UpdateExpression::default()
            .set("progress", 100)?
            .remove("token");
        self.change_state(id, State::Succeeded, details, also).await
    }

    /// Ends the job: `details` is the reason, which its user reads.
    pub async fn fail(&self, id: JobId, details: &str) -> Result<Job, StoreError> {
        self.change_state(id, State::Failed, details, UpdateExpression::default())
            .await
    }

    async fn change_state(
        &self,
        id: JobId,
        state: State,
        details: &str,
        also: UpdateExpression,
    ) -> Result<Job, StoreError> {
        let transition = Transition::To {
            state,
            details,
            also,
            slot: None,
        };
        self.transition(id, transition).await
    }

    /// Records the task token by which the job's execution waits for its file.
    pub async fn set_push_token(&self, id: JobId, token: &TaskToken) -> Result<Job, StoreError> {
        let update = UpdateExpression::default().set("token", token)?;
        self.update_in(id, &[State::Receiving], update).await
    }

    /// Records the task token by which the job's execution waits for its slot.
    pub(super) async fn set_token(&self, id: JobId, token: &TaskToken) -> Result<Job, StoreError> {
        let update = UpdateExpression::default().set("token", token)?;
        self.update_in(id, &[State::Scheduled], update).await
    }

    /// Records the last clean-up of a final job, and takes a settled one off the list of the unfinished.
    pub async fn set_cleaned(&self, job: &Job) -> Result<Job, StoreError> {
        let update = UpdateExpression::default()
            .set("cleaned", job.cleaned)?
            .remove("token");
        let update = match job.is_settled() {
            true => update.remove(UNFINISHED),
            false => update,
        };
        self.update_in(job.id, &State::FINAL, update).await
    }

    /// Records when the image of a job that has succeeded was removed. Fails with [`Superseded`](StoreError::Superseded) if
    /// that is recorded already.
    pub async fn set_image_removed(&self, id: JobId, at: Timestamp) -> Result<Job, StoreError> {
        let update = UpdateExpression::default()
            .set("image_removed", at)?
            .expect_absent("image_removed");
        self.update_in(id, &[State::Succeeded], update).await
    }

    /// Records how far the job is. Fails with [`Superseded`](StoreError::Superseded) once the job is final, which is how a
    /// running step learns of a kill.
    pub async fn set_progress(&self, id: JobId, progress: Progress) -> Result<Job, StoreError> {
        let update = UpdateExpression::default().set("progress", progress.percent())?;
        self.update_in(id, &State::OPEN, update).await
    }

    /// Records that something of this kind is about to be made. The time of the first intent stays, however many times the
    /// step runs.
    pub async fn intend(&self, id: JobId, intent: Intent) -> Result<Job, StoreError> {
        let field = format!("work.{}", intent.field());
        let update = UpdateExpression::default().set_once(&field, Timestamp::now())?;
        self.update_in(id, &State::OPEN, update).await
    }

    /// Records what a step found or made; what is `None` in the update stays as it is.
    pub async fn record(&self, id: JobId, update: &Artifacts) -> Result<Job, StoreError> {
        let update = setting_fields(update, UpdateExpression::set_attribute)?;
        self.update_in(id, &State::OPEN, update).await
    }

    /// Records what a step made first. What an earlier run of the step has recorded stays.
    pub async fn record_once(&self, id: JobId, update: &Artifacts) -> Result<Job, StoreError> {
        let update = setting_fields(update, UpdateExpression::set_attribute_once)?;
        self.update_in(id, &State::OPEN, update).await
    }

    /// Records how many of the staged bytes a slice has transferred; the answer has those of all slices.
    pub async fn set_transferred(
        &self,
        id: JobId,
        slice: u32,
        bytes: u64,
    ) -> Result<Job, StoreError> {
        let update = UpdateExpression::default().set(&format!("work.moved.{slice}"), bytes)?;
        self.update_in(id, &State::OPEN, update).await
    }

    /// Counts one more break of the download, which the API shows as `try`.
    pub async fn count_try(&self, id: JobId) -> Result<Job, StoreError> {
        let update = UpdateExpression::default().add("try", 1)?;
        self.update_in(id, &State::OPEN, update).await
    }

    /// Adds to what the job has used, whatever its state.
    pub async fn add_usage(&self, id: JobId, usage: &Usage) -> Result<Job, StoreError> {
        let numbers: Item = to_item(usage).map_err(StoreError::Unwritable)?;
        let update = UpdateExpression::default().expect_item();
        let update = numbers.into_iter().fold(update, |update, (name, number)| {
            update.add_attribute(&name, number)
        });
        self.update(id, update).await
    }

    /// Records how far the job is, for one of all callers in every `period`. Answers whether this was the caller, who is
    /// then to write the line in the log. `job` is the record as it was a moment ago: its progress does not go back.
    pub async fn claim_report(
        &self,
        job: &Job,
        progress: Progress,
        period: Duration,
    ) -> Result<bool, StoreError> {
        let percent = progress.percent().max(job.progress.unwrap_or_default());
        let now = clock::now_in_millis();
        let then = now.saturating_sub(period.as_millis() as u64);
        let update = UpdateExpression::default()
            .set("progress", percent)?
            .set("reported", now)?
            .expect_at_most("reported", then)?;
        match self.update_in(job.id, &State::OPEN, update).await {
            Ok(_) => Ok(true),
            Err(StoreError::Superseded(job)) if !job.state.is_final() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn update_in(
        &self,
        id: JobId,
        states: &[State],
        update: UpdateExpression,
    ) -> Result<Job, StoreError> {
        self.update(id, update.expect_state(states)).await
    }

    /// Updates the record under the update's condition, and gives it as it is then.
    async fn update(&self, id: JobId, update: UpdateExpression) -> Result<Job, StoreError> {
        let mut attempts = CONFLICTS.start();
        loop {
            let answer = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(id)))
                .update_expression(update.expression())
                .condition_expression(&update.condition)
                .set_expression_attribute_names(Some(update.names.clone()))
                .set_expression_attribute_values(Some(update.values.clone()))
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
                    return Err(superseded(id, refused.item().cloned()));
                }
                Some(UpdateItemError::TransactionConflictException(_))
                    if attempts.again().await => {}
                _ => return Err(Failure::of("dynamodb:UpdateItem")(error).into()),
            }
        }
    }
}

/// Sets the fields of the record that are set in `artifacts`.
fn setting_fields(
    artifacts: &Artifacts,
    set: fn(UpdateExpression, &str, AttributeValue) -> UpdateExpression,
) -> Result<UpdateExpression, StoreError> {
    let fields: Item = to_item(artifacts).map_err(StoreError::Unwritable)?;
    let update = UpdateExpression::default();
    Ok(fields.into_iter().fold(update, |update, (name, value)| {
        set(update, &format!("work.{name}"), value)
    }))
}
