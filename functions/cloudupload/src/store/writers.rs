//! The writers of EBS blocks: who writes into an account and region, and how many blocks a second each may put.
//!
//! A table of its own has one item, a [`Ledger`], for each account and region. An invocation of `transfer` that puts blocks is
//! a writer; it claims a share of [`PUTS_PER_SECOND`]. All claims together are never more, because a ledger is only replaced
//! whole, and only by whoever has seen its last version: two writers that come at the same moment both count.
//!
//! What a writer does around that keeps the sum of the *puts* within the bound as well:
//!
//! - it lowers its rate before it writes down a smaller share;
//! - it uses a larger share once that is written down, and not before a share that someone gave back has been unused for a
//!   whole second ([`HAND_OVER`]), so that no second has the puts of both;
//! - it stops long before its lease ends unless it could renew it, and only after that do others take its share.
//!
//! So each of the 800 belongs to one writer at a time, and changes hands with a pause. The clocks of two writers may differ
//! by [`SKEW`].

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client,
    config::Builder,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use serde::{Deserialize, Serialize};
use serde_dynamo::{from_item, to_item};

use super::{Item, StoreError};
use crate::{
    aws::Failure,
    clock::{Moment, Timestamp},
    job::JobId,
    target::AccountRegion,
};

/// The puts a second of all writers in an account and region: four fifths of what EBS takes, as the account is not ours
/// alone (EBS user guide, "Quotas for Amazon EBS", PutSnapshotBlock requests per account: 1,000 per second).
pub const PUTS_PER_SECOND: u32 = 800;

/// The time for which a claim counts after its last renewal.
pub const LEASE: Duration = Duration::from_secs(15);

/// The most by which the clocks of two functions differ.
pub const SKEW: Duration = Duration::from_secs(2);

/// The time for which a share that was given back is used by nobody.
pub const HAND_OVER: Duration = Duration::from_secs(1);

/// The time after which DynamoDB may delete a ledger that nobody writes any more.
const FORGOTTEN: Duration = Duration::from_secs(86_400);

/// A writer looks every few seconds: a call that takes longer is of no use to it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The name of a writer in its ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriterId(String);

impl WriterId {
    /// A name for an invocation that writes a slice. The random part tells it from another of the same slice, which a retry
    /// may have left running.
    pub fn new(job: JobId, slice: u32) -> Self {
        Self(format!("job-{job}/{slice}/{:08x}", fastrand::u32(..)))
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A writer's claim to a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub job: JobId,
    /// The writers that the job has at a time, as far as this one knows. Shares are kept for those that are still to come, so
    /// that slices that begin one after another need not wait for each other.
    pub peers: u32,
    /// Puts a second.
    pub share: u32,
    /// The end of the lease, by the writer's clock.
    pub until: Moment,
}

/// The writers of an account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// A random number that tells this version from all others; 0 for a ledger that nobody has written.
    stamp: u64,
    writers: BTreeMap<WriterId, Claim>,
    /// When a share, or a part of one, was last given back.
    freed: Moment,
}

impl Ledger {
    /// Renews the claim of a writer, or makes one. Gives its share: a fair part of the whole, or less while others still have
    /// more than theirs.
    pub fn claim(&mut self, id: &WriterId, job: JobId, peers: u32, now: Moment) -> u32 {
        self.drop_dead(id, now);
        let held = self.share(id).unwrap_or_default();
        let mut claim = Claim {
            job,
            peers,
            share: 0,
            until: now + LEASE,
        };
        self.writers.insert(id.clone(), claim);
        claim.share = self
            .fair_share()
            .min(PUTS_PER_SECOND.saturating_sub(self.sum()));
        self.writers.insert(id.clone(), claim);
        if claim.share < held {
            self.free(now);
        }
        claim.share
    }

    /// Gives back the share of a writer that is done.
    pub fn leave(&mut self, id: &WriterId, now: Moment) {
        if self.writers.remove(id).is_some() {
            self.free(now);
        }
    }

    /// The share that a writer has a claim to, if it is in the ledger.
    pub fn share(&self, id: &WriterId) -> Option<u32> {
        self.writers.get(id).map(|claim| claim.share)
    }

    /// The share that every writer comes to have if nobody comes or goes.
    pub fn fair_share(&self) -> u32 {
        let mut jobs: BTreeMap<JobId, (u32, u32)> = BTreeMap::new();
        for claim in self.writers.values() {
            let (live, peers) = jobs.entry(claim.job).or_default();
            *live += 1;
            *peers = claim.peers.max(*peers);
        }
        let writers = jobs.values().fold(0u32, |sum, &(live, peers)| {
            sum.saturating_add(live.max(peers))
        });
        (PUTS_PER_SECOND / writers.max(1)).max(1)
    }

    /// The puts a second of all writers.
    pub fn sum(&self) -> u32 {
        self.writers.values().map(|claim| claim.share).sum()
    }

    /// Whether a share was given back so recently that whoever had it may have used it within the last second.
    pub fn freed_lately(&self, now: Moment) -> bool {
        now.since(self.freed) < HAND_OVER + SKEW
    }

    fn drop_dead(&mut self, except: &WriterId, now: Moment) {
        let before = self.writers.len();
        self.writers
            .retain(|id, claim| id == except || now <= claim.until + SKEW);
        if self.writers.len() < before {
            self.free(now);
        }
    }

    fn free(&mut self, now: Moment) {
        self.freed = self.freed.max(now);
    }

    /// Marks a version of its own.
    fn stamped(self, stamp: u64) -> Self {
        Self { stamp, ..self }
    }
}

/// How an attempt to replace a ledger ended, and the ledger as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Done(Ledger),
    /// Another writer came between.
    Overtaken(Ledger),
}

/// The table of writers.
#[derive(Clone, Debug)]
pub struct Writers {
    client: Client,
    table: String,
}

impl Writers {
    pub fn new(config: &SdkConfig, table: String) -> Self {
        let timeouts = config
            .timeout_config()
            .map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT);
        let config = Builder::from(config).timeout_config(timeouts.build());
        Self {
            client: Client::from_conf(config.build()),
            table,
        }
    }

    /// Replaces a ledger, if it still is the one that was seen.
    pub async fn replace(
        &self,
        place: &AccountRegion,
        seen: &Ledger,
        next: Ledger,
    ) -> Result<Written, StoreError> {
        let next = next.stamped(fastrand::u64(1..));
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item(place, &next)?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match seen.stamp {
            0 => request.condition_expression("attribute_not_exists(place)"),
            stamp => request
                .condition_expression("stamp = :seen")
                .expression_attribute_values(":seen", AttributeValue::N(stamp.to_string())),
        };
        let error = match request.send().await {
            Ok(_) => return Ok(Written::Done(next)),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
        else {
            return Err(Failure::of("dynamodb:PutItem")(error).into());
        };
        let current = match &refused.item {
            Some(item) => from_item(item.clone()).map_err(StoreError::UnreadableLedger)?,
            None => Ledger::default(),
        };
        // The SDK repeated a call whose answer was lost.
        match current == next {
            true => Ok(Written::Done(next)),
            false => Ok(Written::Overtaken(current)),
        }
    }
}

fn item(place: &AccountRegion, ledger: &Ledger) -> Result<Item, StoreError> {
    let mut item: Item = to_item(ledger).map_err(StoreError::Unwritable)?;
    let expires = Timestamp::now() + FORGOTTEN;
    item.extend(HashMap::from([
        ("place".to_owned(), AttributeValue::S(place.to_string())),
        (
            "expires".to_owned(),
            AttributeValue::N(expires.as_secs().to_string()),
        ),
    ]));
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_795_445_844_000);
    const LATER: Duration = Duration::from_secs(3);

    fn writer(job: u64, slice: u32) -> (WriterId, JobId) {
        let job = JobId::new(job).unwrap();
        (WriterId::new(job, slice), job)
    }

    #[test]
    fn the_first_writer_has_everything_and_gives_half_to_the_second() {
        let ((one, job_1), (two, job_2)) = (writer(1, 0), writer(2, 0));
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(&one, job_1, 1, NOW), 800);
        assert!(!ledger.freed_lately(NOW));
        assert_eq!(ledger.claim(&two, job_2, 1, NOW), 0);
        assert!(!ledger.freed_lately(NOW));
        assert_eq!(ledger.claim(&one, job_1, 1, NOW + LATER), 400);
        assert!(ledger.freed_lately(NOW + LATER));
        assert_eq!(ledger.claim(&two, job_2, 1, NOW + LATER), 400);
        ledger.leave(&one, NOW + 2 * LATER);
        assert!(ledger.freed_lately(NOW + 2 * LATER));
        assert!(!ledger.freed_lately(NOW + 3 * LATER));
        assert_eq!(ledger.claim(&two, job_2, 1, NOW + 2 * LATER), 800);
    }

    #[test]
    fn shares_are_kept_for_the_slices_to_come() {
        let mut ledger = Ledger::default();
        for slice in 0..8 {
            let (id, job) = writer(1, slice);
            assert_eq!(ledger.claim(&id, job, 8, NOW), 100, "slice {slice}");
        }
        // A writer that a retry left running counts too.
        let (id, job) = writer(1, 0);
        assert_eq!(ledger.claim(&id, job, 8, NOW), 0);
        assert_eq!((ledger.fair_share(), ledger.sum()), (88, 800));
    }

    #[test]
    fn a_writer_that_died_counts_until_its_lease_has_ended_by_any_clock() {
        let ((one, job_1), (two, job_2)) = (writer(1, 0), writer(2, 0));
        let mut ledger = Ledger::default();
        ledger.claim(&one, job_1, 1, NOW);
        let dead = NOW + LEASE + SKEW;
        assert_eq!(ledger.claim(&two, job_2, 1, dead), 0);
        let dead = dead + Duration::from_millis(1);
        assert_eq!(ledger.claim(&two, job_2, 1, dead), 800);
        assert_eq!(ledger.share(&one), None);
        assert!(ledger.freed_lately(dead));
    }

    #[test]
    fn a_crowd_gets_no_more_than_there_is() {
        let mut ledger = Ledger::default();
        let crowd: Vec<_> = (0..1000).map(|slice| writer(1, slice)).collect();
        for (id, job) in crowd.iter().chain(&crowd) {
            ledger.claim(id, *job, 1, NOW);
            assert!(ledger.sum() <= PUTS_PER_SECOND);
        }
        assert_eq!(ledger.fair_share(), 1);
        ledger.leave(&crowd[0].0, NOW);
        assert!(ledger.sum() < PUTS_PER_SECOND);
    }

    #[test]
    fn a_number_of_peers_that_makes_no_sense_is_no_fault() {
        let ((one, job_1), (two, job_2)) = (writer(1, 0), writer(2, 0));
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(&one, job_1, u32::MAX, NOW), 1);
        assert_eq!(ledger.claim(&two, job_2, u32::MAX, NOW), 1);
    }
}
