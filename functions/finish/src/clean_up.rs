//! Removes everything that was made for a job, except its AMI: what the record says was begun, without a request about what
//! was not. Every part is tried, whatever becomes of the others, and may be tried again; what could not be removed is
//! told in the job's log.
//!
//! What others are made of goes first, so that a step that was given up and still runs finds nothing to make anything of:
//! no parts to make an object of, no object to import, no snapshot to register.

#[cfg(test)]
mod tests;

use account::{
    Accounts, Outcome, Purpose, Removal, Session,
    route::{Begun, SharedSnapshot},
};
use cloudupload::{job::Job, journal::JobLog, staging::Staging, store::Jobs};
use tokio::time::{Instant, timeout_at};

pub struct CleanUp {
    pub accounts: Accounts,
    pub jobs: Jobs,
    pub staging: Staging,
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
        let begun = Begun::of(job);
        if begun.in_our_account {
            // Whatever has become of the role since.
            SharedSnapshot::of(&self.accounts, job, &self.jobs)
                .remove(removal)
                .await;
        }
        let (anything, purpose) = match keep {
            Keep::Ami => (begun.besides_the_ami, Purpose::RemoveTarget),
            Keep::Nothing => (begun.in_the_users_account, Purpose::RemoveAll),
        };
        if !anything {
            return;
        }
        match self.accounts.session(job, purpose).await {
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
        let route = session.route(&self.jobs, log.clone());
        if keep == Keep::Ami {
            return route.remove_target(removal).await;
        }
        let snapshots = route.remove(removal).await;
        if session.job().artifacts.register_began.is_some() {
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
