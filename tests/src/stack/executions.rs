//! The workflow's executions.

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::json;

use super::Stack;
use crate::{JobId, environment::env_var};

impl Stack {
    /// The running executions of the job: its own, and those that finish it.
    pub async fn running(&self, id: JobId) -> Vec<String> {
        let all = self
            .sfn
            .list_executions()
            .state_machine_arn(env_var("UPLOAD_MACHINE_ARN"))
            .status_filter(ExecutionStatus::Running)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        let all = all.expect("Step Functions answers").into_iter();
        let (own, finish) = (id.execution(), format!("job-{id}-finish-"));
        all.map(|execution| execution.name)
            .filter(|name| *name == own || name.starts_with(&finish))
            .collect()
    }

    /// Whether nothing works on the job; the executions that do if not.
    pub async fn is_idle(&self, id: JobId) -> Result<(), Vec<String>> {
        match self.running(id).await {
            running if running.is_empty() => Ok(()),
            running => Err(running),
        }
    }

    /// The status of the job's own execution, if there is one.
    pub async fn execution_status(&self, id: JobId) -> Option<String> {
        let answer = self
            .sfn
            .describe_execution()
            .execution_arn(execution_arn(id))
            .send()
            .await;
        Some(answer.ok()?.status().as_str().to_owned())
    }

    /// The number of states that the job's own execution has entered.
    pub async fn states_entered(&self, id: JobId) -> u64 {
        let events = self
            .sfn
            .get_execution_history()
            .execution_arn(execution_arn(id))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .expect("Step Functions answers");
        let entered = events
            .iter()
            .filter(|event| event.r#type.as_str().ends_with("StateEntered"));
        entered.count() as u64
    }

    /// Whether the job's own execution runs.
    pub async fn is_running(&self, id: JobId) -> bool {
        self.execution_status(id).await.as_deref() == Some("RUNNING")
    }

    /// Starts the job's execution by hand, whether or not the job exists.
    pub async fn start(&self, id: JobId) {
        let answer = self
            .sfn
            .start_execution()
            .state_machine_arn(env_var("UPLOAD_MACHINE_ARN"))
            .name(id.execution())
            .input(json!({"job": id.to_string()}).to_string());
        answer.send().await.expect("an execution is started");
    }

    /// Stops the job's execution, as an operator may do in AWS's console.
    pub async fn stop(&self, id: JobId) {
        let answer = self.sfn.stop_execution().execution_arn(execution_arn(id));
        answer.send().await.expect("a running execution is stopped");
    }
}

/// The ARN of the job's own execution.
pub fn execution_arn(id: JobId) -> String {
    let machine = env_var("UPLOAD_MACHINE_ARN").replace(":stateMachine:", ":execution:");
    format!("{machine}:{}", id.execution())
}
