//! The function that tries roles, as this one may assume none.

use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use cloudupload::{
    aws::Failure,
    trial::{RoleTrial, TrialOutcome},
};
use serde::Deserialize;

use super::ApiError;

/// How long a trial may take. A request has 28 s, and the function 20.
const TIMEOUT: Duration = Duration::from_secs(22);

/// The function `connect`.
pub struct ConnectFunction {
    client: Client,
    name: String,
}

/// What Lambda answers for a function that failed (Lambda developer guide, "Understanding retry behavior in Lambda").
#[derive(Deserialize)]
struct FunctionError {
    #[serde(rename = "errorMessage")]
    message: String,
}

impl ConnectFunction {
    pub fn new(config: &aws_config::SdkConfig, name: String) -> Self {
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

    /// Has a role tried.
    pub async fn try_role(&self, trial: &RoleTrial) -> Result<TrialOutcome, ApiError> {
        let not_tried = |reason: &dyn std::fmt::Display| ApiError::NotTried(reason.to_string());
        let event = serde_json::to_vec(trial).map_err(|error| not_tried(&error))?;
        let answer = self
            .client
            .invoke()
            .function_name(&self.name)
            .payload(Blob::new(event))
            .send()
            .await
            .map_err(Failure::of("lambda:InvokeFunction"))
            .map_err(|failure| not_tried(&failure))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if answer.function_error.is_some() {
            let error: Result<FunctionError, _> = serde_json::from_slice(&payload);
            let message = error.map_or("it ended without a reason".to_owned(), |error| {
                error.message
            });
            return Err(ApiError::NotTried(message));
        }
        serde_json::from_slice(&payload).map_err(|error| not_tried(&error))
    }
}
