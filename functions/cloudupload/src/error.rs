//! How steps fail, and what is worth another try.

use std::{error::Error, fmt, io};

use lambda_runtime::Diagnostic;

use crate::{
    aws::Failure,
    job::{Job, JobId, State},
    obs::ObsError,
    staging::BrokenRead,
    store::StoreError,
};

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
        if let Some(job) = causes(&error).find_map(superseded_job) {
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

/// The job as it went past the state that the caller expected, if the error is about that.
fn superseded_job<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a Job> {
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
