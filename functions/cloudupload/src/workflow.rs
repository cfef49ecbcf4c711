//! What the steps of the workflow say to each other, and how they fail. The other half is `infra/upload.asl.json`.

use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::{
    aws::Failure,
    image::{cut::CutError, decode::DecodeError, plan::Slice},
    job::{JobId, State, TaskToken, Unrecorded},
    jobs::JobsError,
    multipart::MultipartError,
    slots::SlotsError,
};

/// What most steps are given: the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub job: JobId,
}

/// `slot` is given the job, the execution that waits, and by what it is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitForSlot {
    pub job: JobId,
    /// Its ARN.
    pub execution: String,
    pub token: TaskToken,
}

/// `receive` answers: whether the file is there, or time was up and it has to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    pub job: JobId,
    pub done: bool,
}

/// `prepare` answers: how the transfer is cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    pub job: JobId,
    pub slices: Vec<Slice>,
}

/// `transfer` is given one of the slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    pub job: JobId,
    pub slice: Slice,
}

/// `transfer` answers: the bytes of the disk that it put into the user's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    pub bytes: u64,
}

/// `seal` is given what all the slices came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    pub job: JobId,
    pub slices: Vec<Transferred>,
}

/// `seal` and `check` answer: whether the snapshot is there, or when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Importing {
    pub job: JobId,
    pub done: bool,
    /// Seconds to wait before asking again.
    pub wait: u16,
}

/// How long to wait before the first look at an import, in seconds.
pub const FIRST_WAIT: u16 = 5;

/// How long to wait before the next look at an import that is `seconds` old: a twentieth of its age, so that a short
/// one is not waited for in vain and a long one does not fill the execution's history. A kill ends the wait.
pub fn wait_after(seconds: u64) -> u16 {
    (seconds / 20).clamp(FIRST_WAIT.into(), 600) as u16
}

/// `finish` is given the error that a step ended in, if one did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    pub job: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Caught>,
}

/// An error as Step Functions catches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caught {
    pub error: String,
    #[serde(default)]
    pub cause: Option<String>,
}

impl Caught {
    /// What no step told of: there is only this reason.
    pub fn because(reason: &str) -> Self {
        Self {
            error: reason.to_owned(),
            cause: None,
        }
    }

    /// The reason for the user. A function that failed on its own terms gives it as the message in the cause, which is
    /// JSON (Lambda developer guide, "Lambda function errors in Step Functions"); a function that died has only a name.
    pub fn reason(&self) -> String {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cause {
            error_message: String,
        }
        let cause = self.cause.as_deref().unwrap_or_default();
        match serde_json::from_str::<Cause>(cause) {
            Ok(cause) if [StepError::FAILED, StepError::PASSING].contains(&self.error.as_str()) => {
                cause.error_message
            }
            Ok(cause) => format!("{}: {}", self.error, cause.error_message),
            Err(_) if cause.is_empty() => self.error.clone(),
            Err(_) => format!("{}: {cause}", self.error),
        }
    }
}

/// `finish` answers: how the job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub job: JobId,
    pub state: State,
    /// Whether its user ended it, which is no failure of the service.
    pub killed: bool,
}

/// How a step fails. The names are what the workflow knows them by.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The job is final: killed, as a rule. Nothing is left to do but to clean up.
    #[error("job {job} is {state} already")]
    Ended { job: JobId, state: State },
    /// The job cannot succeed, for the reason given, which its user reads.
    #[error("{0}")]
    Failed(String),
    /// Something outside is in trouble that may pass: the step is worth calling again.
    #[error("{0}")]
    Passing(String),
}

impl StepError {
    pub(crate) const ENDED: &str = "JobEnded";
    const FAILED: &str = "JobFailed";
    const PASSING: &str = "Passing";

    /// For `map_err`: the job fails for this error's text.
    pub fn because(error: impl std::fmt::Display) -> Self {
        StepError::Failed(error.to_string())
    }
}

impl From<StepError> for Diagnostic {
    fn from(error: StepError) -> Self {
        Diagnostic {
            error_type: match error {
                StepError::Ended { .. } => StepError::ENDED,
                StepError::Failed(_) => StepError::FAILED,
                StepError::Passing(_) => StepError::PASSING,
            }
            .to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl From<JobsError> for StepError {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::Moved(job) => StepError::Ended {
                job: job.id,
                state: job.state,
            },
            JobsError::Aws(failure) => failure.into(),
            error @ JobsError::Unprocessed(..) => StepError::Passing(error.to_string()),
            error => StepError::because(error),
        }
    }
}

impl From<SlotsError> for StepError {
    fn from(error: SlotsError) -> Self {
        match error {
            SlotsError::Jobs(error) => error.into(),
            error => StepError::because(error),
        }
    }
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        match failure.passing {
            true => StepError::Passing(failure.to_string()),
            false => StepError::because(failure),
        }
    }
}

impl From<MultipartError> for StepError {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Aws(failure) => failure.into(),
            error => StepError::because(error),
        }
    }
}

impl From<CutError> for StepError {
    fn from(error: CutError) -> Self {
        match error {
            CutError::Decode(error) => error.into(),
            error => StepError::because(error),
        }
    }
}

impl From<DecodeError> for StepError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Staged(broke) => {
                match broke.get_ref().and_then(|cause| cause.downcast_ref()) {
                    Some(failure) => Failure::clone(failure).into(),
                    None => StepError::Passing(DecodeError::Staged(broke).to_string()),
                }
            }
            error => StepError::because(error),
        }
    }
}

impl From<Unrecorded> for StepError {
    fn from(error: Unrecorded) -> Self {
        StepError::because(error)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn caught(error: &str, cause: &str) -> String {
        Caught {
            error: error.to_owned(),
            cause: Some(cause.to_owned()),
        }
        .reason()
    }

    #[test]
    fn the_sample_events_are_what_the_steps_read() {
        for step in [
            include_str!("../../../events/receive.json"),
            include_str!("../../../events/prepare.json"),
            include_str!("../../../events/check.json"),
            include_str!("../../../events/register.json"),
        ] {
            serde_json::from_str::<Step>(step).unwrap();
        }
        serde_json::from_str::<WaitForSlot>(include_str!("../../../events/slot.json")).unwrap();
        serde_json::from_str::<Transfer>(include_str!("../../../events/transfer.json")).unwrap();
        serde_json::from_str::<Seal>(include_str!("../../../events/seal.json")).unwrap();
        serde_json::from_str::<Finish>(include_str!("../../../events/finish.json")).unwrap();
    }

    /// ASL knows no way to say it once.
    #[test]
    fn all_steps_are_called_again_alike() {
        let machine: Value =
            serde_json::from_str(include_str!("../../../infra/upload.asl.json")).unwrap();
        let states = machine["States"].as_object().unwrap();
        let slices = &states["Transfer"]["ItemProcessor"]["States"];
        let tasks = states.values().chain(slices.as_object().unwrap().values());
        let steps = tasks.filter(|state| {
            let resource = state["Resource"].as_str().unwrap_or_default();
            resource.starts_with("arn:aws:states:::lambda:invoke")
        });
        let receive = &states["Receive"]["Retry"];
        let finish = &states["Finish"]["Retry"];
        let mut names = Vec::new();
        for step in steps {
            let name = step["Parameters"]["FunctionName"].as_str().unwrap();
            names.push(name);
            let retry = &step["Retry"];
            for error in [StepError::ENDED, StepError::FAILED] {
                let never = retry[0]["ErrorEquals"].as_array().unwrap();
                assert!(never.iter().any(|name| name == error), "{name}");
            }
            assert_eq!(retry[0]["MaxAttempts"], 0, "{name}");
            assert_eq!(retry[1], receive[1], "{name}");
            let others = [&receive[2], &finish[2]];
            assert_eq!(&retry[2], others[usize::from(name == "${FinishArn}")]);
        }
        assert_eq!(names.len(), 10, "{names:?}");
    }

    #[test]
    fn the_reason_is_what_the_step_said() {
        let failed = Diagnostic::from(StepError::because("size mismatch: 1 != 2"));
        let cause = serde_json::to_string(&failed).unwrap();
        assert_eq!(caught(&failed.error_type, &cause), "size mismatch: 1 != 2");
    }

    #[test]
    fn the_reason_of_a_death_names_it() {
        let cause = r#"{"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 900.00 seconds"}"#;
        assert_eq!(
            caught("Sandbox.Timedout", cause),
            "Sandbox.Timedout: Task timed out after 900.00 seconds"
        );
        assert_eq!(caught("States.Timeout", ""), "States.Timeout");
        assert_eq!(
            caught("Lambda.Unknown", "not JSON"),
            "Lambda.Unknown: not JSON"
        );
    }

    #[test]
    fn an_import_is_looked_at_less_often_as_it_grows_old() {
        assert_eq!(
            (wait_after(0), wait_after(600), wait_after(7200)),
            (FIRST_WAIT, 30, 360)
        );
    }
}
