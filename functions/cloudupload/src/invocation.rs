//! The functions that work in the accounts of users, for those that may assume no role.

use std::{marker::PhantomData, time::Duration};

use aws_sdk_lambda::{
    Client,
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    aws::Failure,
    image_removal::{ImageRemoval, ImageRemovalOutcome},
    trial::{RoleTrial, TrialOutcome},
};

/// The function `connect`, which tries roles.
pub type ConnectFunction = InvokedFunction<RoleTrial, TrialOutcome>;

/// The function `deregister`, which removes AMI and snapshot of a job.
pub type DeregisterFunction = InvokedFunction<ImageRemoval, ImageRemovalOutcome>;

/// A function that takes such an event, and whose answer is waited for.
pub struct InvokedFunction<Event, Answer> {
    client: Client,
    name: String,
    answers: PhantomData<fn(&Event) -> Answer>,
}

/// Why a function has not answered.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    #[error("{0}")]
    Aws(#[from] Failure),
    /// It failed, with these words.
    #[error("{0}")]
    Failed(String),
    #[error("the answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// What Lambda answers for a function that failed (Lambda developer guide, "Understanding retry behavior in Lambda").
#[derive(Deserialize)]
struct FunctionError {
    #[serde(rename = "errorMessage")]
    message: String,
}

impl InvocationError {
    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Aws(failure) => failure.transient,
            Self::Failed(_) => true,
            Self::Json(_) => false,
        }
    }
}

impl<Event: Serialize, Answer: DeserializeOwned> InvokedFunction<Event, Answer> {
    /// The function of this name. An invocation may take so long: longer than the function itself may run.
    pub fn new(config: &aws_config::SdkConfig, name: String, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_timeout(timeout);
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        Self {
            client: Client::from_conf(config.build()),
            name,
            answers: PhantomData,
        }
    }

    /// Invokes the function, once.
    pub async fn invoke(&self, event: &Event) -> Result<Answer, InvocationError> {
        let answer = self
            .client
            .invoke()
            .function_name(&self.name)
            .payload(Blob::new(serde_json::to_vec(event)?))
            .send()
            .await
            .map_err(Failure::of("lambda:InvokeFunction"))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if answer.function_error.is_some() {
            let error: Result<FunctionError, _> = serde_json::from_slice(&payload);
            let message = error.map_or("it ended without a reason".to_owned(), |error| {
                error.message
            });
            return Err(InvocationError::Failed(message));
        }
        Ok(serde_json::from_slice(&payload)?)
    }
}
