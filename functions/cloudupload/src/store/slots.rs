//! The slots: how many jobs may upload at once, in all, of one user, and into one account and region, and who is next.
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

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::{from_item, to_item};

use super::{
    Item, Jobs, StoreError, superseded, transaction::built, transition::Transition,
    update::UpdateExpression,
};
use crate::{
    aws::Failure,
    clock::Timestamp,
    job::{self, Job, JobId, Owner, State, TaskToken, owner_of},
    names::User,
    target::{AccountId, AccountRegion, Route},
};

/// How many jobs may upload at once into one account and region. Each makes one snapshot there, which is pending until it is
/// complete; AWS allows 100 pending ones, but the account is not ours alone (EBS user guide, "Quotas for Amazon EBS",
/// Pending snapshots per account).
const PER_PLACE: usize = 10;

/// How many jobs may upload at once. OBS's own worker has 4 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub total: usize,
    pub per_user: usize,
}

impl Limits {
    /// Of jobs that wait, in the order of their numbers, the first that may upload beside those that hold a slot. A user
    /// or an account at its limit holds back nobody else.
    pub fn first<'a>(&self, held: &[Holder], waiting: &'a [Waiter]) -> Option<&'a Waiter> {
        if held.len() >= self.total {
            return None;
        }
        let of = |owner: Owner| {
            let jobs = held.iter().filter(|holder| holder.owner() == owner);
            jobs.count()
        };
        waiting
            .iter()
            .find(|waiter| of(waiter.owner()) < self.per_user && waiter.full_place(held).is_none())
    }
}

/// A job that waits for a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiter {
    #[serde(with = "job::as_number")]
    pub job: JobId,
    pub user: User,
    /// The job's owner. The release before does not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The execution that waits, by its ARN.
    pub execution: String,
    pub since: Timestamp,
    /// Where it will make a snapshot. The release before does not write it.
    #[serde(default)]
    pub places: Vec<AccountRegion>,
}

impl Waiter {
    /// A job that begins to wait. By the route `copy`, it makes a snapshot in the service's own account too.
    pub fn new(job: &Job, execution: String, service: &AccountId) -> Self {
        let target = &job.request.ec2;
        let copied_from = (job.artifacts.route == Some(Route::Copy)).then_some(service);
        let accounts = [Some(target.role.account()), copied_from];
        let places = accounts.into_iter().flatten().map(|account| AccountRegion {
            account: account.clone(),
            region: target.region,
        });
        Self {
            job: job.id,
            user: job.request.user.clone(),
            owner: job.owner.clone(),
            execution,
            since: Timestamp::now(),
            places: places.collect(),
        }
    }

    /// The job's owner.
    pub fn owner(&self) -> Owner {
        owner_of(&self.owner, &self.user)
    }

    /// The first of its places that has as many uploads as there may be.
    pub fn full_place(&self, held: &[Holder]) -> Option<&AccountRegion> {
        self.places.iter().find(|place| {
            let there = held.iter().filter(|holder| holder.places.contains(place));
            there.count() >= PER_PLACE
        })
    }
}

/// A job that has a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    #[serde(with = "job::as_number")]
    pub job: JobId,
    pub user: User,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The execution that the slot was granted to, by its ARN.
    pub execution: String,
    /// When it was granted.
    pub since: Timestamp,
    /// When the job began to use it. Until then, the message of the grant may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Timestamp>,
    /// Where it makes a snapshot.
    #[serde(default)]
    pub places: Vec<AccountRegion>,
}

impl Holder {
    /// The job's owner.
    pub fn owner(&self) -> Owner {
        owner_of(&self.owner, &self.user)
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

/// Where a job is that asked for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
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

/// Waiting jobs in one page.
const PAGE: i32 = 100;

impl Slots {
    pub fn new(jobs: Jobs, table: String) -> Self {
        Self { jobs, table }
    }

    /// Puts the job among those that wait, to be told by this token. A step that runs twice comes with another token, and
    /// the job keeps its place, or its slot.
    pub async fn wait(&self, waiter: &Waiter, token: &TaskToken) -> Result<Queued, StoreError> {
        let id = waiter.job;
        let update = UpdateExpression::default()
            .set("token", token)?
            .expect_state(&[State::Scheduled]);
        let not_held = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(slot_key(HELD, id)))
            .condition_expression("attribute_not_exists(job)");
        let parts = vec![
            self.jobs.update_part(id, update),
            put(&self.table, WAITING, waiter, None)?,
            TransactWriteItem::builder()
                .condition_check(built(not_held.build()))
                .build(),
        ];
        match self.jobs.transact(parts).await? {
            Ok(()) => Ok(Queued::Waiting),
            Err(cancelled) if cancelled.failed(0) => Err(superseded(id, cancelled.item(0))),
            Err(_) => {
                self.jobs.set_token(id, token).await?;
                Ok(Queued::Held)
            }
        }
    }

    /// How many grants there were.
    pub async fn turn(&self) -> Result<u64, StoreError> {
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
            Some(item) => Ok(read_slot::<Turn>(item)?.number),
            None => Ok(0),
        }
    }

    /// Who has a slot.
    pub async fn held(&self) -> Result<Vec<Holder>, StoreError> {
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
    ) -> Result<(Vec<Waiter>, Option<Item>), StoreError> {
        self.page(WAITING, from).await
    }

    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        kind: &str,
        from: Option<Item>,
    ) -> Result<(Vec<T>, Option<Item>), StoreError> {
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
        let items = answer.items.unwrap_or_default().into_iter().map(read_slot);
        Ok((items.collect::<Result<_, _>>()?, answer.last_evaluated_key))
    }

    /// Gives a slot to one that waits, provided that there were so many grants before.
    pub async fn grant(&self, to: &Waiter, turn: u64) -> Result<Grant, StoreError> {
        let holder = Holder {
            job: to.job,
            user: to.user.clone(),
            owner: to.owner.clone(),
            execution: to.execution.clone(),
            since: Timestamp::now(),
            begun: None,
            places: to.places.clone(),
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
        let parts = vec![
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
            self.jobs.check_part(to.job, &[State::Scheduled]),
        ];
        match self.jobs.transact(parts).await? {
            Ok(()) => Ok(Grant::Given),
            Err(cancelled) if cancelled.failed(0) => Ok(Grant::Overtaken),
            Err(_) => Ok(Grant::Gone),
        }
    }

    /// Takes a job that has a slot to `uploading`.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] if the job is final, [`StoreError::NotHeld`] if it has no slot.
    pub async fn begin(&self, id: JobId, details: &str) -> Result<Job, StoreError> {
        let now = Timestamp::now().as_secs().to_string();
        let begun = Update::builder()
            .table_name(&self.table)
            .set_key(Some(slot_key(HELD, id)))
            .update_expression("SET begun = if_not_exists(begun, :now)")
            .condition_expression("attribute_exists(job)")
            .expression_attribute_values(":now", AttributeValue::N(now));
        let transition = Transition::To {
            state: State::Uploading,
            details,
            also: UpdateExpression::default(),
            slot: Some(Box::new(
                TransactWriteItem::builder()
                    .update(built(begun.build()))
                    .build(),
            )),
        };
        self.jobs.transition(id, transition).await
    }

    /// Gives back the slot, or the place in the queue, of a job that is final or has no record. Idempotent.
    pub async fn release(&self, id: JobId) -> Result<(), StoreError> {
        let gone = |kind| {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(slot_key(kind, id)));
            TransactWriteItem::builder()
                .delete(built(delete.build()))
                .build()
        };
        let parts = vec![
            gone(HELD),
            gone(WAITING),
            self.jobs.check_part(id, &State::FINAL),
        ];
        match self.jobs.transact(parts).await? {
            Ok(()) => Ok(()),
            Err(_) => Err(StoreError::NotFinal(id)),
        }
    }
}

fn put(
    table: &str,
    kind: &str,
    item: &impl Serialize,
    condition: Option<&str>,
) -> Result<TransactWriteItem, StoreError> {
    let mut item: Item = to_item(item).map_err(StoreError::Unwritable)?;
    item.insert("kind".to_owned(), AttributeValue::S(kind.to_owned()));
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .set_condition_expression(condition.map(str::to_owned));
    Ok(TransactWriteItem::builder().put(built(put.build())).build())
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

fn read_slot<T: for<'de> Deserialize<'de>>(item: Item) -> Result<T, StoreError> {
    from_item(item).map_err(StoreError::UnreadableSlot)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiter(job: u64, user: &str) -> Waiter {
        Waiter {
            job: JobId::new(job).unwrap(),
            user: user.parse().unwrap(),
            owner: None,
            execution: format!("job-{job}"),
            since: Timestamp::from_secs(job),
            places: Vec::new(),
        }
    }

    fn waiter_at(job: u64, places: &[&str]) -> Waiter {
        Waiter {
            places: places.iter().map(|place| place.parse().unwrap()).collect(),
            ..waiter(job, &format!("user{job}"))
        }
    }

    fn holder(waiter: &Waiter) -> Holder {
        Holder {
            job: waiter.job,
            user: waiter.user.clone(),
            owner: waiter.owner.clone(),
            execution: waiter.execution.clone(),
            since: waiter.since,
            begun: None,
            places: waiter.places.clone(),
        }
    }

    const LIMITS: Limits = Limits {
        total: 4,
        per_user: 2,
    };

    #[test]
    fn users_of_one_name_are_two_where_their_owners_differ() {
        let held = [waiter(1, "tom"), waiter(2, "tom")].map(|waiter| holder(&waiter));
        let account = "account:000102030405060708090a0b0c0d0e0f";
        let mut namesake = waiter(3, "tom");
        assert_eq!(LIMITS.first(&held, &[namesake.clone()]), None);
        namesake.owner = Some(account.parse().unwrap());
        let waiting = [namesake];
        assert_eq!(LIMITS.first(&held, &waiting), Some(&waiting[0]));
    }

    #[test]
    fn a_user_at_its_limit_holds_back_nobody_else() {
        let held = [waiter(1, "tom"), waiter(2, "tom")].map(|waiter| holder(&waiter));
        let waiting = [waiter(3, "tom"), waiter(4, "tim"), waiter(5, "tim")];
        assert_eq!(LIMITS.first(&held, &waiting), Some(&waiting[1]));
        assert_eq!(LIMITS.first(&held[..1], &waiting), Some(&waiting[0]));
        assert_eq!(LIMITS.first(&held, &waiting[..1]), None);
    }

    #[test]
    fn an_account_has_ten_uploads_in_a_region_and_holds_back_no_other() {
        let limits = Limits {
            total: 100,
            per_user: 100,
        };
        let (user, service) = ("123456789012/eu-west-1", "210987654321/eu-west-1");
        let mut held: Vec<Holder> = (1..=9)
            .map(|job| holder(&waiter_at(job, &[user])))
            .collect();
        held.push(holder(&waiter_at(10, &["123456789012/us-east-1"])));
        held.push(holder(&waiter_at(11, &[service])));
        let waiting = [waiter_at(12, &[user]), waiter_at(13, &[service])];
        assert_eq!(limits.first(&held, &waiting), Some(&waiting[0]));

        held.push(holder(&waiter_at(14, &[service, user])));
        assert_eq!(limits.first(&held, &waiting), Some(&waiting[1]));
        assert_eq!(waiting[0].full_place(&held), Some(&waiting[0].places[0]));
        assert_eq!(waiting[1].full_place(&held), None);
        let both = [waiter_at(15, &[service, user])];
        assert_eq!(limits.first(&held, &both), None);
    }

    #[test]
    fn a_copy_makes_a_snapshot_in_both_accounts() {
        let service: AccountId = "210987654321".parse().unwrap();
        let mut job = job::example();
        let mut places = |route| {
            job.artifacts.route = route;
            let waiter = Waiter::new(&job, "arn".to_owned(), &service);
            let places = waiter.places.iter().map(ToString::to_string);
            places.collect::<Vec<_>>()
        };
        let user = "123456789012/us-east-1";
        for route in [None, Some(Route::Import), Some(Route::Direct)] {
            assert_eq!(places(route), [user]);
        }
        assert_eq!(places(Some(Route::Copy)), [user, "210987654321/us-east-1"]);
    }

    #[test]
    fn an_item_of_the_release_before_has_no_places() {
        let mut item: Item = to_item(waiter(17, "tom")).unwrap();
        item.remove("places").unwrap();
        assert_eq!(read_slot::<Waiter>(item).unwrap(), waiter(17, "tom"));
        let mut item: Item = to_item(holder(&waiter(17, "tom"))).unwrap();
        item.remove("places").unwrap();
        assert_eq!(
            read_slot::<Holder>(item).unwrap(),
            holder(&waiter(17, "tom"))
        );
    }

    #[test]
    fn an_item_has_the_keys_of_the_table() {
        let item: Item = to_item(waiter(17, "tom")).unwrap();
        assert_eq!(item["job"], AttributeValue::N("17".to_owned()));
        assert_eq!(read_slot::<Waiter>(item).unwrap(), waiter(17, "tom"));
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
                    // Jobs that wait with smaller numbers are of users at their limit.
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
