//! The routes by which a disk becomes a snapshot in the user's account.
//!
//! A route is opened by `prepare`, gives `transfer` a writer for each slice, is sealed by `seal`, looked at by `poll`, and
//! removed by `finish`, with what it wrote into its own part of the record ([`cloudupload::job::BucketArtifacts`]). Each
//! thing that it makes has its removal beside it. So far there is one: through a bucket of the user's, and
//! `ec2:ImportSnapshot`.

mod bucket;

use std::time::Duration;

use cloudupload::job::{Artifacts, SnapshotId};

pub use bucket::{BucketError, BucketRoute, Parts as SliceTarget, SliceWriter, WriteError};
pub(crate) use bucket::{bucket_name, permissions};

/// Whether any route has begun to make something in the user's account for the job.
pub fn has_begun(artifacts: &Artifacts) -> bool {
    bucket::has_begun(artifacts)
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

/// Seconds until the first look at a sealed target.
pub const FIRST_WAIT: u16 = 5;

/// Seconds until the next look at a target that was sealed so long ago: a twentieth of that, so that a short wait is not
/// drawn out and a long one does not fill the execution's history (25,000 events). A kill ends the wait.
pub(crate) fn wait_after(age: Duration) -> u16 {
    (age.as_secs() / 20).clamp(FIRST_WAIT.into(), 600) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_target_is_looked_at_less_often() {
        let wait = |seconds| wait_after(Duration::from_secs(seconds));
        assert_eq!((wait(0), wait(600), wait(7200)), (FIRST_WAIT, 30, 360));
    }
}
