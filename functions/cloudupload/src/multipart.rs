//! A stream into an S3 object: parts side by side, a few in memory at a time.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_sdk_s3::{
    Client,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Part},
};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::aws::{self, Failure};

/// Bytes of the parts that are uploaded at the same time: the bound of a function's memory. Four parts of 8 MiB fill a
/// function's network.
const IN_FLIGHT: usize = 32 << 20;

/// S3's code for an upload that was completed or aborted.
const GONE: &str = "NoSuchUpload";

/// Why an upload does not become the object that it should.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("part {missing} of the upload of {place} is missing")]
    Hole { place: String, missing: i32 },
    #[error("the parts of the upload of {place} have {found} bytes, not {expected}")]
    Size {
        place: String,
        found: u64,
        expected: u64,
    },
}

/// Where an object is, or is to be.
#[derive(Clone, Debug)]
pub struct Location {
    pub s3: Client,
    pub bucket: String,
    pub key: String,
    /// The account that the bucket must belong to; S3 refuses the call if it is another's.
    pub owner: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl Location {
    /// Begins an upload. [`remove`](Self::remove) finds it even if its id is lost.
    pub async fn begin(self) -> Result<Upload, Failure> {
        let answer = self
            .s3
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.owner)
            // What the SDK sends with each part: both have to be the same (API reference, UploadPart).
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await
            .map_err(Failure::of("s3:CreateMultipartUpload"))?;
        let id = answer.upload_id.ok_or_else(|| {
            Failure::unexpected("s3:CreateMultipartUpload", "the answer has no upload id")
        })?;
        Ok(self.upload(id))
    }

    /// The upload of that id, which was begun before.
    pub fn upload(self, id: String) -> Upload {
        Upload { to: self, id }
    }

    /// Removes the object and aborts every upload of it. Idempotent: neither object nor bucket need be there.
    pub async fn remove(&self) -> Result<(), Failure> {
        if aws::ok_on_codes(&["NoSuchBucket"], self.abort_uploads().await)?.is_none() {
            return Ok(());
        }
        self.s3
            .delete_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.owner)
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("s3:DeleteObject"))
    }

    async fn abort_uploads(&self) -> Result<(), Failure> {
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let page = self
                .s3
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(&self.key)
                .expected_bucket_owner(&self.owner)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(Failure::of("s3:ListMultipartUploads"))?;
            let uploads = page.uploads().iter();
            for upload in uploads.filter(|upload| upload.key() == Some(&self.key)) {
                let answer = self
                    .s3
                    .abort_multipart_upload()
                    .bucket(&self.bucket)
                    .key(&self.key)
                    .expected_bucket_owner(&self.owner)
                    .set_upload_id(upload.upload_id.clone())
                    .send()
                    .await
                    .map_err(Failure::of("s3:AbortMultipartUpload"));
                aws::ok_on_codes(&[GONE], answer)?;
            }
            if page.is_truncated != Some(true) {
                return Ok(());
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}

/// A multipart upload: where it goes and its id.
#[derive(Clone, Debug)]
pub struct Upload {
    to: Location,
    id: String,
}

impl Upload {
    pub fn id(&self) -> &str {
        &self.id
    }

    async fn put(self, number: i32, body: Bytes) -> Result<(), Failure> {
        self.to
            .s3
            .upload_part()
            .bucket(&self.to.bucket)
            .key(&self.to.key)
            .expected_bucket_owner(&self.to.owner)
            .upload_id(&self.id)
            .part_number(number)
            .body(body.into())
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("s3:UploadPart"))
    }

    /// What lies in the upload, by part number.
    async fn parts(&self) -> Result<Vec<Part>, Failure> {
        self.to
            .s3
            .list_parts()
            .bucket(&self.to.bucket)
            .key(&self.to.key)
            .expected_bucket_owner(&self.to.owner)
            .upload_id(&self.id)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(Failure::of("s3:ListParts"))
    }

    /// Makes an object of `expected` bytes of the parts, which have to be numbered from 1 without a gap: with checksums, S3
    /// completes no other upload (S3 user guide, "Checking object integrity"). Gives its ETag. Idempotent: a step may run
    /// twice.
    pub async fn complete(&self, expected: u64) -> Result<String, MultipartError> {
        let Some(parts) = aws::ok_on_codes(&[GONE], self.parts().await)? else {
            return self.completed(expected).await;
        };
        let mut size = 0;
        let mut completed = Vec::with_capacity(parts.len());
        for (number, part) in (1..).zip(parts) {
            if part.part_number != Some(number) {
                return Err(MultipartError::Hole {
                    place: self.to.to_string(),
                    missing: number,
                });
            }
            size += part
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or_default();
            completed.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(part.e_tag)
                    .set_checksum_crc32(part.checksum_crc32)
                    .build(),
            );
        }
        self.check(size, expected)?;
        let answer = self
            .to
            .s3
            .complete_multipart_upload()
            .bucket(&self.to.bucket)
            .key(&self.to.key)
            .expected_bucket_owner(&self.to.owner)
            .upload_id(&self.id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(completed))
                    .build(),
            )
            .send()
            .await
            .map_err(Failure::of("s3:CompleteMultipartUpload"));
        let Some(answer) = aws::ok_on_codes(&[GONE], answer)? else {
            // Our own call, of which the first answer was lost.
            return self.completed(expected).await;
        };
        Ok(answer.e_tag.unwrap_or_default())
    }

    async fn completed(&self, expected: u64) -> Result<String, MultipartError> {
        let head = self
            .to
            .s3
            .head_object()
            .bucket(&self.to.bucket)
            .key(&self.to.key)
            .expected_bucket_owner(&self.to.owner)
            .send()
            .await
            .map_err(Failure::of("s3:HeadObject"))?;
        let size = head
            .content_length
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or_default();
        self.check(size, expected)?;
        Ok(head.e_tag.unwrap_or_default())
    }

    fn check(&self, found: u64, expected: u64) -> Result<(), MultipartError> {
        if found == expected {
            return Ok(());
        }
        Err(MultipartError::Size {
            place: self.to.to_string(),
            found,
            expected,
        })
    }
}

/// Writes the parts of an upload, in any order of their numbers.
#[derive(Debug)]
pub struct Writer {
    upload: Upload,
    in_flight: JoinSet<Result<(), Failure>>,
}

impl Writer {
    pub fn new(upload: Upload) -> Self {
        Self {
            upload,
            in_flight: JoinSet::new(),
        }
    }

    /// Begins to upload one part. Waits while too many bytes are in flight. Fails if an earlier part has failed.
    pub async fn put(&mut self, number: i32, body: Bytes) -> Result<(), Failure> {
        while self.in_flight.len() >= (IN_FLIGHT / body.len().max(1)).max(1) {
            self.join_one().await?;
        }
        self.in_flight.spawn(self.upload.clone().put(number, body));
        Ok(())
    }

    /// Waits until all parts are uploaded.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        while !self.in_flight.is_empty() {
            self.join_one().await?;
        }
        Ok(())
    }

    async fn join_one(&mut self) -> Result<(), Failure> {
        match self.in_flight.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => Ok(()),
        }
    }
}
