//! Step Functions: the executions of the jobs, and their states that wait for a task token.

use std::collections::BTreeSet;

use aws_sdk_sfn::{Client, types::ExecutionStatus};
use serde::Serialize;

use crate::{
    aws::{self, Failure},
    clock::Timestamp,
    error::StepError,
    job::{JobId, TaskToken},
    messages::{Caught, FinishInput, JobMessage, StepEvent},
};

/// The state machine that uploads images.
#[derive(Clone, Debug)]
pub struct UploadMachine {
    client: Client,
    arn: String,
}

/// How a job's execution stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// There is none, or it ended more than 90 days ago (Step Functions developer guide, "Quotas").
    Missing,
    Running,
    Over {
        ending: Ending,
        /// What it failed with, where it says so.
        error: Option<Caught>,
    },
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl Ending {
    /// Why a job failed that was still open then.
    pub fn reason(self) -> &'static str {
        match self {
            Ending::Succeeded => "the workflow came to its end before the job did",
            Ending::Failed => "the workflow failed",
            Ending::TimedOut => "the workflow took longer than it may",
            Ending::Aborted => "the workflow was stopped by hand",
        }
    }
}

impl UploadMachine {
    pub fn new(client: Client, arn: String) -> Self {
        Self { client, arn }
    }

    /// Starts the job's execution. Starting the same one again is harmless: its name is the job's.
    pub async fn start(&self, job: JobId) -> Result<(), Failure> {
        self.start_as(job.execution_name(), &JobMessage { job })
            .await
    }

    /// Starts an execution that only finishes the job, for what the job's own execution left undone when it died.
    pub async fn start_finish(&self, job: JobId, error: Caught) -> Result<(), Failure> {
        let now = Timestamp::now().as_secs();
        let name = format!("{}-finish-{now}", job.execution_name());
        let event = StepEvent {
            job,
            retries: 0,
            input: FinishInput { error: Some(error) },
        };
        self.start_as(name, &event).await
    }

    async fn start_as(&self, name: String, input: &impl Serialize) -> Result<(), Failure> {
        let input = serde_json::to_string(input).expect("numbers and texts can be written");
        let answer = self
            .client
            .start_execution()
            .state_machine_arn(&self.arn)
            .name(name)
            .input(input)
            .send()
            .await
            .map_err(Failure::of("states:StartExecution"));
        aws::ok_on_codes(&["ExecutionAlreadyExists"], answer).map(drop)
    }

    pub async fn execution(&self, job: JobId) -> Result<Execution, Failure> {
        let answer = self
            .client
            .describe_execution()
            .execution_arn(self.execution_arn(job))
            .send()
            .await
            .map_err(Failure::of("states:DescribeExecution"));
        let Some(answer) = aws::ok_on_codes(&["ExecutionDoesNotExist"], answer)? else {
            return Ok(Execution::Missing);
        };
        let ending = match answer.status {
            ExecutionStatus::Succeeded => Ending::Succeeded,
            ExecutionStatus::Failed => Ending::Failed,
            ExecutionStatus::TimedOut => Ending::TimedOut,
            ExecutionStatus::Aborted => Ending::Aborted,
            _ => return Ok(Execution::Running),
        };
        let error = answer.error.map(|error| first_error(error, answer.cause));
        Ok(Execution::Over { ending, error })
    }

    /// The jobs that have a running execution, of their own or one that finishes them. One that was started a moment ago
    /// may be missing (API reference, ListExecutions: "eventually consistent").
    pub async fn running(&self) -> Result<BTreeSet<JobId>, Failure> {
        let executions = self
            .client
            .list_executions()
            .state_machine_arn(&self.arn)
            .status_filter(ExecutionStatus::Running)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(Failure::of("states:ListExecutions"))?;
        Ok(executions
            .iter()
            .filter_map(|execution| JobId::of_execution(&execution.name))
            .collect())
    }

    /// Stops the job's execution, which then has this reason for its error (256 characters at the most; API reference,
    /// StopExecution). One that ended by itself meanwhile is no error.
    pub async fn stop(&self, job: JobId, reason: &str) -> Result<(), Failure> {
        let answer = self
            .client
            .stop_execution()
            .execution_arn(self.execution_arn(job))
            .error(reason)
            .send()
            .await
            .map_err(Failure::of("states:StopExecution"));
        aws::ok_on_codes(&["ExecutionDoesNotExist", "ValidationException"], answer).map(drop)
    }

    fn execution_arn(&self, job: JobId) -> String {
        let machine = self.arn.replacen(":stateMachine:", ":execution:", 1);
        format!("{machine}:{}", job.execution_name())
    }
}

/// The first error of an execution. An execution that could not finish its job has that error for its cause, as JSON.
fn first_error(error: String, cause: Option<String>) -> Caught {
    let before = match (error.as_str(), &cause) {
        ("NotFinished", Some(before)) => serde_json::from_str(before).ok(),
        _ => None,
    };
    before.unwrap_or(Caught { error, cause })
}

/// Ends the wait of states by their task tokens. A state that waits no more is no error.
#[derive(Clone, Debug)]
pub struct TaskTokens {
    client: Client,
}

impl TaskTokens {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lets the execution go on.
    pub async fn succeed(&self, token: &TaskToken) -> Result<(), Failure> {
        let answer = self
            .client
            .send_task_success()
            .task_token(&token.0)
            .output("{}")
            .send()
            .await
            .map_err(Failure::of("states:SendTaskSuccess"));
        aws::ok_on_codes(&OVER, answer).map(drop)
    }

    /// Fails the state, because its job is final.
    pub async fn fail(&self, token: &TaskToken) -> Result<(), Failure> {
        let answer = self
            .client
            .send_task_failure()
            .task_token(&token.0)
            .error(StepError::ENDED)
            .cause("the job is final")
            .send()
            .await
            .map_err(Failure::of("states:SendTaskFailure"));
        aws::ok_on_codes(&OVER, answer).map(drop)
    }
}

/// The codes of SendTaskSuccess and SendTaskFailure for a state that waits no more (API reference, "Errors").
const OVER: [&str; 3] = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_told() {
        let reason = |error: &str, cause: Option<&str>| {
            first_error(error.to_owned(), cause.map(str::to_owned)).reason()
        };
        let denied = r#"{"Error":"JobFailed","Cause":"{\"errorMessage\":\"denied\"}"}"#;
        assert_eq!(reason("NotFinished", Some(denied)), "denied");
        let late = r#"{"Error":"States.Timeout","Cause":null}"#;
        assert_eq!(reason("NotFinished", Some(late)), "States.Timeout");
        assert_eq!(reason("States.Runtime", Some("why")), "States.Runtime: why");
        assert_eq!(reason("stopped by hand", None), "stopped by hand");
    }
}
