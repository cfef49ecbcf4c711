//! The one shape of a step of the workflow.

use std::{future::Future, time::Duration};

use lambda_runtime::Error;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, interval_at};

use crate::{
    environment::Environment,
    error::StepError,
    function::{Event, Function},
    job::{Job, JobId},
    messages::StepEvent,
    meter::Meter,
    metrics,
};

/// A step that works on a job for as long as it is open.
pub trait Step: Sized {
    /// Name of the crate and of the binary.
    const NAME: &'static str;
    /// What the workflow passes to it besides the job.
    type Input: DeserializeOwned;
    type Output: Serialize;

    fn from_env(environment: &Environment) -> Result<Self, Error>;

    /// The job to work on. A step that takes the job to another state does it here.
    fn open(
        &self,
        environment: &Environment,
        id: JobId,
    ) -> impl Future<Output = Result<Job, StepError>> {
        async move { Ok(environment.jobs.get(id).await?) }
    }

    /// Does the step's work. It is dropped as soon as a report fails, and may be called again whatever came of it.
    fn run(
        &self,
        invocation: &Invocation<'_, Self::Input>,
    ) -> impl Future<Output = Result<Self::Output, StepError>>;

    /// Reports progress, every [`REPORT_PERIOD`]. An error ends the work. The default checks that the job is open.
    fn report(
        &self,
        invocation: &Invocation<'_, Self::Input>,
    ) -> impl Future<Output = Result<(), StepError>> {
        look(invocation.environment, invocation.job.id)
    }
}

/// One invocation of a step.
#[derive(Debug)]
pub struct Invocation<'a, Input> {
    pub environment: &'a Environment,
    /// The job as it was when the step began.
    pub job: Job,
    pub input: Input,
    /// Lambda ends the process then.
    pub deadline: Instant,
    pub meter: Meter,
}

impl<Input> Invocation<'_, Input> {
    /// Writes a line into the job's log.
    pub async fn log(&self, line: impl Into<String>) {
        self.environment.log(self.job.id).line(line).await;
    }
}

/// The time between two reports. A kill is seen within this time and the time of one DynamoDB call.
pub const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// Makes a function of a step.
#[derive(Debug)]
pub struct OnOpenJob<S> {
    environment: Environment,
    step: S,
}

impl<S: Step> Function for OnOpenJob<S> {
    const NAME: &'static str = S::NAME;
    type Event = StepEvent<S::Input>;
    type Answer = S::Output;

    fn from_env(environment: Environment) -> Result<Self, Error> {
        Ok(Self {
            step: S::from_env(&environment)?,
            environment,
        })
    }

    async fn handle(&self, event: Self::Event, deadline: Instant) -> Result<S::Output, StepError> {
        let done = self.work(event.job, event.input, deadline).await;
        if let Err(StepError::Transient(trouble)) = &done {
            metrics::step_retried(S::NAME);
            let line = format!("{trouble}; trying again");
            self.environment.log(event.job).line(line).await;
        }
        done
    }
}

impl<S: Step> OnOpenJob<S> {
    async fn work(
        &self,
        id: JobId,
        input: S::Input,
        deadline: Instant,
    ) -> Result<S::Output, StepError> {
        let job = self.step.open(&self.environment, id).await?;
        if job.state.is_final() {
            return Err(StepError::ended(&job));
        }
        let invocation = Invocation {
            environment: &self.environment,
            job,
            input,
            deadline,
            meter: Meter::new(),
        };
        let done = tokio::select! {
            done = self.step.run(&invocation) => done,
            failed = self.report(&invocation) => Err(failed),
        };
        let meter = &invocation.meter;
        metrics::moved(S::NAME, meter.get(), meter.retries.get());
        done
    }

    /// Reports until a report fails.
    async fn report(&self, invocation: &Invocation<'_, S::Input>) -> StepError {
        let mut ticks = interval_at(Instant::now() + REPORT_PERIOD, REPORT_PERIOD);
        loop {
            ticks.tick().await;
            if let Err(error) = self.step.report(invocation).await {
                return error;
            }
        }
    }
}

/// Serves a step as a Lambda function.
pub async fn serve<S: Step>() -> Result<(), lambda_runtime::Error> {
    crate::function::serve::<OnOpenJob<S>>().await
}

/// Fails if the job is final. A look that fails otherwise is no reason to stop: there will be another.
pub async fn look(environment: &Environment, id: JobId) -> Result<(), StepError> {
    match environment.jobs.get(id).await {
        Ok(job) if job.state.is_final() => Err(StepError::ended(&job)),
        _ => Ok(()),
    }
}

impl<Input: DeserializeOwned> Event for StepEvent<Input> {
    fn job(&self) -> Option<JobId> {
        Some(self.job)
    }

    fn retries(&self) -> u32 {
        self.retries
    }
}
