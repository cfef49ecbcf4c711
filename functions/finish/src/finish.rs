//! The one way on which every job ends: well, by an error, or by a kill.

use cloudupload::{
    job::{Job, State},
    jobs::{self, JobsError},
    journal::JobLog,
    workflow::{Caught, Finish, Finished, StepError, Tools},
};

use crate::{clean_up::CleanUp, took::Took};

pub struct Finishing {
    pub tools: Tools,
    pub clean_up: CleanUp,
}

impl Finishing {
    pub async fn run(&self, Finish { job: id, error }: Finish) -> Result<Finished, StepError> {
        let job = self.tools.jobs.get(id).await?;
        let log = self.tools.journal.of(id);
        let ended = match (job.state.is_final(), &error, &job.work.image) {
            (true, ..) => Ok(job),
            (false, Some(error), _) => self.fail(&job, error, &log).await,
            (false, None, Some(image)) => self.succeed(&job, image, &log).await,
            (false, None, None) => {
                let error = Caught::internal("the workflow came to its end without an AMI");
                self.fail(&job, &error, &log).await
            }
        };
        let job = match ended {
            Ok(job) => job,
            Err(JobsError::Moved(job)) if job.state.is_final() => *job,
            Err(error) => return Err(error.into()),
        };
        if job.state == State::Failed {
            self.clean_up.after_failure(&job, &log).await;
        }
        Ok(Finished {
            job: id,
            state: job.state,
        })
    }

    /// Cleans up before the job succeeds: whoever sees `succeeded` finds the AMI, its snapshot, the whole log, and
    /// nothing else.
    async fn succeed(&self, job: &Job, image: &str, log: &JobLog) -> Result<Job, JobsError> {
        self.clean_up.after_success(job, log).await;
        log.line(format!("Created image: {image}")).await;
        log.line(took(job)).await;
        self.tools.jobs.succeed(job.id, image).await
    }

    /// Fails the job before it cleans up, so that nothing that still runs makes anything new.
    async fn fail(&self, job: &Job, error: &Caught, log: &JobLog) -> Result<Job, JobsError> {
        let reason = error.reason();
        log.line(format!("Upload failed: {reason}")).await;
        log.line(took(job)).await;
        self.tools.jobs.fail(job.id, &reason).await
    }
}

/// The last line of a log. Clients look for it.
fn took(job: &Job) -> String {
    let began = job.work.upload_began.unwrap_or(job.created);
    format!("Upload took: {}", Took(jobs::now().saturating_sub(began)))
}
