//! The start of a job's way: its execution in Step Functions.

use aws_sdk_sfn::Client;
use cloudupload::{aws::Failure, job::JobId, workflow::Step};

/// The state machine that uploads images.
pub struct UploadMachine {
    pub client: Client,
    pub arn: String,
}

impl UploadMachine {
    /// Starts the job's execution. Its name makes a second start of the same one harmless (Step Functions API reference,
    /// StartExecution: "idempotent for STANDARD workflows").
    pub async fn start(&self, job: JobId) -> Result<(), Failure> {
        let input = serde_json::to_string(&Step { job }).expect("a job's number can be written");
        self.client
            .start_execution()
            .state_machine_arn(&self.arn)
            .name(job.execution_name())
            .input(input)
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("states:StartExecution"))
    }
}
