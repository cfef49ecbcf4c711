//! A file that the job's creator pushes: puts into the staging bucket, part by part, by URLs that are good for one part each.
//!
//! The bytes go to S3 and not through here, where a request has 6 MB at most. What a URL is good for is in its signature: this
//! object, this part, this many bytes. It dies with the credentials of the function instance that signed it, at the latest.

use std::time::Duration;

use cloudupload::{
    job::{Artifacts, Job, JobId, JobSummary, Progress, PushArtifacts, Source, State},
    multipart::{Crc32, Parts, Upload},
    step::REPORT_PERIOD,
    store::StoreError,
};
use lambda_http::tracing;

use super::{Access, ApiError};

/// The most URLs in one answer.
pub const MOST_URLS: usize = 100;

/// The time for which a URL is good.
pub const URL_VALID: Duration = Duration::from_secs(3600);

/// What has come of a pushed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub parts: Parts,
    /// The parts that are not there with all their bytes.
    pub missing: Vec<u32>,
    /// Whether the file is complete, and its creator has said so.
    pub done: bool,
}

/// Where one part is to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartUrl {
    pub number: u32,
    /// Bytes of the part. S3 refuses any other number.
    pub size: u64,
    pub url: String,
}

impl Access<'_> {
    /// How far the push is, as S3 tells: whoever was interrupted goes on with what is missing.
    pub async fn push(self, id: JobId) -> Result<Push, ApiError> {
        let job = self.pushed_job(id).await?;
        let parts = Parts::of(job.request.size);
        let done = job.artifacts.pushed();
        let missing = match done {
            true => Vec::new(),
            false => self.upload(&job)?.missing(parts).await?,
        };
        Ok(Push {
            parts,
            missing,
            done,
        })
    }

    /// The URLs of these parts. `sent` is how many bytes of the file were put so far, for the job's progress.
    pub async fn part_urls(
        self,
        id: JobId,
        numbers: &[u32],
        sent: Option<u64>,
    ) -> Result<Vec<PartUrl>, ApiError> {
        let job = self.pushed_job(id).await?;
        if job.artifacts.pushed() {
            return Err(ApiError::PushedAlready(id));
        }
        let upload = self.upload(&job)?;
        let parts = Parts::of(job.request.size);
        let mut urls = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let size = parts.length(number).ok_or(ApiError::NoSuchPart {
                number,
                count: parts.count(),
            })?;
            let url = upload.url(number, size, URL_VALID).await?;
            urls.push(PartUrl { number, size, url });
        }
        self.report_push(&job, sent).await?;
        Ok(urls)
    }

    /// Takes the file as complete, with that CRC32, and lets the job go on. A repetition is no error.
    pub async fn push_done(self, id: JobId, crc32: Crc32) -> Result<JobSummary, ApiError> {
        let mut job = self.pushed_job(id).await?;
        if !job.artifacts.pushed() {
            let missing = self
                .upload(&job)?
                .missing(Parts::of(job.request.size))
                .await?;
            if let Some(&first) = missing.first() {
                let count = missing.len();
                return Err(ApiError::PartsMissing { count, first });
            }
            let update = Artifacts {
                push: PushArtifacts {
                    pushed: Some(crc32),
                    ..PushArtifacts::default()
                },
                ..Artifacts::default()
            };
            let recorded = self.api.jobs.record_once(id, &update).await;
            job = recorded.map_err(over)?;
        }
        if job.artifacts.push.pushed != Some(crc32) {
            return Err(ApiError::PushedAlready(id));
        }
        tracing::info!(job = %id, "pushed by {}", self.caller);
        // An execution that is not there yet finds in the record that the file is.
        if job.state == State::Receiving
            && let Some(token) = &job.token
            && let Err(failure) = self.api.tokens.succeed(token).await
        {
            tracing::error!(job = %id, "the sweeper will have to end the wait: {failure}");
        }
        Ok(job.into())
    }

    /// Fails a job whose file will not come, for a reason that its user reads.
    pub async fn abort_push(self, id: JobId, reason: &str) -> Result<JobSummary, ApiError> {
        let job = self.pushed_job(id).await?;
        if job.artifacts.pushed() {
            return Err(ApiError::PushedAlready(id));
        }
        let job = self.api.jobs.fail(id, reason).await.map_err(over)?;
        tracing::info!(job = %id, "the push was aborted by {}: {reason}", self.caller);
        let line = format!("The push was aborted: {reason}");
        self.api.journal.of(id).line(line).await;
        self.end_wait(id, job.token.as_ref()).await;
        Ok(job.into())
    }

    /// A job whose file is pushed, if the caller may see it, and unless it has failed. One that has succeeded answers a
    /// client that asks again as it no longer knows whether its last request came through.
    async fn pushed_job(self, id: JobId) -> Result<Job, ApiError> {
        let job = match self.api.jobs.get(id).await {
            // A job that was refused when it was created is no `Job`.
            Err(StoreError::Unreadable { .. }) => {
                let JobSummary { state, details, .. } = self.job(id).await?;
                return Err(ApiError::JobOver { id, state, details });
            }
            job => job?,
        };
        if !self.caller.covers(&job.owner()) {
            return Err(ApiError::NoSuchJob);
        }
        match job.request.source {
            Source::Obs => Err(ApiError::NotPushed(id)),
            Source::Push if job.state == State::Failed => Err(ApiError::over(job)),
            Source::Push => Ok(job),
        }
    }

    /// The upload that takes the parts.
    fn upload(self, job: &Job) -> Result<Upload, ApiError> {
        let upload = job.artifacts.push.push_upload.clone();
        let upload = upload.ok_or(ApiError::PushNotBegun(job.id))?;
        Ok(self.api.staging.file(job.staged_key()).upload(upload))
    }

    /// Writes down how far the push is, and that somebody is at it.
    async fn report_push(self, job: &Job, sent: Option<u64>) -> Result<(), ApiError> {
        let (bytes, of) = (
            sent.unwrap_or_default().min(job.request.size),
            job.request.size,
        );
        let progress = Progress::Receiving { bytes, of };
        let claimed = self
            .api
            .jobs
            .claim_report(job, progress, REPORT_PERIOD)
            .await
            .map_err(over)?;
        if claimed && sent.is_some() {
            let percent = bytes * 100 / of.max(1);
            let mib = |bytes: u64| bytes >> 20;
            let line = format!("Received {percent}% ({} of {} MiB)", mib(bytes), mib(of));
            self.api.journal.of(job.id).line(line).await;
        }
        Ok(())
    }
}

/// A job that ended in the meantime has its reason for that.
fn over(error: StoreError) -> ApiError {
    match error {
        StoreError::Superseded(job) if job.state.is_final() => ApiError::over(*job),
        error => error.into(),
    }
}
