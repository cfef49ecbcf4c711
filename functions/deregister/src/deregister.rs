//! Removes the image of a job, records when, and tells the job's log.
//!
//! Nothing else works on a job that has succeeded but the last clean-up, which leaves the image alone. Calls for the same job
//! may overlap: what is gone already is removed, and the first to record it writes the line in the log.

#[cfg(test)]
mod tests;

use std::time::Duration;

use account::{Accounts, ImageRemovalError, Purpose, SessionError};
use cloudupload::{
    aws::CallBudget,
    clock::Timestamp,
    environment::Environment,
    error::StepError,
    function::{Event, Function},
    image_removal::{ImageRemoval, ImageRemovalOutcome},
    job::{AmiId, Job, JobId, SnapshotId, State},
    store::StoreError,
};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

/// How long the removal may take. The function has 20 s, and reads and writes the record besides.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(14);

pub struct Deregister {
    environment: Environment,
    accounts: Accounts,
}

/// What `api` sends.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct DeregisterEvent(ImageRemoval);

impl Event for DeregisterEvent {
    fn job(&self) -> Option<JobId> {
        Some(self.0.job)
    }
}

impl Function for Deregister {
    const NAME: &str = "deregister";
    const BUDGET: CallBudget = CallBudget::Request;
    type Event = DeregisterEvent;
    type Answer = ImageRemovalOutcome;

    fn from_env(environment: Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            accounts: Accounts::from_env(&environment)?,
            environment,
        })
    }

    /// An image that cannot be removed as things are is no failure of this function. Trouble of AWS is one.
    async fn handle(
        &self,
        DeregisterEvent(asked): DeregisterEvent,
        _deadline: Instant,
    ) -> Result<ImageRemovalOutcome, StepError> {
        let job = match self.environment.jobs.get(asked.job).await {
            Err(StoreError::NoSuchJob(id)) => {
                return Ok(ImageRemovalOutcome::Refused(format!(
                    "there is no job {id}"
                )));
            }
            job => job?,
        };
        if let Some(at) = job.image_removed {
            return Ok(ImageRemovalOutcome::Removed(at));
        }
        let Some(image) = Image::of(&job) else {
            return Ok(ImageRemovalOutcome::Refused(format!(
                "job {} is {}: only a job that has succeeded has an image",
                job.id, job.state
            )));
        };
        let removed = timeout(REMOVAL_TIMEOUT, self.remove(&job, image)).await;
        let removed = removed.map_err(|_| {
            StepError::Transient("EC2 has not removed the image in time".to_owned())
        })?;
        match removed.map_err(StepError::from) {
            Ok(()) => self.record(&job, image, &asked).await,
            Err(StepError::Failed(reason)) => {
                let log = self.environment.log(job.id);
                log.line(format!(
                    "Could not remove the image {}: {reason}",
                    image.ami
                ))
                .await;
                Ok(ImageRemovalOutcome::Refused(reason))
            }
            Err(error) => Err(error),
        }
    }
}

/// The image that a job has made.
#[derive(Clone, Copy, Debug)]
struct Image<'a> {
    ami: &'a AmiId,
    snapshot: &'a SnapshotId,
}

impl<'a> Image<'a> {
    fn of(job: &'a Job) -> Option<Self> {
        let artifacts = &job.artifacts;
        match (job.state, &artifacts.ami, &artifacts.snapshot) {
            (State::Succeeded, Some(ami), Some(snapshot)) => Some(Self { ami, snapshot }),
            _ => None,
        }
    }
}

/// Why an image is not removed.
#[derive(Debug, thiserror::Error)]
enum RemovalError {
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("{0}")]
    Image(#[from] ImageRemovalError),
}

impl Deregister {
    async fn remove(&self, job: &Job, image: Image<'_>) -> Result<(), RemovalError> {
        let session = self.accounts.session(job, Purpose::RemoveAmi).await?;
        Ok(session.remove_image(image.ami, image.snapshot).await?)
    }

    async fn record(
        &self,
        job: &Job,
        Image { ami, snapshot }: Image<'_>,
        asked: &ImageRemoval,
    ) -> Result<ImageRemovalOutcome, StepError> {
        let now = Timestamp::now();
        match self.environment.jobs.set_image_removed(job.id, now).await {
            Ok(_) => {
                let by = asked.asked_by.as_ref();
                let by = by.map_or("the operators of this service", |user| user.as_str());
                let line = format!(
                    "Removed the image {ami} and its snapshot {snapshot}, as asked by {by}."
                );
                self.environment.log(job.id).line(line).await;
                Ok(ImageRemovalOutcome::Removed(now))
            }
            Err(StoreError::Superseded(job)) => match job.image_removed {
                Some(at) => Ok(ImageRemovalOutcome::Removed(at)),
                None => Err(StepError::ended(&job)),
            },
            Err(error) => Err(error.into()),
        }
    }
}
