//! Reads a job's log.

use std::time::Duration;

use cloudupload::{
    clock::Timestamp,
    job::{JobId, JobSummary},
    journal::Log,
};
use tokio::time::{Instant, sleep};

use super::{Access, ApiError, LogRange};

/// How long a request that follows a log waits for more of it.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);

/// Time between two reads of a log that is followed. CloudWatch Logs answers to 10 GetLogEvents a second in an account
/// (CloudWatch Logs user guide, "Quotas").
const READ_INTERVAL: Duration = Duration::from_secs(2);

/// Time after which a line that was written is expected to be readable. CloudWatch Logs promises none.
const READ_LAG: Duration = Duration::from_secs(5);

/// A log without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// In bytes.
    pub size: usize,
    /// When the last line was written, or when the job was created if there is none.
    pub modified: Timestamp,
}

impl Access<'_> {
    /// A part of a job's log, in bytes: it may begin or end within a character. With `follow`, waits for a while if the log
    /// ends where the part starts.
    pub async fn log(self, id: JobId, range: LogRange, follow: bool) -> Result<Vec<u8>, ApiError> {
        let deadline = Instant::now() + FOLLOW_TIMEOUT;
        let mut log = Log::default();
        loop {
            let job = self.read_log(id, &mut log).await?;
            let text = log.text.as_bytes();
            let part = range.of(text.len())?;
            let has_more = part.start < text.len();
            if has_more || !follow || has_complete_log(&job) || Instant::now() >= deadline {
                return Ok(text[part].to_owned());
            }
            sleep(READ_INTERVAL).await;
        }
    }

    pub async fn log_info(self, id: JobId) -> Result<LogInfo, ApiError> {
        let mut log = Log::default();
        let job = self.read_log(id, &mut log).await?;
        Ok(LogInfo {
            size: log.text.len(),
            modified: log.modified.max(job.created),
        })
    }

    /// Adds the lines that the job's log has gained. The job is read before its log: if it is final, the log has all that
    /// was written before the job's end.
    async fn read_log(self, id: JobId, log: &mut Log) -> Result<JobSummary, ApiError> {
        let job = self.job(id).await?;
        let read = self.api.journal.read_on(id, log).await;
        read.map_err(ApiError::Log)?;
        Ok(job)
    }
}

/// Whether the log has the job's end, so that there is nothing to wait for. What the clean-up adds later comes with the
/// next request.
fn has_complete_log(job: &JobSummary) -> bool {
    let ended = job.ended.unwrap_or(job.created);
    job.state.is_final() && Timestamp::now() > ended + READ_LAG
}
