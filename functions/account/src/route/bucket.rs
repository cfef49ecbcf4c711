//! The route `import`: the raw disk goes into a bucket in the user's account, in parts side by side, and EC2 makes a
//! snapshot of it (`ec2:ImportSnapshot`).

mod import;
mod parts;
mod permissions;
#[cfg(test)]
mod tests;
mod user_bucket;
mod writer;

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_s3::Client;
use cloudupload::{
    aws::{self, Failure},
    clock::Timestamp,
    job::{Artifacts, BucketArtifacts, ImportTaskId, Intent, Job, SnapshotId, Unrecorded},
    journal::JobLog,
    messages::TransferOutput,
    multipart::{Location, MultipartError},
    retry::RetryBudget,
    store::{Jobs, StoreError},
    target::Ec2Target,
};
use image::slice::Slice;

pub(crate) use self::permissions::permissions;
use self::{
    import::{Import, Status},
    user_bucket::UserBucket,
};
pub use self::{
    parts::{Parts, TooLarge},
    user_bucket::UserBucketError,
    writer::WriteError,
};
use super::{SnapshotStatus, wait_after};
use crate::{Session, messages::RouteSlice, removal::Removal, snapshot, tags::JobTag};

/// The role under which VM Import reads the bucket. `infra/user-account.yaml` makes it.
const SERVICE_ROLE: &str = "obs-cloudupload-vmimport";

/// Whether this route has begun to make anything for the job.
pub(crate) fn has_begun(artifacts: &Artifacts) -> bool {
    artifacts.bucket.disk_began.is_some()
}

/// S3's code for a bucket that is not there, or not known everywhere yet.
const NO_SUCH_BUCKET: &str = "NoSuchBucket";

/// One bucket an account and region. A user's policies can name it beforehand.
pub(crate) fn bucket_name(target: &Ec2Target) -> String {
    format!(
        "obs-cloudupload-{}-{}",
        target.role.account(),
        target.region
    )
}

/// The key of the job's disk in the bucket.
fn object_key(tag: &JobTag) -> String {
    format!("{tag}.raw")
}

/// Time that EC2 may take to show a task to those who ask for it ("Eventual consistency in the Amazon EC2 API").
const KNOWN_WITHIN: Duration = Duration::from_secs(300);

/// Attempts at an import whose service role VM Import does not know: a role that was made just before is known after a
/// minute or two (IAM user guide, "Troubleshoot IAM", changes that are not always immediately visible). About that long.
const NEW_ROLE: RetryBudget = RetryBudget {
    attempts: 17,
    first: Duration::from_secs(2),
    longest: Duration::from_secs(20),
};

/// Attempts to cancel an import task until it is over.
const CANCEL: RetryBudget = RetryBudget {
    attempts: 18,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(2),
};

/// The time that an import of so many bytes may take: AWS promises no duration, and 5 to 20 minutes are seen for a few
/// GiB. Two hours, and a second more for each MiB.
fn import_budget(bytes: u64) -> Duration {
    Duration::from_secs(2 * 3600 + (bytes >> 20))
}

/// Why this route cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error("{0}")]
    UserBucket(#[from] UserBucketError),
    #[error("{0}")]
    TooLarge(#[from] TooLarge),
    #[error("{0}")]
    Multipart(#[from] MultipartError),
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Unrecorded(#[from] Unrecorded),
    #[error("{task} is at {percent}% ({message}) after {} s: given up", .waited.as_secs())]
    TooSlow {
        task: ImportTaskId,
        percent: u8,
        message: String,
        waited: Duration,
    },
    #[error("ec2:ImportSnapshot: {task} is {status}: {message}")]
    Over {
        task: ImportTaskId,
        status: String,
        message: String,
    },
    #[error("{snapshot}, which {task} made, is gone")]
    Gone {
        snapshot: SnapshotId,
        task: ImportTaskId,
    },
}

/// The route of one job.
#[derive(Clone, Debug)]
pub struct BucketRoute<'a> {
    session: &'a Session<'a>,
    jobs: &'a Jobs,
    log: JobLog,
}

impl<'a> BucketRoute<'a> {
    pub fn new(session: &'a Session<'a>, jobs: &'a Jobs, log: JobLog) -> Self {
        Self { session, jobs, log }
    }

    fn job(&self) -> &Job {
        self.session.job
    }

    fn artifacts(&self) -> &BucketArtifacts {
        &self.job().artifacts.bucket
    }

    fn user_bucket(&self, s3: Client) -> UserBucket {
        let target = &self.job().request.ec2;
        UserBucket {
            s3,
            name: bucket_name(target),
            region: target.region.to_string(),
            owner: target.role.account().to_string(),
        }
    }

    /// Where the job's disk is to be.
    fn disk(&self, s3: Client) -> Location {
        self.user_bucket(s3).object(object_key(&self.session.tag))
    }

    fn s3(&self) -> Client {
        aws::s3(&self.session.config)
    }

    fn target_upload(&self) -> Result<String, Unrecorded> {
        let upload = self.artifacts().target_upload.clone();
        upload.ok_or(Unrecorded("upload into the user's bucket"))
    }

    fn import(&self) -> Import<'_> {
        Import {
            session: self.session,
        }
    }

    /// Makes the bucket if need be, begins the upload, and gives every slice its place in it. What was `found` out about
    /// the disk is recorded together with the upload.
    pub async fn open(
        &self,
        slices: Vec<Slice>,
        found: Artifacts,
    ) -> Result<Vec<RouteSlice>, BucketError> {
        let slices = parts::number(slices)?;
        let bucket = self.user_bucket(self.s3());
        if bucket.ensure().await? {
            self.log
                .line(format!("Created bucket {}", bucket.name))
                .await;
        }
        let id = self.job().id;
        self.jobs.intend(id, Intent::Disk).await?;
        // Slices may go into the upload of an earlier run of this step already: that is the one that counts.
        let upload = match &self.artifacts().target_upload {
            Some(upload) => upload.clone(),
            None => {
                let begun = bucket.object(object_key(&self.session.tag)).begin().await;
                let begun = begun.map_err(|failure| failure.transient_on(&[NO_SUCH_BUCKET]))?;
                begun.id().to_owned()
            }
        };
        let update = Artifacts {
            bucket: BucketArtifacts {
                target_upload: Some(upload),
                ..BucketArtifacts::default()
            },
            ..found
        };
        self.jobs.record_once(id, &update).await?;
        Ok(slices)
    }

    /// Makes the parts one object, and starts its import. Gives the line for the log.
    pub async fn seal(&self, slices: &[TransferOutput]) -> Result<String, BucketError> {
        let bytes = slices.iter().map(|slice| slice.bytes).sum();
        let disk = self.disk(self.s3());
        let upload = disk.clone().upload(self.target_upload()?);
        upload.complete(bytes).await?;
        let id = self.job().id;
        self.jobs.intend(id, Intent::Import).await?;
        let task = self.start_import(&disk).await?;
        let update = Artifacts {
            bucket: BucketArtifacts {
                disk_size: Some(bytes),
                import_task: Some(task.clone()),
                ..BucketArtifacts::default()
            },
            ..Artifacts::default()
        };
        self.jobs.record(id, &update).await?;
        Ok(format!("Importing a disk of {bytes} bytes: {task}"))
    }

    async fn start_import(&self, disk: &Location) -> Result<ImportTaskId, Failure> {
        let mut attempts = NEW_ROLE.start();
        let mut is_told = false;
        loop {
            let failure = match self.import().start(disk).await {
                Err(failure) if is_unknown_role(&failure) => failure,
                started => return started,
            };
            if !is_told {
                let line = format!(
                    "VM Import does not know the role {SERVICE_ROLE}, perhaps not yet: trying again"
                );
                self.log.line(line).await;
                is_told = true;
            }
            if !attempts.again().await {
                return Err(failure);
            }
        }
    }

    /// Looks at the import, records the snapshot as soon as there is one, and tags it.
    pub async fn poll(&self) -> Result<SnapshotStatus, BucketError> {
        let artifacts = self.artifacts();
        let (Some(task), Some(began), Some(size)) = (
            &artifacts.import_task,
            artifacts.import_began,
            artifacts.disk_size,
        ) else {
            return Err(Unrecorded("import task").into());
        };
        let waited = Timestamp::now().since(began);
        let in_time = waited <= import_budget(size);
        let wait = wait_after(waited);
        match self.import_status(task, waited).await? {
            Status::Completed { snapshot } => {
                if self.take(&snapshot).await? {
                    return Ok(SnapshotStatus::Ready(snapshot));
                }
                if !in_time {
                    let task = task.clone();
                    return Err(BucketError::Gone { snapshot, task });
                }
                Ok(SnapshotStatus::Working {
                    percent: None,
                    line: format!("EC2 does not know {snapshot} yet"),
                    wait,
                })
            }
            Status::Active { percent, message } if in_time => Ok(SnapshotStatus::Working {
                percent: Some(percent),
                line: format!("Imported {percent}% ({message})"),
                wait,
            }),
            Status::Active { percent, message } => Err(BucketError::TooSlow {
                task: task.clone(),
                percent,
                message,
                waited,
            }),
            Status::Over { status, message } => Err(BucketError::Over {
                task: task.clone(),
                status,
                message,
            }),
        }
    }

    async fn import_status(
        &self,
        task: &ImportTaskId,
        waited: Duration,
    ) -> Result<Status, Failure> {
        Ok(match self.import().status(task).await? {
            Some(status) => status,
            None if waited <= KNOWN_WITHIN => Status::Active {
                percent: 0,
                message: "EC2 does not know it yet".to_owned(),
            },
            None => Status::Over {
                status: "unknown".to_owned(),
                message: "EC2 does not know it any more".to_owned(),
            },
        })
    }

    /// Records the snapshot and tags it, in this order: the clean-up finds what is in the record. Answers whether EC2
    /// knows the snapshot: one that was made a moment ago may not be known everywhere.
    async fn take(&self, snapshot: &SnapshotId) -> Result<bool, BucketError> {
        let update = Artifacts {
            snapshot: Some(snapshot.clone()),
            ..Artifacts::default()
        };
        self.jobs.record(self.job().id, &update).await?;
        Ok(snapshot::tag(self.session, snapshot).await?)
    }

    /// Removes all that this route made: the undo of [`open`](Self::open), the writers and [`seal`](Self::seal). Gives the
    /// snapshots that it made.
    pub async fn remove(&self, removal: &mut Removal<'_>) -> BTreeSet<SnapshotId> {
        // In this order: an import that begins late finds no disk.
        self.remove_target(removal).await;
        let mut snapshots = self.end_imports(removal).await;
        snapshots.extend(self.job().artifacts.snapshot.clone());
        snapshots
    }

    /// Removes the disk, with all uploads of it: the undo of [`open`](Self::open) and of the writers.
    pub async fn remove_target(&self, removal: &mut Removal<'_>) {
        let removed = self.disk(self.s3()).remove().await;
        removal.note("the disk in your bucket", removed).await;
    }

    /// Ends all import tasks: the undo of [`seal`](Self::seal). Gives the snapshots that they made.
    async fn end_imports(&self, removal: &mut Removal<'_>) -> BTreeSet<SnapshotId> {
        let mut snapshots = BTreeSet::new();
        if self.artifacts().import_began.is_none() {
            return snapshots;
        }
        let mut tasks = BTreeSet::from_iter(self.artifacts().import_task.clone());
        let found = self.import().find().await.map(|found| tasks.extend(found));
        removal.note("import tasks, if there are any", found).await;
        for task in tasks {
            let ended = self.end_import(&task).await;
            let ended = ended.map(|snapshot| snapshots.extend(snapshot));
            removal
                .note(&format!("the import task {task}"), ended)
                .await;
        }
        snapshots
    }

    /// Cancels an import task. It may complete meanwhile: then there is a snapshot.
    async fn end_import(&self, task: &ImportTaskId) -> Result<Option<SnapshotId>, Failure> {
        let mut attempts = CANCEL.start();
        loop {
            let cancelled = match self.import().status(task).await? {
                Some(Status::Active { .. }) => self.import().cancel(task).await,
                Some(Status::Completed { snapshot }) => return Ok(Some(snapshot)),
                Some(Status::Over { .. }) | None => return Ok(None),
            };
            if !attempts.again().await {
                cancelled?;
                let tries = CANCEL.attempts;
                let message = format!("{task} is still at work after {tries} tries to cancel it");
                return Err(Failure::unexpected("ec2:CancelImportTask", message));
            }
        }
    }
}

/// Whether VM Import refused because it does not know the service role, or may not use it; it does not say which.
fn is_unknown_role(failure: &Failure) -> bool {
    failure.has_code("InvalidParameter")
        && failure.message.contains("service role")
        && failure
            .message
            .contains("does not exist or does not have sufficient permissions")
}
