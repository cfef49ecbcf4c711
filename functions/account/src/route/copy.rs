//! The route `copy`: blocks go into a snapshot in the service's own account, in the target's region. It is shared with the
//! user's account, whose role copies it, and deleted again. The role needs no more than `ec2:*`.
//!
//! Facts of EC2 (EBS user guide, "Share an Amazon EBS snapshot", "Copy an Amazon EBS snapshot"): only a complete snapshot
//! can be copied; one that is encrypted with the account's default key cannot be shared; 20 copies at a time go into a
//! region. `CopySnapshot` has no client token (EC2 API reference, "Ensuring idempotency"), and what it made may not be
//! listed at once ("Eventual consistency in the Amazon EC2 API").

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_sdk_ec2::types::{OperationType, ResourceType, SnapshotAttributeName};
use cloudupload::{
    aws::{Failure, RetryCount},
    clock::Timestamp,
    job::{Artifacts, Intent, Job, SnapshotId, Unrecorded},
    journal::JobLog,
    messages::TransferOutput,
    retry::RetryBudget,
    store::Jobs,
    target::{Encryption, Region},
};
use image::slice::{Slice, SliceReader};
use serde_json::Value;

use super::{
    SnapshotStatus,
    blocks::{self, BlockSnapshot, BlocksError, Look, New, WriteError},
    short_wait,
};
use crate::{
    Accounts, Session,
    messages::RouteSlice,
    pace::Pace,
    policy::{Purpose, Scope},
    removal::Removal,
    tags::{self, JobTag},
};

/// Time that EC2 may take to list a copy.
const LISTED_WITHIN: Duration = Duration::from_secs(60);

/// Attempts at a copy that EC2 throttles: half a minute.
const THROTTLED: RetryBudget = RetryBudget {
    attempts: 9,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(10),
};

/// EC2's codes for "20 copies are at work already".
const TOO_MANY_COPIES: [&str; 2] = ["ResourceLimitExceeded", "ConcurrentSnapshotLimitExceeded"];

/// Seconds until the next try when there were too many copies.
const CROWDED_WAIT: u16 = 30;

/// The time that a copy of so many GiB may take: nothing is promised. Two hours, and a minute more for each GiB.
fn copy_budget(gib: u64) -> Duration {
    Duration::from_secs(2 * 3600 + 60 * gib)
}

/// Why this route cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0}")]
    Blocks(#[from] BlocksError),
    #[error(
        "the service's own account encrypts all snapshots in {region}, and such a one cannot be shared with yours: grant \
         your role ebs:StartSnapshot, ebs:PutSnapshotBlock and ebs:CompleteSnapshot, by which the image comes without a \
         copy, or ask the operator to switch off EBS encryption by default in {region}"
    )]
    Encrypted { region: Region },
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("{0}")]
    Store(#[from] cloudupload::store::StoreError),
    #[error("{0}")]
    Unrecorded(#[from] Unrecorded),
}

/// The snapshot in the service's own account.
#[derive(Clone, Debug)]
pub struct SharedSnapshot<'a> {
    job: &'a Job,
    tag: JobTag,
    jobs: &'a Jobs,
    ebs: aws_sdk_ebs::Client,
    ec2: aws_sdk_ec2::Client,
}

impl<'a> SharedSnapshot<'a> {
    /// Of a job, if it takes this route. No session in the user's account is needed.
    pub fn of(accounts: &Accounts, job: &'a Job, jobs: &'a Jobs) -> Self {
        let config = accounts.own_in(&job.request.ec2.region);
        Self {
            job,
            tag: JobTag::new(&accounts.deployment, job.id),
            jobs,
            ebs: aws_sdk_ebs::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
        }
    }

    fn blocks(&self) -> BlockSnapshot<'_> {
        BlockSnapshot {
            job: self.job,
            tag: &self.tag,
            jobs: self.jobs,
            ebs: self.ebs.clone(),
            ec2: self.ec2.clone(),
        }
    }

    /// Lets the user's account, and no other, copy the snapshot.
    async fn share(&self, id: &SnapshotId) -> Result<(), Failure> {
        self.ec2
            .modify_snapshot_attribute()
            .snapshot_id(id.as_str())
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .operation_type(OperationType::Add)
            .user_ids(self.job.request.ec2.role.account().to_string())
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("ec2:ModifySnapshotAttribute"))
    }

    /// All snapshots of the job, also one that is recorded and not listed yet. One that is gone is not named: who may delete
    /// what has a tag may not delete what is not there.
    async fn find_all(&self) -> Result<BTreeSet<SnapshotId>, Failure> {
        let mut found = self.blocks().find().await?;
        let recorded = &self.job.artifacts.blocks.block_snapshot;
        if let Some(id) = recorded
            && !found.contains(id)
            && blocks::describe(&self.ec2, id).await?.is_some()
        {
            found.insert(id.clone());
        }
        Ok(found)
    }

    /// Deletes the snapshot, and any other that the job has in this account: the undo of [`CopyRoute::open`].
    pub async fn remove(&self, removal: &mut Removal<'_>) {
        let mut snapshots = BTreeSet::new();
        let found = self.find_all().await;
        let found = found.map(|found| snapshots.extend(found));
        removal
            .note("snapshots of the service's own, if there are any", found)
            .await;
        for id in snapshots {
            let removed = crate::snapshot::delete(&self.ec2, &id).await;
            let what = format!("the service's own snapshot {id}");
            removal.note(&what, removed).await;
        }
    }
}

/// The route of one job.
#[derive(Clone, Debug)]
pub struct CopyRoute<'a> {
    session: &'a Session<'a>,
    shared: SharedSnapshot<'a>,
    log: JobLog,
}

impl<'a> CopyRoute<'a> {
    pub(crate) fn new(session: &'a Session<'a>, jobs: &'a Jobs, log: JobLog) -> Self {
        let shared = SharedSnapshot::of(&session.accounts, session.job, jobs);
        Self {
            session,
            shared,
            log,
        }
    }

    fn job(&self) -> &Job {
        self.session.job
    }

    /// Starts the snapshot in the service's own account.
    pub(super) async fn open(
        &self,
        slices: Vec<Slice>,
        volume_bytes: u64,
        found: Artifacts,
    ) -> Result<Vec<RouteSlice>, CopyError> {
        let new = New {
            volume_bytes,
            slices: &slices,
            encryption: &Encryption::Default,
            key_arn: None,
            is_copied_encrypted: self.is_copied_encrypted().await?,
        };
        if self.shared.blocks().start(new, found).await? {
            let region = self.job().request.ec2.region;
            return Err(CopyError::Encrypted { region });
        }
        Ok(blocks::pair(slices))
    }

    /// Whether the copy will be encrypted: by the user's wish, or as the account does with all. Taken for granted where the
    /// role may not tell.
    async fn is_copied_encrypted(&self) -> Result<bool, Failure> {
        if self.job().request.ec2.encryption().is_wished() {
            return Ok(true);
        }
        let answer = self
            .session
            .ec2
            .get_ebs_encryption_by_default()
            .send()
            .await;
        match answer.map_err(Failure::of("ec2:GetEbsEncryptionByDefault")) {
            Ok(answer) => Ok(answer.ebs_encryption_by_default != Some(false)),
            Err(failure) if failure.transient => Err(failure),
            Err(failure) => {
                let line = format!(
                    "{failure}: so that the copy may be encrypted, blocks of zeros are written, too, which takes longer."
                );
                self.log.line(line).await;
                Ok(true)
            }
        }
    }

    pub(super) async fn write<'s>(
        &self,
        start: u64,
        slice: &mut SliceReader<'s>,
        next: Option<SliceReader<'s>>,
        pace: Arc<Pace>,
        retries: &RetryCount,
    ) -> Result<TransferOutput, WriteError> {
        let blocks = self.shared.blocks();
        blocks.write(start, slice, next, pace, retries).await
    }

    pub(super) async fn seal(&self, slices: &[TransferOutput]) -> Result<String, CopyError> {
        Ok(self.shared.blocks().complete(slices).await?)
    }

    /// Takes the next step on the way: from the snapshot that is complete to its copy, and on until that is.
    pub(super) async fn poll(&self) -> Result<SnapshotStatus, CopyError> {
        if let Some(copy) = &self.job().artifacts.snapshot {
            return self.look_at(copy).await;
        }
        let blocks = self.shared.blocks();
        let id = blocks.id()?;
        match blocks.wait().await? {
            Some(working) => Ok(working),
            None => self.copy(id).await,
        }
    }

    /// Begins the copy, if no earlier run of this step has.
    async fn copy(&self, id: &SnapshotId) -> Result<SnapshotStatus, CopyError> {
        let began = self.job().artifacts.blocks.copy_began;
        if began.is_some() {
            if let Some(copy) = blocks::find(&self.session.ec2, &self.session.tag)
                .await?
                .pop_first()
            {
                return self.take(copy).await;
            }
            if age(began) < LISTED_WITHIN {
                return Ok(SnapshotStatus::Working {
                    percent: None,
                    line: "A copy may have begun, of which EC2 does not tell yet".to_owned(),
                    wait: 10,
                });
            }
        }
        self.shared.share(id).await?;
        self.shared.jobs.intend(self.job().id, Intent::Copy).await?;
        let mut attempts = THROTTLED.start();
        let begun = loop {
            match self.begin_copy(id).await {
                // Nothing was made of a call that was throttled.
                Err(failure)
                    if failure.has_any_code(THROTTLING_ERRORS) && attempts.again().await => {}
                begun => break begun,
            }
        };
        match begun {
            Ok(copy) => self.take(copy).await,
            Err(failure) if failure.has_any_code(&TOO_MANY_COPIES) => Ok(SnapshotStatus::Working {
                percent: None,
                line: format!("{failure}: waiting for other copies to end"),
                wait: CROWDED_WAIT,
            }),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn begin_copy(&self, id: &SnapshotId) -> Result<SnapshotId, Failure> {
        let request = &self.job().request;
        let encryption = request.ec2.encryption();
        let answer = self
            .session
            .ec2
            .copy_snapshot()
            .source_region(request.ec2.region.to_string())
            .source_snapshot_id(id.as_str())
            .description(tags::origin(self.job()))
            .tag_specifications(tags::specification(
                ResourceType::Snapshot,
                self.job(),
                &self.session.tag,
            ))
            .set_encrypted(encryption.is_wished().then_some(true))
            .set_kms_key_id(encryption.key().map(|key| key.as_str().to_owned()))
            .customize()
            // An answer that was lost must not become a second copy: this step runs again, and looks for the first.
            .config_override(
                aws_sdk_ec2::config::Config::builder()
                    .retry_config(aws_sdk_ec2::config::retry::RetryConfig::disabled()),
            )
            .send()
            .await
            .map_err(Failure::of("ec2:CopySnapshot"))?;
        let copy = answer.snapshot_id.unwrap_or_default().parse();
        copy.map_err(|bad| Failure::unexpected("ec2:CopySnapshot", format!("{bad}")))
    }

    async fn take(&self, copy: SnapshotId) -> Result<SnapshotStatus, CopyError> {
        let update = Artifacts {
            snapshot: Some(copy.clone()),
            ..Artifacts::default()
        };
        self.shared.jobs.record(self.job().id, &update).await?;
        Ok(SnapshotStatus::Working {
            percent: Some(0),
            line: format!("Copying into your account: {copy}"),
            wait: short_wait(Duration::ZERO),
        })
    }

    /// How far the copy is. It has its tags from the start.
    async fn look_at(&self, copy: &SnapshotId) -> Result<SnapshotStatus, CopyError> {
        let artifacts = &self.job().artifacts.blocks;
        let waited = age(artifacts.copy_began);
        let budget = copy_budget(artifacts.volume_gib.unwrap_or_default());
        match blocks::look(&self.session.ec2, copy, waited, budget).await? {
            Look::Completed => Ok(SnapshotStatus::Ready(copy.clone())),
            Look::Pending { progress } => Ok(SnapshotStatus::Working {
                percent: progress
                    .strip_suffix('%')
                    .and_then(|text| text.parse().ok()),
                line: format!("Copied: {copy} is at {progress}"),
                wait: short_wait(waited),
            }),
        }
    }

    /// The copies, which are to be deleted: the undo of [`poll`](Self::poll). The snapshot that they are made of is removed
    /// without a session ([`SharedSnapshot::remove`]).
    pub(super) async fn remove(&self, removal: &mut Removal<'_>) -> BTreeSet<SnapshotId> {
        let mut copies = self.copies(removal).await;
        copies.extend(self.job().artifacts.snapshot.clone());
        copies
    }

    /// All copies that can be found.
    async fn copies(&self, removal: &mut Removal<'_>) -> BTreeSet<SnapshotId> {
        let mut copies = BTreeSet::new();
        if self.job().artifacts.blocks.copy_began.is_some() {
            let found = blocks::find(&self.session.ec2, &self.session.tag).await;
            let found = found.map(|found| copies.extend(found));
            removal.note("snapshots, if there are any", found).await;
        }
        copies
    }

    /// Removes all copies but that of the AMI: there are more where the answer of a call was lost.
    pub(super) async fn remove_target(&self, removal: &mut Removal<'_>) {
        let mut copies = self.copies(removal).await;
        if let Some(kept) = &self.job().artifacts.snapshot {
            copies.remove(kept);
        }
        for copy in copies {
            let removed = crate::snapshot::delete(&self.session.ec2, &copy).await;
            let what = format!("the snapshot {copy}, a second copy");
            removal.note(&what, removed).await;
        }
    }
}

fn age(since: Option<Timestamp>) -> Duration {
    let now = Timestamp::now();
    now.since(since.unwrap_or(now))
}

/// What each step needs for this route in the user's account.
pub(super) fn permissions(purpose: Purpose, scope: &Scope<'_>) -> Vec<Value> {
    match purpose {
        Purpose::Open => vec![scope.anything(&["ec2:GetEbsEncryptionByDefault"])],
        Purpose::Preflight
        | Purpose::Write
        | Purpose::Seal
        | Purpose::Register
        | Purpose::RemoveAmi => vec![],
        Purpose::Poll => vec![
            scope.anything(&["ec2:DescribeSnapshots", "ec2:CopySnapshot"]),
            scope.keys(),
        ],
        Purpose::RemoveTarget => vec![
            scope.anything(&["ec2:DescribeSnapshots"]),
            scope.tagged(&["ec2:DeleteSnapshot"]),
        ],
        Purpose::RemoveAll => vec![scope.anything(&["ec2:DescribeSnapshots"])],
    }
}
