//! What the workflow and its steps say to each other. The other half is `infra/upload.asl.json`. (The messages that carry
//! slices are in `account::messages`.)

use serde::{Deserialize, Serialize};

use crate::{
    error::StepError,
    job::{JobId, Source, State, TaskToken},
};

/// What every step is given: the job, and what that step needs besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEvent<Input> {
    pub job: JobId,
    /// The number of times that the workflow has retried this state. Executions started by the previous release do not
    /// send it.
    #[serde(default, rename = "try", skip_serializing_if = "is_zero")]
    pub retries: u32,
    #[serde(flatten)]
    pub input: Input,
}

fn is_zero(retries: &u32) -> bool {
    *retries == 0
}

/// The input of a step that needs nothing but the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAlone {}

/// The input of an execution, and the answer of a step after which the next one needs nothing but the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    pub job: JobId,
}

/// The input of `slot`: the execution that waits, and its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInput {
    /// Its ARN.
    pub execution: String,
    pub token: TaskToken,
}

/// The answer of `preflight`, by which the workflow knows where the file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightOutput {
    pub job: JobId,
    pub source: Source,
}

/// The input of `push`: the token of the execution that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushInput {
    pub token: TaskToken,
}

/// The answer of `receive`: whether the file is there, or the function's time was up and it has to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveOutput {
    pub job: JobId,
    pub done: bool,
}

/// The answer of `transfer`: what its slice came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferOutput {
    /// Bytes of the disk.
    pub bytes: u64,
    /// Blocks written, where the route writes blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
}

/// The input of `seal`: what all slices came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealInput {
    pub slices: Vec<TransferOutput>,
}

/// The answer of `seal` and `poll`: whether the snapshot is ready, or when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollOutput {
    pub job: JobId,
    pub done: bool,
    /// Seconds until the next look.
    pub wait: u16,
}

/// The input of `finish`: the error that a step ended in, if one did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishInput {
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
    /// An error that no step reported, with this reason.
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
            Ok(cause)
                if [StepError::FAILED, StepError::TRANSIENT].contains(&self.error.as_str()) =>
            {
                cause.error_message
            }
            Ok(cause) => format!("{}: {}", self.error, cause.error_message),
            Err(_) if cause.is_empty() => self.error.clone(),
            Err(_) => format!("{}: {cause}", self.error),
        }
    }
}

/// The answer of `finish`: how the job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishOutput {
    pub job: JobId,
    pub state: State,
    /// Whether its user ended it, which is no failure of the service.
    pub killed: bool,
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Diagnostic;
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
        for event in [
            include_str!("../../../events/preflight.json"),
            include_str!("../../../events/receive.json"),
            include_str!("../../../events/prepare.json"),
            include_str!("../../../events/poll.json"),
            include_str!("../../../events/register.json"),
        ] {
            serde_json::from_str::<StepEvent<JobAlone>>(event).unwrap();
        }
        let slot = include_str!("../../../events/slot.json");
        serde_json::from_str::<StepEvent<SlotInput>>(slot).unwrap();
        let push = include_str!("../../../events/push.json");
        serde_json::from_str::<StepEvent<PushInput>>(push).unwrap();
        let seal = include_str!("../../../events/seal.json");
        serde_json::from_str::<StepEvent<SealInput>>(seal).unwrap();
        let finish = include_str!("../../../events/finish.json");
        serde_json::from_str::<StepEvent<FinishInput>>(finish).unwrap();
    }

    /// The workflow of the release before, whose executions may still run, does not say which try it is.
    #[test]
    fn an_event_without_a_try_is_a_first_one() {
        let event = r#"{"job": "17"}"#;
        let event: StepEvent<JobAlone> = serde_json::from_str(event).unwrap();
        assert_eq!(event.retries, 0);
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
            resource.starts_with("arn:${Partition}:states:::lambda:invoke")
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
            assert_eq!(
                step["Parameters"]["Payload"]["try.$"],
                "$$.State.RetryCount"
            );
        }
        assert_eq!(names.len(), 12, "{names:?}");
    }

    #[test]
    fn the_reason_is_what_the_step_said() {
        let failed = Diagnostic::from(StepError::Failed("size mismatch: 1 != 2".to_owned()));
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
}
