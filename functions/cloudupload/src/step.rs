//! The one shape of a step of the workflow, and how steps fail.

use std::{error::Error, fmt, future::Future, io, time::Duration};

use lambda_runtime::Diagnostic;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, interval_at};

use crate::{
    aws::Failure,
    environment::Environment,
    function::{Function, StartError},
    job::{Job, JobId, State},
    messages::StepEvent,
    meter::Meter,
    obs::ObsError,
    staging::BrokenRead,
    store::StoreError,
};

/// A step that works on a job for as long as it is open.
pub trait Step: Sized {
    /// As the crate and the binary are called.
    const NAME: &'static str;
    /// What the workflow passes to it besides the job.
    type Input: DeserializeOwned;
    type Output: Serialize;

    fn from_env(environment: &Environment) -> Result<Self, StartError>;

    /// The job to work on. A step that takes the job to another state does it here.
    ///
    /// # Errors
    /// [`StepError::Ended`] if the job is final.
    fn open(
        &self,
        environment: &Environment,
        id: JobId,
    ) -> impl Future<Output = Result<Job, StepError>> {
        open_job(environment, id)
    }

    /// Does the step's work. It is dropped as soon as a report fails, and may be called again whatever came of it.
    fn run(
        &self,
        invocation: &Invocation<'_, Self::Input>,
    ) -> impl Future<Output = Result<Self::Output, StepError>>;

    /// Says how far the work is, every [`REPORT_PERIOD`]. An error, as a final job gives it, ends the work. Unless a step
    /// has something to say, this looks whether the job is still open.
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

    fn from_env(environment: Environment) -> Result<Self, StartError> {
        Ok(Self {
            step: S::from_env(&environment)?,
            environment,
        })
    }

    async fn handle(&self, event: Self::Event, deadline: Instant) -> Result<S::Output, StepError> {
        let done = self.work(event.job, event.input, deadline).await;
        if let Err(StepError::Transient(trouble)) = &done {
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
        let invocation = Invocation {
            environment: &self.environment,
            job: self.step.open(&self.environment, id).await?,
            input,
            deadline,
            meter: Meter::new(),
        };
        tokio::select! {
            done = self.step.run(&invocation) => done,
            failed = self.report(&invocation) => Err(failed),
        }
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

async fn open_job(environment: &Environment, id: JobId) -> Result<Job, StepError> {
    let job = environment.jobs.get(id).await?;
    match job.state.is_final() {
        true => Err(StepError::ended(&job)),
        false => Ok(job),
    }
}

async fn look(environment: &Environment, id: JobId) -> Result<(), StepError> {
    match open_job(environment, id).await {
        Err(ended @ StepError::Ended { .. }) => Err(ended),
        // A look that fails is no reason to stop: there will be another.
        _ => Ok(()),
    }
}

/// How a step fails. Any error becomes one, by the rule of [`is_transient`].
#[derive(Debug)]
pub enum StepError {
    /// The job is final: killed, as a rule. Nothing is left to do but to clean up.
    Ended { job: JobId, state: State },
    /// The job cannot succeed, for the reason given, which its user reads.
    Failed(String),
    /// Something outside is in trouble: the step is worth calling again.
    Transient(String),
}

impl StepError {
    /// The names under which the workflow knows these errors. The last is older than the word used here; executions of the
    /// release before may still have it in their results.
    pub const ENDED: &str = "JobEnded";
    pub const FAILED: &str = "JobFailed";
    pub const TRANSIENT: &str = "Passing";

    pub fn ended(job: &Job) -> Self {
        StepError::Ended {
            job: job.id,
            state: job.state,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            StepError::Ended { .. } => Self::ENDED,
            StepError::Failed(_) => Self::FAILED,
            StepError::Transient(_) => Self::TRANSIENT,
        }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepError::Ended { job, state } => write!(f, "job {job} is {state} already"),
            StepError::Failed(reason) | StepError::Transient(reason) => f.write_str(reason),
        }
    }
}

/// `StepError` itself is no [`Error`], so that this can take every error there is.
impl<E: Error + 'static> From<E> for StepError {
    fn from(error: E) -> Self {
        if let Some(job) = causes(&error).find_map(superseded) {
            return StepError::ended(job);
        }
        match is_transient(&error) {
            true => StepError::Transient(error.to_string()),
            false => StepError::Failed(error.to_string()),
        }
    }
}

impl From<StepError> for Diagnostic {
    fn from(error: StepError) -> Self {
        Diagnostic {
            error_type: error.name().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// The one rule for what is worth another try: an error is transient if one of its causes is.
///
/// Errors of a room that wrap others have to name them as their source for that.
pub fn is_transient(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            failure.transient
        } else if let Some(error) = cause.downcast_ref::<ObsError>() {
            error.is_transient()
        } else if let Some(error) = cause.downcast_ref::<StoreError>() {
            matches!(error, StoreError::Unprocessed(..))
        } else {
            cause.is::<BrokenRead>()
        }
    })
}

/// The final job that an error is about, if it is about one.
fn superseded<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a Job> {
    match cause.downcast_ref() {
        Some(StoreError::Superseded(job)) => Some(job),
        _ => None,
    }
}

/// An error and what caused it, outermost first.
fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> + 'a {
    std::iter::successors(Some(error), |&error| {
        // The source of an I/O error is that of the error in it, not that error.
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::example;

    fn failure(transient: bool) -> Failure {
        Failure {
            transient,
            ..Failure::unexpected("ec2:RegisterImage", "the answer broke")
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("reading failed: {0}")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn an_error_is_transient_if_its_cause_is() {
        for transient in [true, false] {
            let wrapped = |cause| matches!(StepError::from(cause), StepError::Transient(_));
            assert_eq!(wrapped(failure(transient)), transient);
            assert_eq!(
                matches!(
                    StepError::from(StoreError::from(failure(transient))),
                    StepError::Transient(_)
                ),
                transient
            );
            let error = StepError::from(Wrapped(io::Error::other(failure(transient))));
            let text = error.to_string();
            assert!(text.starts_with("reading failed: ec2:RegisterImage failed: "));
            assert_eq!(matches!(error, StepError::Transient(_)), transient);
        }
        let unprocessed = StoreError::Unprocessed(1, 2);
        assert!(is_transient(&unprocessed));
        let broken = Wrapped(io::Error::other(BrokenRead::example()));
        assert!(is_transient(&broken));
        assert!(!is_transient(&Wrapped(io::Error::other("damaged"))));
        let unreadable = crate::settings::SettingError::Missing("X");
        assert!(!is_transient(&unreadable));
    }

    #[test]
    fn a_job_that_is_final_ends_the_step() {
        let job = Job {
            state: State::Failed,
            ..example()
        };
        let error = StepError::from(StoreError::Superseded(Box::new(job)));
        assert!(matches!(error, StepError::Ended { .. }), "{error:?}");
        assert_eq!(Diagnostic::from(error).error_type, "JobEnded");
    }
}
