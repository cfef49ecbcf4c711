//! Removes the image that a job has made.

use cloudupload::{
    image_removal::{ImageRemoval, ImageRemovalOutcome},
    job::{JobId, JobSummary, State},
};
use lambda_http::tracing;

use super::{Access, ApiError};

impl Access<'_> {
    /// Removes AMI and snapshot of a job of the user who calls. Idempotent.
    pub async fn remove_image(self, id: JobId) -> Result<JobSummary, ApiError> {
        let user = &self.signed_in()?.user;
        let job = self.job(id).await?;
        if job.state != State::Succeeded {
            return Err(ApiError::NoImage(id, job.state));
        }
        if job.image_removed.is_some() {
            return Ok(job);
        }
        let removal = ImageRemoval {
            job: id,
            asked_by: Some(user.name.clone()),
        };
        let outcome = self.api.deregister.invoke(&removal).await;
        match outcome.map_err(ApiError::ImageNotRemoved)? {
            ImageRemovalOutcome::Removed(at) => {
                tracing::info!(job = %id, "image removed for {}", self.caller);
                Ok(JobSummary {
                    image_removed: Some(at),
                    ..job
                })
            }
            ImageRemovalOutcome::Refused(reason) => Err(ApiError::ImageKept(reason)),
        }
    }
}
