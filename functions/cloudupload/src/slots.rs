//! The slots: how many jobs may upload at once, in all and of one user, and who is next.
//!
//! A table of its own, `kind` and `job` its key:
//!
//! | kind | job | what |
//! |---|---|---|
//! | `waiting` | 17 | a job that waits for a slot; a query gives them in the order of their numbers |
//! | `held` | 16 | a slot, and the job and execution that own it |
//! | `turn` | 0 | counts the grants |
//!
//! Every change is one transaction, together with the job's record. A grant is refused if another came between it and its
//! look at who holds what, so that no two grants can count the same slot as free. A slot can be given back only by a job
//! that is final, and only a job with a slot gets to `uploading`: so there are never more uploads than slots.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, Put,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use serde::{Deserialize, Serialize};
use serde_dynamo::{from_item, to_item};

use crate::{
    aws::Failure,
    clock,
    job::{JobId, State, TaskToken},
    jobs::{self, Change, Jobs, JobsError},
    names::User,
};

type Item = HashMap<String, AttributeValue>;

/// How many jobs may upload at once. OBS's own worker has 4 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub total: usize,
    pub per_user: usize,
}

impl Limits {
    /// Of jobs that wait, in the order of their numbers, the first that may upload beside those that hold a slot. A user
    /// at its limit holds back nobody else.
    pub fn first<'a>(&self, held: &[Holder], waiting: &'a [Waiter]) -> Option<&'a Waiter> {
        if held.len() >= self.total {
            return None;
        }
        let of = |user: &User| held.iter().filter(|holder| holder.user == *user).count();
        waiting
            .iter()
            .find(|waiter| of(&waiter.user) < self.per_user)
    }
}

/// A job that waits for a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiter {
    #[serde(with = "number")]
    pub job: JobId,
    pub user: User,
    /// The execution that waits, by its ARN.
    pub execution: String,
    /// Seconds since the epoch.
    pub since: u64,
}

/// A job that has a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    #[serde(with = "number")]
    pub job: JobId,
    pub user: User,
    /// The execution that the slot was granted to, by its ARN.
    pub execution: String,
    /// When it was granted, in seconds since the epoch.
    pub since: u64,
    /// When the job was seen to go on, in seconds since the epoch. Without it, the word of the grant may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<u64>,
}

/// The key is a number in DynamoDB, so that a query gives the jobs in their order.
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::job::JobId;

    pub fn serialize<S: Serializer>(job: &JobId, to: S) -> Result<S::Ok, S::Error> {
        job.number().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<JobId, D::Error> {
        JobId::new(u64::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// What can go wrong with the slots.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error("job {0} has no slot, and may not upload")]
    NotHeld(JobId),
    #[error("the slot of job {0} cannot be given back: the job is not final")]
    NotFinal(JobId),
    #[error("an item of the slots cannot be read: {0}")]
    Unreadable(serde_dynamo::Error),
}

impl From<Failure> for SlotsError {
    fn from(failure: Failure) -> Self {
        JobsError::from(failure).into()
    }
}

/// How an attempt at a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    Given,
    /// Another grant came between: look again.
    Overtaken,
    /// The job does not wait any more.
    Gone,
}

/// Where a job is that came to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Waiting,
    /// It has its slot already.
    Held,
}

/// The table of slots.
#[derive(Clone, Debug)]
pub struct Slots {
    pub jobs: Jobs,
    table: String,
}

const WAITING: &str = "waiting";
const HELD: &str = "held";
const TURN: &str = "turn";

/// How often a transaction is tried that another one is in the way of.
const CONFLICT_TRIES: u32 = 10;

/// How many of those that wait are looked at in one query.
const PAGE: i32 = 100;

impl Slots {
    pub fn new(jobs: Jobs, table: String) -> Self {
        Self { jobs, table }
    }

    /// Puts the job among those that wait, to be told by this token. Done again with another token, by a step that runs
    /// twice, it keeps its place, or its slot.
    pub async fn wait(&self, waiter: &Waiter, token: &TaskToken) -> Result<Place, SlotsError> {
        let id = waiter.job;
        let change = Change::default()
            .set("token", token)?
            .expect_state(&[State::Scheduled]);
        let held = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(slot_key(HELD, id)))
            .condition_expression("attribute_not_exists(job)");
        let answer = self
            .transact(vec![
                self.update_job(id, change),
                put(&self.table, WAITING, waiter, None)?,
                TransactWriteItem::builder()
                    .condition_check(built(held.build()))
                    .build(),
            ])
            .await;
        match answer {
            Err(Refusal::Conditions(reasons)) if reasons.failed(0) => {
                Err(jobs::moved(id, reasons.item(0)).into())
            }
            Err(Refusal::Conditions(reasons)) if reasons.failed(2) => {
                self.jobs.set_token(id, token).await?;
                Ok(Place::Held)
            }
            answer => {
                answer?;
                Ok(Place::Waiting)
            }
        }
    }

    /// How many grants there were.
    pub async fn turn(&self) -> Result<u64, SlotsError> {
        let answer = self
            .jobs
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(turn_key()))
            .consistent_read(true)
            .send()
            .await
            .map_err(Failure::of("dynamodb:GetItem"))?;
        #[derive(Deserialize)]
        struct Turn {
            number: u64,
        }
        match answer.item {
            Some(item) => Ok(read::<Turn>(item)?.number),
            None => Ok(0),
        }
    }

    /// Who has a slot.
    pub async fn held(&self) -> Result<Vec<Holder>, SlotsError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let (page, next) = self.page(HELD, from).await?;
            all.extend(page);
            if next.is_none() {
                return Ok(all);
            }
            from = next;
        }
    }

    /// Some of those that wait, in the order of their numbers; the second value is where the next page begins.
    pub async fn waiting(
        &self,
        from: Option<Item>,
    ) -> Result<(Vec<Waiter>, Option<Item>), SlotsError> {
        self.page(WAITING, from).await
    }

    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        kind: &str,
        from: Option<Item>,
    ) -> Result<(Vec<T>, Option<Item>), SlotsError> {
        let answer = self
            .jobs
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", AttributeValue::S(kind.to_owned()))
            .limit(PAGE)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(Failure::of("dynamodb:Query"))?;
        let items = answer.items.unwrap_or_default().into_iter().map(read);
        Ok((items.collect::<Result<_, _>>()?, answer.last_evaluated_key))
    }

    /// Gives a slot to one that waits, provided that there were so many grants before.
    pub async fn grant(&self, to: &Waiter, turn: u64) -> Result<Grant, SlotsError> {
        let holder = Holder {
            job: to.job,
            user: to.user.clone(),
            execution: to.execution.clone(),
            since: clock::now(),
            begun: None,
        };
        let turned = Update::builder()
            .table_name(&self.table)
            .set_key(Some(turn_key()))
            .update_expression("SET #number = :next")
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":next", AttributeValue::N((turn + 1).to_string()));
        let turned = match turn {
            0 => turned.condition_expression("attribute_not_exists(#number)"),
            turn => turned
                .condition_expression("#number = :turn")
                .expression_attribute_values(":turn", AttributeValue::N(turn.to_string())),
        };
        let waits = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(slot_key(WAITING, to.job)))
            .condition_expression("attribute_exists(job)");
        let answer = self
            .transact(vec![
                TransactWriteItem::builder()
                    .update(built(turned.build()))
                    .build(),
                TransactWriteItem::builder()
                    .delete(built(waits.build()))
                    .build(),
                put(
                    &self.table,
                    HELD,
                    &holder,
                    Some("attribute_not_exists(job)"),
                )?,
                self.check_job(to.job, &[State::Scheduled]),
            ])
            .await;
        match answer {
            Ok(()) => Ok(Grant::Given),
            Err(Refusal::Conditions(reasons)) if reasons.failed(0) => Ok(Grant::Overtaken),
            Err(Refusal::Conditions(_)) => Ok(Grant::Gone),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Takes a job that has a slot to `uploading`.
    ///
    /// # Errors
    /// [`JobsError::Moved`] if the job is final, [`SlotsError::NotHeld`] if it has no slot.
    pub async fn begin(&self, id: JobId, details: &str) -> Result<(), SlotsError> {
        let change = Change::default()
            .set("state", State::Uploading)?
            .set("details", details)?
            .set_once("work.upload_began", clock::now())?
            .expect_state(State::Uploading.predecessors());
        let begun = Update::builder()
            .table_name(&self.table)
            .set_key(Some(slot_key(HELD, id)))
            .update_expression("SET begun = if_not_exists(begun, :now)")
            .condition_expression("attribute_exists(job)")
            .expression_attribute_values(":now", AttributeValue::N(clock::now().to_string()));
        let answer = self
            .transact(vec![
                self.update_job(id, change),
                TransactWriteItem::builder()
                    .update(built(begun.build()))
                    .build(),
            ])
            .await;
        match answer {
            Err(Refusal::Conditions(reasons)) if reasons.failed(0) => {
                Err(jobs::moved(id, reasons.item(0)).into())
            }
            Err(Refusal::Conditions(_)) => Err(SlotsError::NotHeld(id)),
            answer => Ok(answer?),
        }
    }

    /// Gives back what a final job, or one that there is no record of, has of slots or waits for. Nothing is fine too.
    pub async fn release(&self, id: JobId) -> Result<(), SlotsError> {
        let gone = |kind| {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(slot_key(kind, id)));
            TransactWriteItem::builder()
                .delete(built(delete.build()))
                .build()
        };
        let answer = self
            .transact(vec![
                gone(HELD),
                gone(WAITING),
                self.check_job(id, &State::FINAL),
            ])
            .await;
        match answer {
            Err(Refusal::Conditions(_)) => Err(SlotsError::NotFinal(id)),
            answer => Ok(answer?),
        }
    }

    fn update_job(&self, id: JobId, change: Change) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.jobs.table)
            .set_key(Some(HashMap::from([jobs::key(id)])))
            .update_expression(change.expression())
            .condition_expression(change.condition)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder()
            .update(built(update.build()))
            .build()
    }

    fn check_job(&self, id: JobId, states: &[State]) -> TransactWriteItem {
        let check = Change::default().expect_state(states);
        let condition = match states.iter().all(|state| state.is_final()) {
            true => format!("attribute_not_exists(id) OR {}", check.condition),
            false => check.condition,
        };
        let check = ConditionCheck::builder()
            .table_name(&self.jobs.table)
            .set_key(Some(HashMap::from([jobs::key(id)])))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(check.names))
            .set_expression_attribute_values(Some(check.values));
        TransactWriteItem::builder()
            .condition_check(built(check.build()))
            .build()
    }

    /// Writes all or nothing. Another transaction on the same items is waited for. Done again because the first answer
    /// was lost, it is still done once: the SDK sends a token along (API reference, TransactWriteItems,
    /// `ClientRequestToken`).
    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), Refusal> {
        for tried in 0.. {
            let answer = self
                .jobs
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .send()
                .await;
            let Err(error) = answer else { return Ok(()) };
            match reasons(&error) {
                Some(reasons) if reasons.any_failed() => {
                    return Err(Refusal::Conditions(reasons));
                }
                Some(_) if tried < CONFLICT_TRIES => jobs::pause(tried).await,
                _ => {
                    let failure = Failure::of("dynamodb:TransactWriteItems")(error);
                    return Err(Refusal::Aws(failure));
                }
            }
        }
        unreachable!("the loop ends by its returns")
    }
}

/// Why a transaction was not done.
#[derive(Debug)]
enum Refusal {
    Conditions(Reasons),
    Aws(Failure),
}

impl From<Refusal> for SlotsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Aws(failure) => failure.into(),
            Refusal::Conditions(reasons) => {
                let message = format!("the transaction was cancelled: {:?}", reasons.0);
                Failure::odd("dynamodb:TransactWriteItems", message).into()
            }
        }
    }
}

/// What became of each item of a transaction that was cancelled, in their order (API reference, TransactWriteItems,
/// "Cancellation reasons").
#[derive(Debug)]
struct Reasons(Vec<CancellationReason>);

impl Reasons {
    fn failed(&self, item: usize) -> bool {
        self.0
            .get(item)
            .is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed"))
    }

    fn any_failed(&self) -> bool {
        (0..self.0.len()).any(|item| self.failed(item))
    }

    fn item(&self, item: usize) -> Option<Item> {
        self.0.get(item).and_then(|reason| reason.item.clone())
    }
}

fn reasons(error: &SdkError<TransactWriteItemsError>) -> Option<Reasons> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            Some(Reasons(cancelled.cancellation_reasons().to_vec()))
        }
        _ => None,
    }
}

fn put(
    table: &str,
    kind: &str,
    item: &impl Serialize,
    condition: Option<&str>,
) -> Result<TransactWriteItem, SlotsError> {
    let mut item: Item = to_item(item).map_err(JobsError::Unwritable)?;
    item.insert("kind".to_owned(), AttributeValue::S(kind.to_owned()));
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .set_condition_expression(condition.map(str::to_owned));
    Ok(TransactWriteItem::builder().put(built(put.build())).build())
}

/// The part of a transaction: table, key and expression, without which it cannot be built, are set.
fn built<T, E: std::fmt::Debug>(part: Result<T, E>) -> T {
    part.expect("table, key and expression are set")
}

fn slot_key(kind: &str, job: JobId) -> Item {
    HashMap::from([
        ("kind".to_owned(), AttributeValue::S(kind.to_owned())),
        (
            "job".to_owned(),
            AttributeValue::N(job.number().to_string()),
        ),
    ])
}

fn turn_key() -> Item {
    HashMap::from([
        ("kind".to_owned(), AttributeValue::S(TURN.to_owned())),
        ("job".to_owned(), AttributeValue::N("0".to_owned())),
    ])
}

fn read<T: for<'de> Deserialize<'de>>(item: Item) -> Result<T, SlotsError> {
    from_item(item).map_err(SlotsError::Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiter(job: u64, user: &str) -> Waiter {
        Waiter {
            job: JobId::new(job).unwrap(),
            user: user.parse().unwrap(),
            execution: format!("job-{job}"),
            since: job,
        }
    }

    fn holder(waiter: &Waiter) -> Holder {
        Holder {
            job: waiter.job,
            user: waiter.user.clone(),
            execution: waiter.execution.clone(),
            since: waiter.since,
            begun: None,
        }
    }

    const LIMITS: Limits = Limits {
        total: 4,
        per_user: 2,
    };

    #[test]
    fn a_user_at_its_limit_holds_back_nobody_else() {
        let held = [waiter(1, "tom"), waiter(2, "tom")].map(|waiter| holder(&waiter));
        let waiting = [waiter(3, "tom"), waiter(4, "tim"), waiter(5, "tim")];
        assert_eq!(LIMITS.first(&held, &waiting), Some(&waiting[1]));
        assert_eq!(LIMITS.first(&held[..1], &waiting), Some(&waiting[0]));
        assert_eq!(LIMITS.first(&held, &waiting[..1]), None);
    }

    #[test]
    fn an_item_has_the_keys_of_the_table() {
        let item: Item = to_item(waiter(17, "tom")).unwrap();
        assert_eq!(item["job"], AttributeValue::N("17".to_owned()));
        assert_eq!(read::<Waiter>(item).unwrap(), waiter(17, "tom"));
    }

    proptest! {
        /// Jobs of a few users come, get slots and end, in any order of events.
        #[test]
        fn the_limits_hold_and_nobody_starves(
            users in proptest::collection::vec(0..4u8, 1..40),
            ends in proptest::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut waiting: Vec<Waiter> = (1..)
                .zip(&users)
                .map(|(job, user)| waiter(job, &format!("user{user}")))
                .collect();
            let mut held: Vec<Holder> = Vec::new();
            let mut done = 0;
            let mut ends = ends.into_iter();
            while done < users.len() {
                while let Some(next) = LIMITS.first(&held, &waiting).cloned() {
                    // Whoever waits with a smaller number is of a user at its limit.
                    for passed in waiting.iter().take_while(|waiter| waiter.job < next.job) {
                        let same = held.iter().filter(|holder| holder.user == passed.user);
                        prop_assert_eq!(same.count(), LIMITS.per_user);
                    }
                    waiting.retain(|waiter| waiter.job != next.job);
                    held.push(holder(&next));
                }
                prop_assert!(!held.is_empty() && held.len() <= LIMITS.total);
                for holder in &held {
                    let same = held.iter().filter(|other| other.user == holder.user);
                    prop_assert!(same.count() <= LIMITS.per_user);
                }
                let ended = ends.next().map_or(0, |index| index.index(held.len()));
                held.remove(ended);
                done += 1;
            }
        }
    }
}
