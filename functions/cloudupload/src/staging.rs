//! The staging bucket: files as they lay in OBS, kept while their jobs run.

use std::{io, ops::Range, time::Duration};

use aws_sdk_s3::{Client, primitives::ByteStream};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use tokio::{io::AsyncBufRead, time::sleep};
use tokio_util::io::StreamReader;

use crate::{
    aws::{Failure, Retries},
    backoff,
    job::{Job, Unrecorded},
    multipart::Location,
    reporter::Count,
    target::AccountId,
};

/// The staging bucket.
#[derive(Clone, Debug)]
pub struct Staging {
    s3: Client,
    bucket: String,
    owner: AccountId,
}

/// A version of an object in the staging bucket: reads of another one are refused.
#[derive(Clone, Debug)]
pub struct StagedFile {
    pub key: String,
    pub etag: String,
}

impl StagedFile {
    /// The file of a job that has received it.
    pub fn of(job: &Job) -> Result<Self, Unrecorded> {
        let staged = job.work.staged.as_ref();
        Ok(Self {
            key: job.staged_key(),
            etag: staged.ok_or(Unrecorded("staged file"))?.etag.clone(),
        })
    }
}

/// How often in a row a read may break without a byte having come.
const BREAKS: u32 = 6;

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
            Failure::odd("s3:GetObject", format!("the connection broke: {error}"))
        })?;
        Ok(bytes.into_bytes())
    }

    /// The bytes of a file as a stream that goes on by itself where a connection broke. It counts what came, and how
    /// often it had to go on.
    pub fn stream(
        &self,
        file: StagedFile,
        range: Range<u64>,
        count: Count,
        retries: Retries,
    ) -> impl AsyncBufRead + Send + Unpin + use<> {
        let chunks = self.clone().chunks(file, range, retries);
        let chunks = chunks.inspect_ok(move |chunk| count.add(chunk.len() as u64));
        StreamReader::new(Box::pin(chunks))
    }

    fn chunks(
        self,
        file: StagedFile,
        range: Range<u64>,
        retries: Retries,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let start = Reading {
            left: range,
            body: None,
            breaks: 0,
        };
        stream::try_unfold(start, move |mut reading| {
            let (staging, file, retries) = (self.clone(), file.clone(), retries.clone());
            async move {
                while !reading.left.is_empty() {
                    let mut body = match reading.body.take() {
                        Some(body) => body,
                        None => staging
                            .open(&file, &reading.left)
                            .await
                            .map_err(io::Error::other)?,
                    };
                    let broke = match body.next().await {
                        Some(Ok(chunk)) => {
                            reading.left.start += chunk.len() as u64;
                            reading.body = Some(body);
                            reading.breaks = 0;
                            return Ok(Some((chunk, reading)));
                        }
                        Some(Err(error)) => error.to_string(),
                        None => "it ended early".to_owned(),
                    };
                    reading.breaks += 1;
                    retries.add();
                    if reading.breaks >= BREAKS {
                        return Err(io::Error::other(format!(
                            "reading s3://{}/{} broke {BREAKS} times at byte {}: {broke}",
                            staging.bucket, file.key, reading.left.start
                        )));
                    }
                    let (first, most) = (Duration::from_millis(250), Duration::from_secs(8));
                    sleep(backoff::pause(reading.breaks, first, most)).await;
                }
                Ok(None)
            }
        })
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

struct Reading {
    left: Range<u64>,
    body: Option<ByteStream>,
    breaks: u32,
}
