//! What was made for a job and is not its AMI goes away: whatever the record says was begun, and nothing is asked about
//! what was not. Every part is tried, whatever becomes of the others, and may be tried again; what could not be removed is
//! told in the job's log.
//!
//! What others are made of goes first, so that a step that was given up and still runs finds nothing to make anything of:
//! no parts to make an object of, no object to import, no snapshot to register.

use std::{collections::BTreeSet, time::Duration};

use account::{Ami, Import, Session, Status};
use aws_config::SdkConfig;
use cloudupload::{
    aws::Failure, backoff, job::Job, journal::JobLog, staging::Staging, workflow::StepError,
};
use tokio::time::{Instant, sleep, timeout_at};

pub struct CleanUp {
    pub config: SdkConfig,
    pub staging: Staging,
    pub deployment: String,
}

/// What is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The AMI and its snapshot: the job succeeds.
    Ami,
    Nothing,
}

/// What came of a clean-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Clean,
    /// Something is left because AWS was in trouble: worth another try soon.
    Trouble,
    /// Something is left that cannot be removed as things are.
    Left,
}

impl Outcome {
    /// The worse of the two.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Outcome::Left, _) | (_, Outcome::Left) => Outcome::Left,
            (Outcome::Trouble, _) | (_, Outcome::Trouble) => Outcome::Trouble,
            _ => Outcome::Clean,
        }
    }
}

/// How often an import task is looked at until its cancellation is through.
const LOOKS: u32 = 15;

/// How often a snapshot is tried to be deleted that an AMI was made of, or that was tagged, a moment ago.
const SNAPSHOT_TRIES: u32 = 6;

impl CleanUp {
    /// Removes whatever was begun for a job that is not at work any more, as far as it gets until then.
    pub async fn run(&self, job: &Job, keep: Keep, log: &JobLog, until: Instant) -> Outcome {
        match timeout_at(until, self.remove(job, keep, log)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                log.line("Removing what is left takes too long: it is put off.")
                    .await;
                Outcome::Trouble
            }
        }
    }

    async fn remove(&self, job: &Job, keep: Keep, log: &JobLog) -> Outcome {
        let mut outcome = Outcome::Clean;
        if job.work.staging_began.is_some() {
            let gone = self.staging.file(job.staged_key()).remove().await;
            outcome = outcome.and(told(log, "the staged file", gone).await);
        }
        if job.work.disk_began.is_none() {
            return outcome;
        }
        match Session::assume(&self.config, job, &self.deployment).await {
            Ok(session) => outcome.and(self.in_account(&session, job, keep, log).await),
            Err(error) => {
                let line = format!("Could not look into your account for leftovers: {error}");
                log.line(line).await;
                outcome.and(match StepError::from(error) {
                    StepError::Passing(_) => Outcome::Trouble,
                    _ => Outcome::Left,
                })
            }
        }
    }

    async fn in_account(
        &self,
        session: &Session<'_>,
        job: &Job,
        keep: Keep,
        log: &JobLog,
    ) -> Outcome {
        let gone = session.bucket().disk().remove().await;
        let mut outcome = told(log, "the disk in your bucket", gone).await;
        if keep == Keep::Ami || job.work.import_began.is_none() {
            return outcome;
        }
        let (import, ami) = (session.import(), session.ami());
        let mut tasks = BTreeSet::from_iter(job.work.import_task.clone());
        let found = import.find().await.map(|found| tasks.extend(found));
        outcome = outcome.and(told(log, "import tasks, if there are any", found).await);
        let mut snapshots = BTreeSet::from_iter(job.work.snapshot.clone());
        for task in tasks {
            let over = end_import(&import, &task, &mut snapshots).await;
            outcome = outcome.and(told(log, &format!("the import task {task}"), over).await);
        }
        if job.work.register_began.is_some() {
            outcome = outcome.and(told(log, "the AMI", remove_ami(&ami).await).await);
        }
        for snapshot in snapshots {
            let gone = remove_snapshot(&ami, &snapshot).await;
            outcome = outcome.and(told(log, &format!("the snapshot {snapshot}"), gone).await);
        }
        outcome
    }
}

/// Cancels an import task, and finds the snapshot that it made all the same: it may complete while it is being cancelled.
async fn end_import(
    import: &Import<'_>,
    task: &str,
    snapshots: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    let mut cancelled = Ok(());
    for _ in 0..LOOKS {
        match import.status(task).await? {
            Some(Status::Active { .. }) => {
                cancelled = import.cancel(task).await;
                sleep(Duration::from_secs(1)).await;
            }
            Some(Status::Completed { snapshot }) => {
                snapshots.insert(snapshot);
                return Ok(());
            }
            Some(Status::Over { .. }) | None => return Ok(()),
        }
    }
    cancelled?;
    let message = format!("{task} is still at work after {LOOKS} tries to cancel it");
    Err(Failure::odd("ec2:CancelImportTask", message))
}

async fn remove_ami(ami: &Ami<'_>) -> Result<(), Failure> {
    match ami.find().await? {
        Some(image) => ami.deregister(&image).await,
        None => Ok(()),
    }
}

/// Deletes a snapshot. A step that was given up may register its AMI just before: then the AMI goes too.
async fn remove_snapshot(ami: &Ami<'_>, snapshot: &str) -> Result<(), Failure> {
    for tried in 0.. {
        match ami.delete_snapshot(snapshot).await {
            Err(failure) if tried < SNAPSHOT_TRIES && failure.has_code("InvalidSnapshot.InUse") => {
                remove_ami(ami).await?;
            }
            // Only what has the job's tag is the session's to delete, and nobody may have lived to tag it.
            Err(failure) if tried < SNAPSHOT_TRIES && failure.has_code("UnauthorizedOperation") => {
                if !ami.tag_snapshot(snapshot).await? {
                    return Ok(());
                }
            }
            deleted => return deleted,
        }
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(8));
        sleep(backoff::pause(tried, first, most)).await;
    }
    unreachable!("the loop ends by its returns")
}

async fn told(log: &JobLog, what: &str, gone: Result<(), Failure>) -> Outcome {
    let Err(failure) = gone else {
        return Outcome::Clean;
    };
    let line = format!("Could not remove {what}: {failure}");
    log.line(line).await;
    match failure.passing {
        true => Outcome::Trouble,
        false => Outcome::Left,
    }
}
