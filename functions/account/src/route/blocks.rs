//! A snapshot that is written block by block, by the EBS direct APIs. The routes `direct` and `copy` share it: it lies in
//! the user's account or in the service's own.
//!
//! Facts of EBS (EBS user guide, "Use EBS direct APIs to access the contents of an EBS snapshot"; EBS direct API
//! reference): a block has 512 KiB; it may be written again and again while the snapshot is pending; what was not written
//! reads as zeros, but in an encrypted snapshot as noise.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_sdk_ebs::types::SseType;
use aws_sdk_ec2::types::{Filter, Snapshot, SnapshotState};
use base64::{Engine, prelude::BASE64_STANDARD};
use cloudupload::{
    aws::{self, Failure, RetryCount},
    clock::Timestamp,
    job::{Artifacts, BlocksArtifacts, Intent, Job, SnapshotId, Unrecorded},
    messages::TransferOutput,
    store::{Jobs, StoreError},
    target::Encryption,
};
use image::{
    plan::{self, SIDE_BY_SIDE, TooSlow},
    slice::{Slice, SliceReader},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::writer::WriteError;
use self::{reader::BlockReader, writer::BlockWriter};
use super::{SliceTarget, SnapshotStatus, short_wait};
use crate::{
    messages::RouteSlice,
    pace::Pace,
    tags::{self, JobTag},
};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512 << 10;

/// The checksum of a block, as PutSnapshotBlock takes it: SHA-256 in Base64.
pub(crate) fn checksum(block: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(block))
}

const GIB: u64 = 1 << 30;

/// The largest volume, in GiB (EBS direct API reference, StartSnapshot, `VolumeSize`).
const MAX_VOLUME: u64 = 64 << 10;

/// Minutes that EBS waits for the next call on a pending snapshot before it gives the snapshot up: longer than a step can
/// be silent, all its retries included, which is 2 hours and a quarter (`infra/upload.asl.json`, of `Transfer`: 60 pauses
/// of a minute while Lambda has no room, and 5 runs of 15 minutes). What nobody completes or deletes is gone after it.
const IDLE_MINUTES: i32 = 240;

/// The call that starts a snapshot.
pub(super) const START: &str = "ebs:StartSnapshot";

/// EBS's codes for a snapshot that it does not know.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// EBS's codes for "later": other snapshots of the account are pending, or are just being started.
const QUOTA: [&str; 2] = [
    "ServiceQuotaExceededException",
    "ConcurrentLimitExceededException",
];

/// The time that EBS may take to complete a snapshot of so many GiB: seconds are seen, and nothing is promised. An hour,
/// and ten seconds more for each GiB.
fn completion_budget(gib: u64) -> Duration {
    Duration::from_secs(3600 + 10 * gib)
}

/// Whole GiB of a volume for a disk of so many bytes.
fn volume_gib(bytes: u64) -> u64 {
    bytes.div_ceil(GIB).max(1)
}

/// Why a snapshot cannot be written in blocks.
#[derive(Debug, thiserror::Error)]
pub enum BlocksError {
    #[error("the disk has {gib} GiB, and EBS takes no more than {MAX_VOLUME}: make it smaller")]
    TooLarge { gib: u64 },
    #[error("{0}")]
    TooSlow(#[from] TooSlow),
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Unrecorded(#[from] Unrecorded),
    #[error(
        "kms_key_id is an alias, which the route direct cannot use: give the key's ARN or id, or another route"
    )]
    Alias,
    #[error("{snapshot} is {state}{message}")]
    Broken {
        snapshot: SnapshotId,
        state: String,
        message: String,
    },
    #[error("{snapshot} is at {progress} after {} s: given up", .waited.as_secs())]
    NotCompleted {
        snapshot: SnapshotId,
        progress: String,
        waited: Duration,
    },
}

/// What a slice is to become: blocks. The one that it ends in is its own, so that it may need the bytes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// The slice after it.
    #[serde(default)]
    pub next: Option<Slice>,
    /// Slices of the job that are written at a time, this one included.
    pub peers: u32,
}

/// Gives each slice the one after it.
pub(super) fn pair(slices: Vec<Slice>) -> Vec<RouteSlice> {
    let next = slices.iter().skip(1).cloned().map(Some).chain([None]);
    let next: Vec<Option<Slice>> = next.collect();
    let at_a_time = u32::try_from(SIDE_BY_SIDE).unwrap_or(u32::MAX);
    let left = (1..=u32::try_from(slices.len()).unwrap_or(u32::MAX)).rev();
    let pairs = slices.into_iter().zip(next).zip(left);
    pairs
        .map(|((slice, next), left)| RouteSlice {
            slice,
            target: SliceTarget::Blocks(Blocks {
                next,
                peers: left.min(at_a_time),
            }),
        })
        .collect()
}

/// A snapshot to start.
#[derive(Clone, Debug)]
pub(super) struct New<'a> {
    /// Bytes of the disk.
    pub(super) volume_bytes: u64,
    pub(super) slices: &'a [Slice],
    pub(super) encryption: &'a Encryption,
    /// The key, where one is wished.
    pub(super) key_arn: Option<String>,
    /// Whether it may become an encrypted copy, in which blocks that were not written read as noise.
    pub(super) is_copied_encrypted: bool,
}

/// A snapshot as `DescribeSnapshots` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Completed,
    Pending { progress: String },
}

/// The way to the one snapshot of a job, in whatever account the clients are for.
#[derive(Clone, Debug)]
pub(super) struct BlockSnapshot<'a> {
    pub(super) job: &'a Job,
    pub(super) tag: &'a JobTag,
    pub(super) jobs: &'a Jobs,
    pub(super) ebs: aws_sdk_ebs::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
}

impl BlockSnapshot<'_> {
    fn artifacts(&self) -> &BlocksArtifacts {
        &self.job.artifacts.blocks
    }

    pub(super) fn id(&self) -> Result<&SnapshotId, Unrecorded> {
        let id = self.artifacts().block_snapshot.as_ref();
        id.ok_or(Unrecorded("snapshot to write"))
    }

    /// Starts the snapshot, and records it together with what was `found` out about the disk. Idempotent, by its client
    /// token. Answers whether it is encrypted.
    pub(super) async fn start(&self, new: New<'_>, found: Artifacts) -> Result<bool, BlocksError> {
        let gib = volume_gib(new.volume_bytes);
        if gib > MAX_VOLUME {
            return Err(BlocksError::TooLarge { gib });
        }
        self.jobs.intend(self.job.id, Intent::Snapshot).await?;
        let answer = self
            .ebs
            .start_snapshot()
            .volume_size(gib as i64)
            .description(tags::origin(self.job))
            .set_tags(Some(tags::all_for_ebs(self.job, self.tag)))
            .client_token(self.tag.client_token())
            .timeout(IDLE_MINUTES)
            .set_encrypted(new.encryption.is_wished().then_some(true))
            .set_kms_key_arn(new.key_arn)
            .send()
            .await
            .map_err(Failure::of(START))
            .map_err(|failure| failure.transient_on(&QUOTA))?;
        let is_encrypted =
            answer.kms_key_arn.is_some() || !matches!(answer.sse_type, None | Some(SseType::None));
        let id = answer.snapshot_id.unwrap_or_default().parse();
        let id: SnapshotId = id.map_err(|bad| Failure::unexpected(START, format!("{bad}")))?;
        let writes_zeros = is_encrypted || new.is_copied_encrypted;
        let blocks = BlocksArtifacts {
            block_snapshot: Some(id),
            volume_gib: Some(gib),
            writes_zeros: Some(writes_zeros),
            ..BlocksArtifacts::default()
        };
        let update = Artifacts { blocks, ..found };
        self.jobs.record_once(self.job.id, &update).await?;
        if writes_zeros {
            plan::check_time_written(new.slices, new.volume_bytes)?;
        }
        Ok(is_encrypted)
    }

    /// Writes the blocks of one slice, and answers how many bytes the slice had and how many blocks were written.
    pub(super) async fn write<'s>(
        &self,
        start: u64,
        slice: &mut SliceReader<'s>,
        next: Option<SliceReader<'s>>,
        pace: Arc<Pace>,
        retries: &RetryCount,
    ) -> Result<TransferOutput, WriteError> {
        let artifacts = self.artifacts();
        let (Some(gib), Some(writes_zeros)) = (artifacts.volume_gib, artifacts.writes_zeros) else {
            return Err(Unrecorded("size of the snapshot").into());
        };
        let writer = BlockWriter {
            ebs: self.ebs.clone(),
            snapshot: self.id()?.clone(),
            volume: gib * GIB / BLOCK as u64,
            writes_zeros,
            pace,
            retries: retries.clone(),
        };
        writer.write(BlockReader::new(start, slice, next)).await
    }

    /// Completes the snapshot, of which all slices together have written so many blocks. Idempotent.
    pub(super) async fn complete(&self, slices: &[TransferOutput]) -> Result<String, BlocksError> {
        let blocks: u64 = slices.iter().filter_map(|slice| slice.blocks).sum();
        let count = i32::try_from(blocks)
            .map_err(|_| Failure::unexpected("ebs:CompleteSnapshot", "too many blocks"))?;
        let id = self.id()?;
        let answer = self
            .ebs
            .complete_snapshot()
            .snapshot_id(id.as_str())
            .changed_blocks_count(count)
            .send()
            .await
            .map_err(Failure::of("ebs:CompleteSnapshot"));
        if let Err(failure) = answer
            && !self.is_sealed_already(&failure).await?
        {
            return Err(failure.into());
        }
        let update = Artifacts {
            blocks: BlocksArtifacts {
                sealed: Some(Timestamp::now()),
                ..BlocksArtifacts::default()
            },
            ..Artifacts::default()
        };
        self.jobs.record_once(self.job.id, &update).await?;
        let bytes: u64 = slices.iter().map(|slice| slice.bytes).sum();
        Ok(format!(
            "Wrote {blocks} blocks of a disk of {bytes} bytes: {id}"
        ))
    }

    /// Whether a refusal means that an earlier call, whose answer was lost, has completed the snapshot: EC2 shows it as
    /// completed then, sooner or later.
    async fn is_sealed_already(&self, failure: &Failure) -> Result<bool, BlocksError> {
        if failure.transient || failure.has_code("AccessDeniedException") {
            return Ok(false);
        }
        let snapshot = describe(&self.ec2, self.id()?).await?;
        Ok(snapshot.is_some_and(|snapshot| snapshot.state == Some(SnapshotState::Completed)))
    }

    /// What to wait for, unless the sealed snapshot is complete.
    pub(super) async fn wait(&self) -> Result<Option<SnapshotStatus>, BlocksError> {
        let id = self.id()?;
        let (Some(sealed), Some(gib)) = (self.artifacts().sealed, self.artifacts().volume_gib)
        else {
            return Err(Unrecorded("end of the snapshot").into());
        };
        let waited = Timestamp::now().since(sealed);
        let look = look(&self.ec2, id, waited, completion_budget(gib)).await?;
        Ok(match look {
            Look::Completed => None,
            Look::Pending { progress } => Some(SnapshotStatus::Working {
                percent: None,
                line: format!("EBS completes {id}: it is at {progress}"),
                wait: short_wait(waited),
            }),
        })
    }

    /// All snapshots of the job in the account, which are to be deleted: the undo of [`start`](Self::start).
    pub(super) async fn find(&self) -> Result<BTreeSet<SnapshotId>, Failure> {
        find(&self.ec2, self.tag).await
    }
}

/// The snapshot, if EC2 knows it.
pub(super) async fn describe(
    ec2: &aws_sdk_ec2::Client,
    id: &SnapshotId,
) -> Result<Option<Snapshot>, Failure> {
    let answer = ec2
        .describe_snapshots()
        .snapshot_ids(id.as_str())
        .send()
        .await
        .map_err(Failure::of("ec2:DescribeSnapshots"));
    let answer = aws::ok_on_codes(&[crate::snapshot::NOT_FOUND], answer)?;
    Ok(answer.and_then(|answer| answer.snapshots?.into_iter().next()))
}

/// How far a snapshot is, on which EC2 has worked for a while. One that was made a moment ago may not be known everywhere.
pub(super) async fn look(
    ec2: &aws_sdk_ec2::Client,
    id: &SnapshotId,
    waited: Duration,
    budget: Duration,
) -> Result<Look, BlocksError> {
    let snapshot = describe(ec2, id).await?;
    let state = snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.state.clone());
    let progress = match &snapshot {
        None => "no place that EC2 knows".to_owned(),
        Some(snapshot) => match snapshot.progress() {
            None | Some("") => "0%".to_owned(),
            Some(progress) => progress.to_owned(),
        },
    };
    match state {
        Some(SnapshotState::Completed) => Ok(Look::Completed),
        Some(SnapshotState::Pending) | None if waited <= budget => Ok(Look::Pending { progress }),
        Some(SnapshotState::Pending) | None => Err(BlocksError::NotCompleted {
            snapshot: id.clone(),
            progress,
            waited,
        }),
        Some(state) => Err(BlocksError::Broken {
            snapshot: id.clone(),
            state: state.to_string(),
            message: snapshot
                .and_then(|snapshot| snapshot.state_message)
                .map(|message| format!(": {message}"))
                .unwrap_or_default(),
        }),
    }
}

/// The snapshots of an account that have the job's tag.
pub(super) async fn find(
    ec2: &aws_sdk_ec2::Client,
    tag: &JobTag,
) -> Result<BTreeSet<SnapshotId>, Failure> {
    let filter = Filter::builder()
        .name(format!("tag:{}", tags::JOB))
        .values(tag.to_string())
        .build();
    let answer = ec2
        .describe_snapshots()
        .owner_ids("self")
        .filters(filter)
        .send()
        .await
        .map_err(Failure::of("ec2:DescribeSnapshots"))?;
    let found = answer.snapshots.unwrap_or_default();
    let ids = found
        .into_iter()
        .filter_map(|snapshot| snapshot.snapshot_id);
    ids.map(|id| {
        id.parse()
            .map_err(|bad| Failure::unexpected("ec2:DescribeSnapshots", format!("{bad}")))
    })
    .collect()
}
