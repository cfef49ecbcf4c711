//! Reads one job.

use cloudupload::job::{Job, JobId};

use super::{Access, ApiError};

impl Access<'_> {
    pub async fn status(self, id: JobId) -> Result<Job, ApiError> {
        self.job(id).await
    }
}
