//! Reads one job.

use cloudupload::job::{JobId, JobSummary};

use super::{Access, ApiError};

impl Access<'_> {
    pub async fn status(self, id: JobId) -> Result<JobSummary, ApiError> {
        self.job(id).await
    }
}
