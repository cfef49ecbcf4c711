//! What was made for a job and is not its AMI is removed: all that the record says was begun, and nothing is asked about
//! what was not. Every part is tried, whatever becomes of the others, and may be tried again; what could not be removed is
//! told in the job's log.
//!
//! What others are made of goes first, so that a step that was given up and still runs finds nothing to make anything of:
//! no parts to make an object of, no object to import, no snapshot to register.

#[cfg(test)]
mod tests;

use account::{Outcome, Purpose, Removal, Session, route::Bucket};
use aws_config::SdkConfig;
use cloudupload::{job::Job, journal::JobLog, staging::Staging, store::Jobs};
use tokio::time::{Instant, timeout_at};

pub struct CleanUp {
    pub config: SdkConfig,
    pub jobs: Jobs,
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

impl CleanUp {
    /// Removes what was begun for a job that is not at work any more, as far as it gets until then.
    pub async fn run(&self, job: &Job, keep: Keep, log: &JobLog, until: Instant) -> Outcome {
        let mut removal = Removal::new(log);
        match timeout_at(until, self.remove(job, keep, log, &mut removal)).await {
            Ok(()) => removal.outcome(),
            Err(_) => {
                log.line("Removing what is left takes too long: it is put off.")
                    .await;
                Outcome::Trouble
            }
        }
    }

    async fn remove(&self, job: &Job, keep: Keep, log: &JobLog, removal: &mut Removal<'_>) {
        if job.artifacts.staging_began.is_some() {
            let removed = self.staging.file(job.staged_key()).remove().await;
            removal.note("the staged file", removed).await;
        }
        if job.artifacts.bucket.disk_began.is_none() {
            return;
        }
        let session = Session::assume(&self.config, job, &self.deployment, Purpose::Remove);
        match session.await {
            Ok(session) => self.remove_from(&session, keep, log, removal).await,
            Err(error) => removal.note_no_session(error).await,
        }
    }

    async fn remove_from(
        &self,
        session: &Session<'_>,
        keep: Keep,
        log: &JobLog,
        removal: &mut Removal<'_>,
    ) {
        let route = Bucket::new(session, &self.jobs, log.clone());
        route.remove_disk(removal).await;
        if keep == Keep::Ami {
            return;
        }
        let mut snapshots = route.end_imports(removal).await;
        let artifacts = &session.job().artifacts;
        snapshots.extend(artifacts.snapshot.clone());
        if artifacts.register_began.is_some() {
            removal.note("the AMI", session.ami().remove().await).await;
        }
        for snapshot in snapshots {
            let removed = session.remove_snapshot(&snapshot).await;
            removal
                .note(&format!("the snapshot {snapshot}"), removed)
                .await;
        }
    }
}
