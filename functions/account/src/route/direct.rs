//! The route `direct`: blocks go straight into a snapshot in the user's account (EBS direct APIs). It needs no bucket and
//! no service role, and takes seconds.

use std::{collections::BTreeSet, sync::Arc};

use cloudupload::{
    aws::RetryCount,
    job::{Artifacts, SnapshotId},
    messages::TransferOutput,
    store::Jobs,
};
use image::slice::{Slice, SliceReader};
use serde_json::Value;

use super::{
    SnapshotStatus,
    blocks::{self, BlockSnapshot, BlocksError, New, WriteError},
};
use crate::{
    Session,
    messages::RouteSlice,
    pace::Pace,
    policy::{Purpose, Scope},
    removal::Removal,
};

/// The route of one job.
#[derive(Clone, Debug)]
pub struct DirectRoute<'a> {
    session: &'a Session<'a>,
    jobs: &'a Jobs,
}

impl<'a> DirectRoute<'a> {
    pub(crate) fn new(session: &'a Session<'a>, jobs: &'a Jobs) -> Self {
        Self { session, jobs }
    }

    fn snapshot(&self) -> BlockSnapshot<'_> {
        BlockSnapshot {
            job: self.session.job,
            tag: &self.session.tag,
            jobs: self.jobs,
            ebs: self.session.ebs.clone(),
            ec2: self.session.ec2.clone(),
        }
    }

    /// Starts the snapshot.
    pub(super) async fn open(
        &self,
        slices: Vec<Slice>,
        volume_bytes: u64,
        found: Artifacts,
    ) -> Result<Vec<RouteSlice>, BlocksError> {
        let target = &self.session.job.request.ec2;
        let encryption = target.encryption();
        let key_arn = target.kms_key_arn();
        if encryption.key().is_some() && key_arn.is_none() {
            return Err(BlocksError::Alias);
        }
        let new = New {
            volume_bytes,
            slices: &slices,
            encryption,
            key_arn,
            is_copied_encrypted: false,
        };
        self.snapshot().start(new, found).await?;
        Ok(blocks::pair(slices))
    }

    pub(super) async fn write<'s>(
        &self,
        start: u64,
        slice: &mut SliceReader<'s>,
        next: Option<SliceReader<'s>>,
        pace: Arc<Pace>,
        retries: &RetryCount,
    ) -> Result<TransferOutput, WriteError> {
        self.snapshot()
            .write(start, slice, next, pace, retries)
            .await
    }

    pub(super) async fn seal(&self, slices: &[TransferOutput]) -> Result<String, BlocksError> {
        self.snapshot().complete(slices).await
    }

    /// Looks whether the snapshot is complete. It has its tags from the start.
    pub(super) async fn poll(&self) -> Result<SnapshotStatus, BlocksError> {
        let snapshot = self.snapshot();
        if let Some(working) = snapshot.wait().await? {
            return Ok(working);
        }
        let id = snapshot.id()?.clone();
        let update = Artifacts {
            snapshot: Some(id.clone()),
            ..Artifacts::default()
        };
        self.jobs.record(self.session.job.id, &update).await?;
        Ok(SnapshotStatus::Ready(id))
    }

    /// The snapshots that this route made, which are to be deleted: the undo of [`open`](Self::open). A snapshot that is
    /// deleted takes no blocks any more, nor can it be completed.
    pub(super) async fn remove(&self, removal: &mut Removal<'_>) -> BTreeSet<SnapshotId> {
        let artifacts = &self.session.job.artifacts;
        let mut snapshots = BTreeSet::from_iter(artifacts.blocks.block_snapshot.clone());
        snapshots.extend(artifacts.snapshot.clone());
        let found = self.snapshot().find().await;
        let found = found.map(|found| snapshots.extend(found));
        removal.note("snapshots, if there are any", found).await;
        snapshots
    }
}

/// What each step needs for this route in the user's account.
pub(super) fn permissions(purpose: Purpose, scope: &Scope<'_>) -> Vec<Value> {
    let on_snapshot = |actions: &[&str]| {
        let id = scope.job.artifacts.blocks.block_snapshot.as_ref();
        let id = id.map_or("*", SnapshotId::as_str);
        scope.resource(actions, &scope.snapshot_arn(id))
    };
    match purpose {
        Purpose::Open => vec![
            scope.resource(&["ebs:StartSnapshot"], &scope.snapshot_arn("*")),
            scope.create_tags(),
            scope.keys(),
        ],
        Purpose::Write => vec![on_snapshot(&["ebs:PutSnapshotBlock"]), scope.keys()],
        Purpose::Seal => vec![
            on_snapshot(&["ebs:CompleteSnapshot"]),
            scope.keys(),
            scope.anything(&["ec2:DescribeSnapshots"]),
        ],
        Purpose::Poll | Purpose::RemoveAll => vec![scope.anything(&["ec2:DescribeSnapshots"])],
        Purpose::Preflight | Purpose::Register | Purpose::RemoveTarget | Purpose::RemoveAmi => {
            vec![]
        }
    }
}
