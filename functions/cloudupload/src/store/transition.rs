//! Changes of a job's state, and the records of new jobs.

use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use serde_dynamo::to_item;

use super::{
    Item, Jobs, StoreError,
    jobs::{NUMBER, UNFINISHED, unfinished},
    superseded,
    transaction::Cancelled,
    update::UpdateExpression,
};
use crate::{
    aws::Failure,
    job::{Job, JobId, JobSummary, State},
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
    /// goes through here. Gives the job as it is then.
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
                self.put_new(job.id, item).await?;
                Ok(job.clone())
            }
            Transition::To {
                state,
                details,
                also,
                slot,
            } => {
                let update = also
                    .set("state", state)?
                    .set("details", details)?
                    .expect_state(state.predecessors());
                match slot {
                    None => self.update(id, update).await,
                    Some(slot) => self.update_with_slot(id, update, *slot).await,
                }
            }
        }
    }

    /// Writes the record of a job that is final from the start. It is not among the unfinished, so the sweeper never sees
    /// it.
    pub(super) async fn put_refused(&self, job: &JobSummary) -> Result<(), StoreError> {
        let item = to_item(job).map_err(StoreError::Unwritable)?;
        self.put_new(job.id, item).await
    }

    async fn put_new(&self, id: JobId, mut item: Item) -> Result<(), StoreError> {
        let number = AttributeValue::N(id.number().to_string());
        item.insert(NUMBER.to_owned(), number);
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
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // Our own write, whose first answer was lost.
                Some(PutItemError::ConditionalCheckFailedException(refused))
                    if refused.item() == Some(&item) =>
                {
                    Ok(())
                }
                _ => Err(Failure::of("dynamodb:PutItem")(error).into()),
            },
        }
    }

    async fn update_with_slot(
        &self,
        id: JobId,
        update: UpdateExpression,
        slot: TransactWriteItem,
    ) -> Result<Job, StoreError> {
        let parts = vec![self.update_part(id, update), slot];
        match self.transact(parts).await? {
            Ok(()) => self.get(id).await,
            Err(cancelled) if cancelled.failed(0) => Err(superseded(id, cancelled.item(0))),
            Err(Cancelled(_)) => Err(StoreError::NotHeld(id)),
        }
    }
}
