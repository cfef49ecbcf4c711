//! The function that removes AMI and snapshot of a job, as this one may assume no role.

use std::time::Duration;

use aws_config::SdkConfig;
use cloudupload::{
    image_removal::{ImageRemoval, ImageRemovalOutcome},
    invocation::{self, InvocationError},
    job::JobId,
    retry::RetryBudget,
};
use lambda_runtime::tracing;

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
pub struct DeregisterFunction(invocation::DeregisterFunction);

/// Why AMI or snapshot may still be there.
#[derive(Debug, thiserror::Error)]
pub enum NotRemoved {
    #[error("{0}")]
    Refused(String),
    #[error("deregister: {0}")]
    NotInvoked(#[from] InvocationError),
}

impl NotRemoved {
    /// Whether another attempt may succeed. The function tells a refusal from all else.
    fn is_transient(&self) -> bool {
        match self {
            NotRemoved::Refused(_) => false,
            NotRemoved::NotInvoked(error) => error.is_transient(),
        }
    }
}

impl DeregisterFunction {
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self(invocation::DeregisterFunction::new(config, name, TIMEOUT))
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
        match self.0.invoke(&removal).await? {
            ImageRemovalOutcome::Removed(_) => Ok(()),
            ImageRemovalOutcome::Refused(reason) => Err(NotRemoved::Refused(reason)),
        }
    }
}
