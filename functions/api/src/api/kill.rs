//! Kills a job.

use cloudupload::{
    job::{Job, JobId, JobSummary, TaskToken},
    store::StoreError,
};
use lambda_http::tracing;

use super::{Access, ApiError};

impl Access<'_> {
    /// Fails the job. One that is final already stays as it is, which is no error. A step that runs sees that its job is
    /// final, and stops; an execution that waits is woken.
    pub async fn kill(self, id: JobId) -> Result<JobSummary, ApiError> {
        // The record is read first only for those who may not kill every job.
        if !self.caller.covers_all() {
            self.job(id).await?;
        }
        let job: JobSummary = match self.api.jobs.fail(id, Job::KILLED).await {
            Ok(job) => {
                tracing::info!(job = %id, "killed for {}", self.caller);
                self.api.journal.of(id).line("Killed.").await;
                job.into()
            }
            Err(StoreError::Superseded(job)) => (*job).into(),
            Err(error @ StoreError::Unreadable { .. }) => {
                // A job that was refused when it was created has ended, and its record is no `Job`.
                match self.status(id).await? {
                    job if job.state.is_final() => job,
                    _ => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        self.end_wait(id, job.token.as_ref()).await;
        Ok(job)
    }

    /// Wakes the execution of a job that has ended, if it waits.
    pub(super) async fn end_wait(self, id: JobId, token: Option<&TaskToken>) {
        if let Some(token) = token
            && let Err(failure) = self.api.tokens.fail(token).await
        {
            tracing::error!(job = %id, "the sweeper will have to end the wait: {failure}");
        }
    }
}
