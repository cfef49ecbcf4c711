//! The one way on which every job ends: in success, by an error, or by a kill.

use std::time::Duration;

use account::{Accounts, Outcome};
use cloudupload::{
    clock::Timestamp,
    cost::{self, Bill},
    dispatch::Dispatcher,
    environment::Environment,
    error::StepError,
    function::Function,
    job::{AmiId, CleanUpNote, Job, JobId, State, Usage},
    journal::JobLog,
    messages::{Caught, FinishInput, FinishOutput, StepEvent},
    metrics::{self, End},
    store::{Jobs, StoreError},
};
use tokio::time::Instant;

use crate::{
    clean_up::{CleanUp, Keep},
    took::Took,
};

/// The time that a clean-up may take before it is put off: while AWS is in trouble, no job must keep its slot.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(150);

pub struct Finish {
    environment: Environment,
    clean_up: CleanUp,
    dispatcher: Dispatcher,
}

impl Function for Finish {
    const NAME: &str = "finish";
    type Event = StepEvent<FinishInput>;
    type Answer = FinishOutput;

    fn from_env(environment: Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            clean_up: CleanUp {
                accounts: Accounts::from_env(&environment)?,
                jobs: environment.jobs.clone(),
                staging: environment.staging()?,
            },
            dispatcher: Dispatcher::from_env(&environment)?,
            environment,
        })
    }

    /// Makes the job final, if it is not, cleans up after it, and hands its slot on. Idempotent: whatever is done already is
    /// left alone.
    async fn handle(&self, event: Self::Event, _: Instant) -> Result<FinishOutput, StepError> {
        let id = event.job;
        let job = match self.jobs().get(id).await {
            // Somebody started this execution by hand. There is nothing of it but perhaps a slot.
            Err(StoreError::NoSuchJob(_)) => {
                self.hand_on(id).await?;
                return Ok(FinishOutput {
                    job: id,
                    state: State::Failed,
                    killed: false,
                });
            }
            job => job?,
        };
        let is_first = job.cleaned.is_none();
        let was_killed = job.is_killed();
        let log = self.environment.log(id);
        let until = Instant::now() + CLEAN_UP_TIMEOUT;
        let error = event.input.error;
        let (job, cleaned) = self.make_final(job, error.clone(), &log, until).await?;
        let outcome = match (cleaned, job.state) {
            (Some(outcome), _) => outcome,
            (None, State::Succeeded) => self.clean_up.run(&job, Keep::Ami, &log, until).await,
            (None, _) => self.clean_up.run(&job, Keep::Nothing, &log, until).await,
        };
        if is_first && was_killed {
            log.lines(self.cost_lines(&job).into()).await;
        }
        self.hand_on(id).await?;
        let end = End::of(&job, error.as_ref());
        let ended = job.clone();
        let noted = self.note(job, outcome, &log).await;
        if is_first {
            metrics::job_ended(&ended, end);
            let (usage, bill) = self.cost(&ended);
            metrics::job_cost(&usage, &bill);
        }
        noted
    }
}

impl Finish {
    fn jobs(&self) -> &Jobs {
        &self.environment.jobs
    }

    /// The final job, and what came of its clean-up if that had to be before.
    async fn make_final(
        &self,
        job: Job,
        error: Option<Caught>,
        log: &JobLog,
        until: Instant,
    ) -> Result<(Job, Option<Outcome>), StepError> {
        if job.state.is_final() {
            return Ok((job, None));
        }
        let Some(ami) = job.artifacts.ami.clone() else {
            // Final before the clean-up, so that nothing that still runs makes anything new.
            let error = error
                .unwrap_or_else(|| Caught::because("the workflow came to its end without an AMI"));
            return Ok((self.fail(&job, &error, log).await?, None));
        };
        // Whatever went wrong since, the AMI is there, and nobody has to make it again. Whoever sees `succeeded` finds the
        // AMI, its snapshot, the whole log, and nothing else.
        let outcome = self.clean_up.run(&job, Keep::Ami, log, until).await;
        let ended = self.succeed(&job, &ami, log).await?;
        if ended.state == State::Succeeded {
            return Ok((ended, Some(outcome)));
        }
        log.line(format!("Removing {ami} again.")).await;
        Ok((ended, None))
    }

    async fn succeed(&self, job: &Job, ami: &AmiId, log: &JobLog) -> Result<Job, StepError> {
        self.log_end(job, format!("Created image: {ami}"), log)
            .await;
        final_either_way(self.jobs().succeed(job.id, ami.as_str()).await)
    }

    async fn fail(&self, job: &Job, error: &Caught, log: &JobLog) -> Result<Job, StepError> {
        let reason = error.reason();
        self.log_end(job, format!("Upload failed: {reason}"), log)
            .await;
        final_either_way(self.jobs().fail(job.id, &reason).await)
    }

    /// What the job has used and cost, this invocation so far included.
    fn cost(&self, job: &Job) -> (Usage, Bill) {
        let mut usage = job.usage;
        usage += self.environment.usage.so_far();
        (usage, Bill::of(job, &usage, Timestamp::now()))
    }

    fn cost_lines(&self, job: &Job) -> [String; 2] {
        let (usage, bill) = self.cost(job);
        cost::lines(job, &usage, &bill)
    }

    /// Writes the last lines of a job's log.
    async fn log_end(&self, job: &Job, end: String, log: &JobLog) {
        let [used, cost] = self.cost_lines(job);
        log.lines(vec![end, used, cost, took(job)]).await;
    }

    /// Gives back the job's slot, if it has one, and hands out what is free.
    async fn hand_on(&self, id: JobId) -> Result<(), StepError> {
        self.dispatcher.slots.release(id).await?;
        self.dispatcher.run().await?;
        Ok(())
    }

    /// Records what came of the clean-up, by which the sweeper knows whether there has to be another.
    async fn note(
        &self,
        mut job: Job,
        outcome: Outcome,
        log: &JobLog,
    ) -> Result<FinishOutput, StepError> {
        let complete = outcome == Outcome::Clean;
        job.cleaned = Some(CleanUpNote {
            at: Timestamp::now(),
            complete,
        });
        if job.is_settled() && !complete {
            log.line("What could not be removed is left behind.").await;
        }
        self.jobs().set_cleaned(&job).await?;
        match outcome {
            Outcome::Trouble => Err(StepError::Transient("not all is removed yet".to_owned())),
            _ => Ok(FinishOutput {
                job: job.id,
                state: job.state,
                killed: job.is_killed(),
            }),
        }
    }
}

/// The final job, whoever made it so.
fn final_either_way(ended: Result<Job, StoreError>) -> Result<Job, StepError> {
    match ended {
        Err(StoreError::Superseded(job)) if job.state.is_final() => Ok(*job),
        ended => Ok(ended?),
    }
}

/// The last line of a log. Clients look for it.
fn took(job: &Job) -> String {
    let began = job.artifacts.upload_began.unwrap_or(job.created);
    format!("Upload took: {}", Took(Timestamp::now().since(began)))
}
