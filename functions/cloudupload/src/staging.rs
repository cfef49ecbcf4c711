//! The staging bucket: files as they lie in OBS, kept while their jobs run.

use std::{io, ops::Range, time::Duration};

use aws_sdk_s3::{Client, primitives::ByteStream};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncBufRead;
use tokio_util::io::StreamReader;

use crate::{
    aws::Failure,
    job::{Job, Unrecorded},
    meter::Meter,
    multipart::Location,
    retry::{Attempts, RetryBudget},
    target::AccountId,
};

/// The staging bucket.
#[derive(Clone, Debug)]
pub struct Staging {
    s3: Client,
    bucket: String,
    owner: AccountId,
}

/// One version of an object in the staging bucket: S3 refuses to read another.
#[derive(Clone, Debug)]
pub struct StagedFile {
    pub key: String,
    pub etag: String,
}

impl StagedFile {
    /// The file of a job that has received it.
    pub fn of(job: &Job) -> Result<Self, Unrecorded> {
        let staged = job.artifacts.staged.as_ref();
        Ok(Self {
            key: job.staged_key(),
            etag: staged.ok_or(Unrecorded("staged file"))?.etag.clone(),
        })
    }
}

/// Attempts at a read in a row without a byte.
const BREAKS: RetryBudget = RetryBudget {
    attempts: 6,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(8),
};

/// A read of a staged file that broke again and again.
#[derive(Debug, thiserror::Error)]
#[error("reading s3://{bucket}/{key} broke {} times at byte {at}: {reason}", BREAKS.attempts)]
pub struct BrokenRead {
    bucket: String,
    key: String,
    at: u64,
    reason: String,
}

#[cfg(test)]
impl BrokenRead {
    pub(crate) fn example() -> Self {
        Self {
            bucket: "staging".to_owned(),
            key: "job-1/leap.raw.xz".to_owned(),
            at: 7,
            reason: "it ended early".to_owned(),
        }
    }
}

impl Staging {
    pub fn new(s3: Client, bucket: String, owner: AccountId) -> Self {
        Self { s3, bucket, owner }
    }

    /// Where a job's file is to be.
    pub fn file(&self, key: String) -> Location {
        Location {
            s3: self.s3.clone(),
            bucket: self.bucket.clone(),
            key,
            owner: self.owner.to_string(),
        }
    }

    /// A few bytes of a file, all in memory.
    pub async fn read(&self, file: &StagedFile, range: Range<u64>) -> Result<Bytes, Failure> {
        let body = self.open(file, &range).await?;
        let bytes = body.collect().await.map_err(|error| {
            Failure::unexpected("s3:GetObject", format!("the connection broke: {error}"))
        })?;
        Ok(bytes.into_bytes())
    }

    /// The bytes of a file as a stream that goes on by itself where a connection broke. The meter counts bytes and breaks.
    /// An error of the stream is a [`Failure`] or a [`BrokenRead`].
    pub fn stream(
        &self,
        file: StagedFile,
        range: Range<u64>,
        meter: &Meter,
    ) -> impl AsyncBufRead + Send + Unpin + use<> {
        let start = Read {
            staging: self.clone(),
            file,
            left: range,
            body: None,
            meter: meter.clone(),
            attempts: BREAKS.start(),
        };
        let chunks = stream::try_unfold(start, async |mut read| {
            let chunk = read.chunk().await?;
            Ok::<_, io::Error>(chunk.map(|chunk| (chunk, read)))
        });
        StreamReader::new(Box::pin(chunks))
    }

    async fn open(&self, file: &StagedFile, range: &Range<u64>) -> Result<ByteStream, Failure> {
        let answer = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(&file.key)
            .expected_bucket_owner(self.owner.to_string())
            .if_match(&file.etag)
            .range(format!(
                "bytes={}-{}",
                range.start,
                range.end.saturating_sub(1)
            ))
            .send()
            .await
            .map_err(Failure::of("s3:GetObject"))?;
        Ok(answer.body)
    }
}

/// A read in progress.
struct Read {
    staging: Staging,
    file: StagedFile,
    left: Range<u64>,
    body: Option<ByteStream>,
    meter: Meter,
    attempts: Attempts,
}

impl Read {
    /// The next bytes; none at the end.
    async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        while !self.left.is_empty() {
            let body = match &mut self.body {
                Some(body) => body,
                none => none.insert(
                    self.staging
                        .open(&self.file, &self.left)
                        .await
                        .map_err(io::Error::other)?,
                ),
            };
            let reason = match body.next().await {
                Some(Ok(chunk)) => {
                    self.left.start += chunk.len() as u64;
                    self.meter.add(chunk.len() as u64);
                    self.attempts.reset();
                    return Ok(Some(chunk));
                }
                Some(Err(error)) => error.to_string(),
                None => "it ended early".to_owned(),
            };
            self.body = None;
            self.meter.retries.add();
            if !self.attempts.again().await {
                return Err(io::Error::other(BrokenRead {
                    bucket: self.staging.bucket.clone(),
                    key: self.file.key.clone(),
                    at: self.left.start,
                    reason,
                }));
            }
        }
        Ok(None)
    }
}
