//! The one way on which every job ends: well, by an error, or by a kill.

use std::time::Duration;

use cloudupload::{
    clock,
    dispatch::Dispatcher,
    function::Tools,
    job::{self, Job, JobId, State},
    jobs::JobsError,
    journal::JobLog,
    workflow::{Caught, Finish, Finished, StepError},
};

use tokio::time::Instant;

use crate::{
    clean_up::{CleanUp, Keep, Outcome},
    took::Took,
};

pub struct Finishing {
    pub tools: Tools,
    pub clean_up: CleanUp,
    pub dispatcher: Dispatcher,
}

/// How long a clean-up may take before it is put off: while AWS is away, no job must keep its slot.
const CLEAN_UP: Duration = Duration::from_secs(150);

impl Finishing {
    /// Makes the job final, if it is not, cleans up after it, and hands its slot on. All of it may be done again, by the
    /// workflow or by the sweeper, and is then done as far as it is left to do.
    ///
    /// # Errors
    /// When AWS is in trouble: worth calling again.
    pub async fn run(&self, Finish { job: id, error }: Finish) -> Result<Finished, StepError> {
        let job = match self.tools.jobs.get(id).await {
            // An execution that somebody started by hand. There is nothing of it but perhaps a slot.
            Err(JobsError::NoSuchJob(_)) => {
                self.hand_on(id).await?;
                return Ok(Finished {
                    job: id,
                    state: State::Failed,
                    killed: false,
                });
            }
            job => job?,
        };
        let log = self.tools.journal.of(id);
        let until = Instant::now() + CLEAN_UP;
        let (job, cleaned) = match (job.state.is_final(), &job.work.image) {
            (true, _) => (job, None),
            // Whatever went wrong since, the AMI is there, and nobody has to make it again.
            (false, Some(image)) => {
                // Whoever sees `succeeded` finds the AMI, its snapshot, the whole log, and nothing else.
                let outcome = self.clean_up.run(&job, Keep::Ami, &log, until).await;
                match self.succeed(&job, image, &log).await? {
                    job if job.state == State::Succeeded => (job, Some(outcome)),
                    killed => {
                        log.line(format!("Removing {image} again.")).await;
                        (killed, None)
                    }
                }
            }
            // Final before the clean-up, so that nothing that still runs makes anything new.
            (false, None) => {
                let error = error.unwrap_or_else(|| {
                    Caught::because("the workflow came to its end without an AMI")
                });
                (self.fail(&job, &error, &log).await?, None)
            }
        };
        let outcome = match (cleaned, job.state) {
            (Some(outcome), _) => outcome,
            (None, State::Succeeded) => self.clean_up.run(&job, Keep::Ami, &log, until).await,
            (None, _) => self.clean_up.run(&job, Keep::Nothing, &log, until).await,
        };
        self.hand_on(id).await?;
        self.note(job, outcome, &log).await
    }

    async fn succeed(&self, job: &Job, image: &str, log: &JobLog) -> Result<Job, StepError> {
        log.line(format!("Created image: {image}")).await;
        log.line(took(job)).await;
        final_either_way(self.tools.jobs.succeed(job.id, image).await)
    }

    async fn fail(&self, job: &Job, error: &Caught, log: &JobLog) -> Result<Job, StepError> {
        let reason = error.reason();
        log.line(format!("Upload failed: {reason}")).await;
        log.line(took(job)).await;
        final_either_way(self.tools.jobs.fail(job.id, &reason).await)
    }

    /// Gives back the job's slot, if it has one, and hands out what is free.
    async fn hand_on(&self, id: JobId) -> Result<(), StepError> {
        self.dispatcher.slots.release(id).await?;
        self.dispatcher.run().await?;
        Ok(())
    }

    /// Writes down how the clean-up went, by which the sweeper knows whether there is to be another.
    async fn note(
        &self,
        mut job: Job,
        outcome: Outcome,
        log: &JobLog,
    ) -> Result<Finished, StepError> {
        let complete = outcome == Outcome::Clean;
        job.cleaned = Some(job::CleanUp {
            at: clock::now(),
            complete,
        });
        if job.is_settled() && !complete {
            log.line("What could not be removed is left behind.").await;
        }
        self.tools.jobs.set_cleaned(&job).await?;
        match outcome {
            Outcome::Trouble => Err(StepError::Passing("not all is removed yet".to_owned())),
            _ => Ok(Finished {
                job: job.id,
                state: job.state,
                killed: job.is_killed(),
            }),
        }
    }
}

/// The final job, whoever made it so.
fn final_either_way(ended: Result<Job, JobsError>) -> Result<Job, StepError> {
    match ended {
        Err(JobsError::Moved(job)) if job.state.is_final() => Ok(*job),
        ended => Ok(ended?),
    }
}

/// The last line of a log. Clients look for it.
fn took(job: &Job) -> String {
    let began = job.work.upload_began.unwrap_or(job.created);
    format!("Upload took: {}", Took(clock::now().saturating_sub(began)))
}
