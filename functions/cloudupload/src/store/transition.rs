//! Changes of a job's state, and the records of new jobs. The event of each change is written with it, and sent then.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use serde_dynamo::to_item;

use super::{
    Item, Jobs, StoreError,
    jobs::{NUMBER, UNFINISHED, unfinished},
    read, superseded,
    transaction::{Cancelled, built},
    update::UpdateExpression,
};
use crate::{
    clock::Timestamp,
    job::{Job, JobId, JobSummary, State, StateChange},
};

/// A new state for a job, with what is written together with it.
pub(super) enum Transition<'a> {
    /// The job comes into being, as `created`.
    New(&'a Job),
    To {
        state: State,
        /// For the job's user.
        details: &'a str,
        /// Other changes of the record.
        also: UpdateExpression,
        /// A change of the job's slot without which the state does not change.
        slot: Option<Box<TransactWriteItem>>,
    },
}

impl Jobs {
    /// Changes a job's state, if the state before allows that ([`State::predecessors`]). Every change of any job's state
    /// goes through here. Gives the job as it is then. An open state that the job has already is left as it is, because a
    /// step may run twice.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] if the job is past that state; [`StoreError::NotHeld`] if the change of the slot is
    /// refused.
    pub(super) async fn transition(
        &self,
        id: JobId,
        transition: Transition<'_>,
    ) -> Result<Job, StoreError> {
        match transition {
            Transition::New(job) => {
                let mut item: Item = to_item(job).map_err(StoreError::Unwritable)?;
                item.insert(UNFINISHED.to_owned(), unfinished());
                let change = StateChange::new(id, job.state, &job.details, job.created);
                self.put_new(item, &change).await?;
                Ok(job.clone())
            }
            Transition::To {
                state,
                details,
                also,
                slot,
            } => {
                let now = Timestamp::now();
                let update = also
                    .set("state", state)?
                    .set("details", details)?
                    .set_once(entered(state), now)?
                    .expect_state(state.predecessors());
                let change = StateChange::new(id, state, details, now);
                let slot = slot.map(|slot| *slot);
                match self.update_with_event(&change, update, slot).await {
                    Err(StoreError::Superseded(job)) if job.state == state && !state.is_final() => {
                        Ok(*job)
                    }
                    changed => changed,
                }
            }
        }
    }

    /// Writes the record of a job that is final from the start. It is not among the unfinished, so the sweeper never sees
    /// it.
    pub(super) async fn put_refused(&self, job: &JobSummary) -> Result<(), StoreError> {
        let item = to_item(job).map_err(StoreError::Unwritable)?;
        let change = StateChange::new(job.id, job.state, &job.details, job.created);
        self.put_new(item, &change).await
    }

    async fn put_new(&self, mut item: Item, change: &StateChange) -> Result<(), StoreError> {
        let number = AttributeValue::N(change.job.number().to_string());
        item.insert(NUMBER.to_owned(), number);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(id)");
        let put = TransactWriteItem::builder().put(built(put.build())).build();
        match self
            .transact(vec![put, self.outbox.put_part(change)?])
            .await?
        {
            Ok(()) => {
                self.outbox.send(change, &read(item)?).await;
                Ok(())
            }
            Err(_) => Err(StoreError::Exists(change.job)),
        }
    }

    async fn update_with_event(
        &self,
        change: &StateChange,
        update: UpdateExpression,
        slot: Option<TransactWriteItem>,
    ) -> Result<Job, StoreError> {
        let id = change.job;
        let mut parts = vec![self.update_part(id, update)];
        parts.extend(slot);
        parts.push(self.outbox.put_part(change)?);
        match self.transact(parts).await? {
            Ok(()) => {
                let item = self.item(id).await?;
                self.outbox.send(change, &read(item.clone())?).await;
                read(item)
            }
            Err(cancelled) if cancelled.failed(0) => Err(superseded(id, cancelled.item(0))),
            Err(Cancelled(_)) => Err(StoreError::NotHeld(id)),
        }
    }
}

/// Where the record has the time at which the job came to the state.
fn entered(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Receiving => "work.receiving_began",
        State::Scheduled => "work.scheduled_began",
        State::Uploading => "work.upload_began",
        State::Succeeded | State::Failed => "ended",
    }
}
