//! Creates a job for OBS's source server, whose clients learn what is wrong with a request only from a job.

use cloudupload::job::{JobSummary, Subject};
use lambda_http::tracing;

use super::{Access, ApiError, NewJob};

/// A request that names all that a job is about.
#[derive(Debug, PartialEq)]
pub struct Submission {
    pub subject: Subject,
    /// The job to create, or why there can be none.
    pub new: Result<NewJob, String>,
}

impl Access<'_> {
    /// Creates the job that is asked for. If the request or the file is at fault, the job is one that has failed, with the
    /// reason in its details and in its log.
    pub async fn submit(self, submission: Submission) -> Result<JobSummary, ApiError> {
        let owner = self.may_upload_for(&submission.subject.user)?;
        let reason = match submission.new {
            Ok(new) => match self.create(new).await {
                Ok(job) => return Ok(job.into()),
                Err(error @ (ApiError::EmptyFile | ApiError::TooLarge(_) | ApiError::Obs(_))) => {
                    error.to_string()
                }
                Err(error) => return Err(error),
            },
            Err(reason) => reason,
        };
        let (jobs, creator) = (&self.api.jobs, self.creator(owner));
        let (subject, first) = (submission.subject, self.api.first_job);
        let refused = jobs.create_refused(subject, reason, creator, first).await?;
        tracing::info!(job = %refused.id, "refused for {}: {}", self.caller, refused.details);
        self.api.journal.of(refused.id).line(&refused.details).await;
        Ok(refused)
    }
}
