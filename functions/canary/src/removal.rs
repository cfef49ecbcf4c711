//! The function that removes AMI and snapshot of a job, as this one may assume no role.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::{
    Client,
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use cloudupload::{
    aws::Failure,
    image_removal::{ImageRemoval, ImageRemovalOutcome},
    job::JobId,
    retry::RetryBudget,
};
use lambda_runtime::tracing;
use serde::Deserialize;

/// How long one attempt at a removal may take: longer than the function itself may run (`Deregister` in
/// `infra/template.yaml`).
const TIMEOUT: Duration = Duration::from_secs(25);

/// Attempts at a removal, for trouble of AWS: a removal may be repeated.
const BUDGET: RetryBudget = RetryBudget {
    attempts: 3,
    first: Duration::from_secs(4),
    longest: Duration::from_secs(8),
};

/// The longest that all attempts take, with the pauses between them.
pub const LONGEST: Duration = Duration::from_secs(3 * 25 + 4 + 8);

/// The function `deregister`.
pub struct DeregisterFunction {
    client: Client,
    name: String,
}

/// Why AMI or snapshot may still be there.
#[derive(Debug, thiserror::Error)]
pub enum NotRemoved {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Call(#[from] Failure),
    #[error("the function deregister failed: {0}")]
    Failed(String),
    #[error("the answer of the function deregister is not understood: {0}")]
    Answer(serde_json::Error),
}

impl NotRemoved {
    /// Whether another attempt may succeed. The function tells a refusal from all else.
    fn is_transient(&self) -> bool {
        match self {
            NotRemoved::Refused(_) | NotRemoved::Answer(_) => false,
            NotRemoved::Call(failure) => failure.transient,
            NotRemoved::Failed(_) => true,
        }
    }
}

/// What Lambda answers for a function that failed (Lambda developer guide, "Understanding retry behavior in Lambda").
#[derive(Deserialize)]
struct FunctionError {
    #[serde(rename = "errorMessage")]
    message: String,
}

impl DeregisterFunction {
    pub fn new(config: &SdkConfig, name: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_timeout(TIMEOUT);
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        Self {
            client: Client::from_conf(config.build()),
            name,
        }
    }

    /// Has AMI and snapshot of a job removed. One whose image is gone already is no error.
    pub async fn remove(&self, job: JobId) -> Result<(), NotRemoved> {
        let mut attempts = BUDGET.start();
        loop {
            match self.attempt(job).await {
                Err(error) if error.is_transient() && attempts.again().await => {
                    tracing::warn!(%job, "retry: {error}");
                }
                removed => return removed,
            }
        }
    }

    async fn attempt(&self, job: JobId) -> Result<(), NotRemoved> {
        let removal = ImageRemoval {
            job,
            asked_by: None,
        };
        let event = serde_json::to_vec(&removal).map_err(NotRemoved::Answer)?;
        let answer = self
            .client
            .invoke()
            .function_name(&self.name)
            .payload(Blob::new(event))
            .send()
            .await
            .map_err(Failure::of("lambda:InvokeFunction"))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if answer.function_error.is_some() {
            let error: Result<FunctionError, _> = serde_json::from_slice(&payload);
            let message = error.map_or("it ended without a reason".to_owned(), |error| {
                error.message
            });
            return Err(NotRemoved::Failed(message));
        }
        match serde_json::from_slice(&payload).map_err(NotRemoved::Answer)? {
            ImageRemovalOutcome::Removed(_) => Ok(()),
            ImageRemovalOutcome::Refused(reason) => Err(NotRemoved::Refused(reason)),
        }
    }
}
