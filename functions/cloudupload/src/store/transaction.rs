//! Transactions over the tables of jobs, events and slots.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, ConditionCheck, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        Update,
    },
};

use super::{CONFLICTS, Item, Jobs, StoreError, key, update::UpdateExpression};
use crate::{
    aws::Failure,
    job::{JobId, State},
};

/// What became of each part of a transaction that was cancelled because a condition did not hold, in their order (API
/// reference, TransactWriteItems, "Cancellation reasons").
#[derive(Debug)]
pub(super) struct Cancelled(pub(super) Vec<CancellationReason>);

impl Cancelled {
    /// Whether the condition of this part did not hold.
    pub(super) fn failed(&self, part: usize) -> bool {
        self.0
            .get(part)
            .is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed"))
    }

    fn any_failed(&self) -> bool {
        (0..self.0.len()).any(|part| self.failed(part))
    }

    /// The item of this part, if it was asked for.
    pub(super) fn item(&self, part: usize) -> Option<Item> {
        self.0.get(part).and_then(|reason| reason.item.clone())
    }
}

impl Jobs {
    /// Writes all or nothing. A conflict with another transaction is waited out. Repeated because the first answer was
    /// lost, it is still done once: the SDK sends a token along (API reference, TransactWriteItems, `ClientRequestToken`).
    pub(super) async fn transact(
        &self,
        parts: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Cancelled>, StoreError> {
        let mut attempts = CONFLICTS.start();
        loop {
            let answer = self
                .client
                .transact_write_items()
                .set_transact_items(Some(parts.clone()))
                .send()
                .await;
            let Err(error) = answer else {
                return Ok(Ok(()));
            };
            match cancelled(&error) {
                Some(cancelled) if cancelled.any_failed() => return Ok(Err(cancelled)),
                Some(_) if attempts.again().await => {}
                _ => return Err(Failure::of("dynamodb:TransactWriteItems")(error).into()),
            }
        }
    }

    /// The part of a transaction that changes the job's record; refused, it gives the record as it is.
    pub(super) fn update_part(&self, id: JobId, update: UpdateExpression) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .update_expression(update.expression())
            .condition_expression(update.condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder()
            .update(built(update.build()))
            .build()
    }

    /// The part of a transaction that demands that the job is in one of these states. A job without a record counts as
    /// final.
    pub(super) fn check_part(&self, id: JobId, states: &[State]) -> TransactWriteItem {
        let check = UpdateExpression::default().expect_state(states);
        let condition = match states.iter().all(|state| state.is_final()) {
            true => format!("attribute_not_exists(id) OR {}", check.condition),
            false => check.condition,
        };
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(check.names))
            .set_expression_attribute_values(Some(check.values));
        TransactWriteItem::builder()
            .condition_check(built(check.build()))
            .build()
    }
}

/// The part of a transaction: table, key and expression, without which it cannot be built, are set.
pub(super) fn built<T, E: std::fmt::Debug>(part: Result<T, E>) -> T {
    part.expect("table, key and expression are set")
}

fn cancelled(error: &SdkError<TransactWriteItemsError>) -> Option<Cancelled> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            Some(Cancelled(cancelled.cancellation_reasons().to_vec()))
        }
        _ => None,
    }
}
