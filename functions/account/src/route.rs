//! The routes by which a disk becomes a snapshot in the user's account.
//!
//! A route is opened by `prepare`, writes slices for `transfer`, is sealed by `seal`, looked at by `poll`, and removed by
//! `finish`, with what it wrote into its own part of the record ([`cloudupload::job::Artifacts`]). Each thing that it makes
//! has its removal beside it.

mod blocks;
mod bucket;
mod copy;
mod direct;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cloudupload::{
    aws::RetryCount,
    job::{Artifacts, Job, SnapshotId, Unrecorded},
    journal::JobLog,
    messages::TransferOutput,
    store::Jobs,
    target::{AccountId, AccountRegion, Route},
};
use image::slice::{Slice, SliceReader};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::{
    blocks::{BLOCK, checksum},
    bucket::bucket_name,
};
pub use self::{
    blocks::{Blocks, BlocksError},
    bucket::{BucketError, BucketRoute, Parts},
    copy::{CopyError, CopyRoute, SharedSnapshot},
    direct::DirectRoute,
};
use crate::{
    Session,
    messages::RouteSlice,
    pace::Pace,
    policy::{Purpose, Scope},
    removal::Removal,
};

/// What a slice is to become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SliceTarget {
    Parts(Parts),
    Blocks(Blocks),
}

/// The state of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// Look again after `wait` seconds.
    Working {
        /// Percent of the way from the sealed target to the snapshot, if there is news of it.
        percent: Option<u8>,
        /// For the job's log.
        line: String,
        wait: u16,
    },
    /// The snapshot is complete, and has the job's tags.
    Ready(SnapshotId),
}

/// Why a route cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("{0}")]
    Bucket(#[from] BucketError),
    #[error("{0}")]
    Blocks(#[from] BlocksError),
    #[error("{0}")]
    Copy(#[from] CopyError),
}

impl RouteError {
    /// Whether AWS refuses to let the role start a snapshot.
    pub fn is_refused_start(&self) -> bool {
        match self {
            RouteError::Blocks(BlocksError::Aws(failure)) => {
                failure.call == blocks::START && failure.has_code("AccessDeniedException")
            }
            _ => false,
        }
    }
}

/// Why a slice was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{0}")]
    Bucket(#[from] bucket::WriteError),
    #[error("{0}")]
    Blocks(#[from] blocks::WriteError),
    #[error("{0}")]
    Unrecorded(#[from] Unrecorded),
}

/// The route that a job takes. A job of the first release has none in its record, and takes `import`.
pub fn of(job: &Job) -> Route {
    job.artifacts.route.unwrap_or(Route::Import)
}

/// The account and region that the job's blocks are put into: the user's, or by `copy` the service's `own`.
pub fn place_of_blocks(job: &Job, own: &AccountId) -> AccountRegion {
    let target = &job.request.ec2;
    AccountRegion {
        account: match of(job) {
            Route::Copy => own.clone(),
            Route::Direct | Route::Import => target.role.account().clone(),
        },
        region: target.region,
    }
}

/// What the routes of a job may have begun to make, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Anything in the user's account.
    pub in_the_users_account: bool,
    /// Anything in the service's own, but for the staged file.
    pub in_our_account: bool,
    /// Anything in the user's account that has to go after a success, too.
    pub besides_the_ami: bool,
}

impl Begun {
    pub fn of(job: &Job) -> Self {
        let artifacts = &job.artifacts;
        let has_blocks = artifacts.blocks.snapshot_began.is_some();
        let has_bucket = bucket::has_begun(artifacts);
        let has_copy = artifacts.blocks.copy_began.is_some();
        let is_copy = of(job) == Route::Copy;
        Self {
            in_the_users_account: has_bucket
                || has_copy
                || (has_blocks && !is_copy)
                || artifacts.register_began.is_some(),
            in_our_account: has_blocks && is_copy,
            besides_the_ami: has_bucket || has_copy,
        }
    }
}

/// The route of one job, in a session in the user's account.
#[derive(Clone, Debug)]
pub enum JobRoute<'a> {
    Direct(DirectRoute<'a>),
    Import(BucketRoute<'a>),
    Copy(CopyRoute<'a>),
}

impl<'a> JobRoute<'a> {
    pub(crate) fn of(session: &'a Session<'a>, jobs: &'a Jobs, log: JobLog) -> Self {
        match of(session.job) {
            Route::Direct => JobRoute::Direct(DirectRoute::new(session, jobs)),
            Route::Import => JobRoute::Import(BucketRoute::new(session, jobs, log)),
            Route::Copy => JobRoute::Copy(CopyRoute::new(session, jobs, log)),
        }
    }

    /// Makes the target for a disk of so many bytes, and gives every slice its place in it. What was `found` out
    /// about the disk is recorded together with the target.
    pub async fn open(
        &self,
        slices: Vec<Slice>,
        volume_bytes: u64,
        found: Artifacts,
    ) -> Result<Vec<RouteSlice>, RouteError> {
        Ok(match self {
            JobRoute::Direct(route) => route.open(slices, volume_bytes, found).await?,
            JobRoute::Import(route) => route.open(slices, found).await?,
            JobRoute::Copy(route) => route.open(slices, volume_bytes, found).await?,
        })
    }

    /// Writes a slice, with the reader of the next one where its target names that. Blocks keep a `pace`. Calls count
    /// their `retries`.
    pub async fn write<'s>(
        &self,
        to: &RouteSlice,
        slice: &mut SliceReader<'s>,
        next: Option<SliceReader<'s>>,
        pace: Option<Arc<Pace>>,
        retries: &RetryCount,
    ) -> Result<TransferOutput, WriteError> {
        let start = to.slice.image.as_ref().map_or(0, |image| image.start);
        Ok(match (self, &to.target, pace) {
            (JobRoute::Direct(route), SliceTarget::Blocks(_), Some(pace)) => {
                route.write(start, slice, next, pace, retries).await?
            }
            (JobRoute::Copy(route), SliceTarget::Blocks(_), Some(pace)) => {
                route.write(start, slice, next, pace, retries).await?
            }
            (JobRoute::Import(route), SliceTarget::Parts(parts), _) => {
                route.writer(*parts, retries)?.write(slice).await?
            }
            _ => return Err(Unrecorded("route of these slices").into()),
        })
    }

    /// Closes the target, once all slices are written. Gives the line for the log, and seconds until the first look.
    pub async fn seal(&self, slices: &[TransferOutput]) -> Result<(String, u16), RouteError> {
        Ok(match self {
            JobRoute::Direct(route) => (route.seal(slices).await?, short_wait(Duration::ZERO)),
            JobRoute::Import(route) => (route.seal(slices).await?, FIRST_WAIT),
            JobRoute::Copy(route) => (route.seal(slices).await?, short_wait(Duration::ZERO)),
        })
    }

    /// Looks how far the snapshot is, and records it once there is one.
    pub async fn poll(&self) -> Result<SnapshotStatus, RouteError> {
        Ok(match self {
            JobRoute::Direct(route) => route.poll().await?,
            JobRoute::Import(route) => route.poll().await?,
            JobRoute::Copy(route) => route.poll().await?,
        })
    }

    /// Removes all that the route made but for the snapshots in the user's account, which it gives.
    pub async fn remove(&self, removal: &mut Removal<'_>) -> BTreeSet<SnapshotId> {
        match self {
            JobRoute::Direct(route) => route.remove(removal).await,
            JobRoute::Import(route) => route.remove(removal).await,
            JobRoute::Copy(route) => route.remove(removal).await,
        }
    }

    /// Removes, after a success, all that the route made in the user's account but for the AMI's snapshot.
    pub async fn remove_target(&self, removal: &mut Removal<'_>) {
        match self {
            JobRoute::Direct(_) => {}
            JobRoute::Import(route) => route.remove_target(removal).await,
            JobRoute::Copy(route) => route.remove_target(removal).await,
        }
    }
}

/// What a step needs for the job's route in the user's account.
pub(crate) fn permissions(purpose: Purpose, scope: &Scope<'_>) -> Vec<Value> {
    match of(scope.job) {
        Route::Direct => direct::permissions(purpose, scope),
        Route::Import => bucket::permissions(purpose, scope),
        Route::Copy => copy::permissions(purpose, scope),
    }
}

/// Seconds until the first look at an import, which takes minutes.
const FIRST_WAIT: u16 = 5;

/// Seconds until the next look at a target that was sealed so long ago: a twentieth of that, so that a short wait is not
/// drawn out and a long one does not fill the execution's history (25,000 events). A kill ends the wait.
fn wait_after(age: Duration) -> u16 {
    (age.as_secs() / 20).clamp(FIRST_WAIT.into(), 600) as u16
}

/// The same for what may be there within seconds.
fn short_wait(age: Duration) -> u16 {
    (age.as_secs() / 10).clamp(1, 300) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_target_is_looked_at_less_often() {
        let wait = |seconds| wait_after(Duration::from_secs(seconds));
        assert_eq!((wait(0), wait(600), wait(7200)), (FIRST_WAIT, 30, 360));
        let wait = |seconds| short_wait(Duration::from_secs(seconds));
        assert_eq!((wait(0), wait(60), wait(7200)), (1, 6, 300));
    }
}
