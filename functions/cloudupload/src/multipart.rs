//! A stream into an S3 object: parts side by side, a few in memory at a time, or put by somebody else.

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use aws_sdk_s3::{
    Client,
    error::DisplayErrorContext,
    presigning::{PresigningConfig, PresigningConfigError},
    types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, Part},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::aws::{self, Failure};

/// Bytes of the parts that are uploaded at the same time: the bound of a function's memory. Four parts of 8 MiB fill a
/// function's network.
const IN_FLIGHT: usize = 32 << 20;

/// S3's code for an upload that was completed or aborted.
const GONE: &str = "NoSuchUpload";

/// S3's code for an object that has another checksum than the request says.
const BAD_DIGEST: &str = "BadDigest";

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
    #[error(
        "the bytes that came do not have the CRC32 {0}: the file was damaged on its way, or changed while it was sent; \
         upload it again"
    )]
    Checksum(Crc32),
}

/// The CRC32 of a whole file (that of zlib and of Ethernet), as S3 writes it: 4 bytes, the highest first, in Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crc32(u32);

/// Text that is no CRC32.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no CRC32: give its 4 bytes, the highest first, in Base64, such as 'y/Q5Jg=='")]
pub struct BadCrc32(String);

impl From<u32> for Crc32 {
    fn from(sum: u32) -> Self {
        Self(sum)
    }
}

impl FromStr for Crc32 {
    type Err = BadCrc32;

    fn from_str(text: &str) -> Result<Self, BadCrc32> {
        let bytes = BASE64_STANDARD.decode(text).ok();
        let bytes: Option<[u8; 4]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(|bytes| Self(u32::from_be_bytes(bytes)))
            .ok_or_else(|| BadCrc32(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for Crc32 {
    type Error = BadCrc32;

    fn try_from(text: String) -> Result<Self, BadCrc32> {
        text.parse()
    }
}

impl From<Crc32> for String {
    fn from(sum: Crc32) -> Self {
        sum.to_string()
    }
}

impl fmt::Display for Crc32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0.to_be_bytes()))
    }
}

/// How a file is cut into the parts of an upload: all of one size, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    file: u64,
    part: u64,
}

/// S3's bounds: parts from 5 MiB to 5 GiB, at most 10,000 (S3 user guide, "Amazon S3 multipart upload limits").
const MOST_PARTS: u64 = 10_000;
const LARGEST_PART: u64 = 5 << 30;
const USUAL_PART: u64 = 8 << 20;
const MIB: u64 = 1 << 20;

impl Parts {
    /// The most bytes that a file can have.
    pub const LARGEST_FILE: u64 = MOST_PARTS * LARGEST_PART;

    /// The parts of a file of that many bytes.
    pub fn of(file: u64) -> Self {
        let part = file.div_ceil(MOST_PARTS).next_multiple_of(MIB);
        Self {
            file,
            part: part.max(USUAL_PART),
        }
    }

    /// Bytes of the whole file.
    pub fn file(self) -> u64 {
        self.file
    }

    /// Bytes of all parts but the last.
    pub fn size(self) -> u64 {
        self.part
    }

    /// How many parts there are.
    pub fn count(self) -> u32 {
        self.file.div_ceil(self.part) as u32
    }

    /// Bytes of the part of that number. `None` if there is no such part.
    pub fn length(self, number: u32) -> Option<u64> {
        let before = u64::from(number.checked_sub(1)?) * self.part;
        let left = self.file.checked_sub(before)?;
        (left > 0).then_some(left.min(self.part))
    }
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
        self.create(None).await
    }

    /// Begins an upload whose parts somebody else puts, by URLs. S3 computes the CRC32 of the whole object; parts need to have
    /// none (S3 user guide, "Checking object integrity", "Full object checksums"; that S3 takes such parts without:
    /// versity/versitygw issue 1342).
    pub async fn begin_push(self) -> Result<Upload, Failure> {
        self.create(Some(ChecksumType::FullObject)).await
    }

    async fn create(self, checksum: Option<ChecksumType>) -> Result<Upload, Failure> {
        let answer = self
            .s3
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .expected_bucket_owner(&self.owner)
            // What the SDK sends with each part: both have to be the same (API reference, UploadPart).
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_checksum_type(checksum)
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

    /// The URL by which anybody can put this one part, with exactly so many bytes, for that time at most, and no longer than
    /// the credentials live that sign it.
    ///
    /// Nothing is sent for it.
    pub async fn url(&self, number: u32, length: u64, valid: Duration) -> Result<String, Failure> {
        let failed = |reason: String| Failure::unexpected("signing s3:UploadPart", reason);
        let valid = PresigningConfig::expires_in(valid)
            .map_err(|error: PresigningConfigError| failed(error.to_string()))?;
        let request = self
            .to
            .s3
            .upload_part()
            .bucket(&self.to.bucket)
            .key(&self.to.key)
            .upload_id(&self.id)
            .part_number(number as i32)
            // A signed header: S3 refuses another length.
            .content_length(length as i64)
            .presigned(valid)
            .await
            .map_err(|error| failed(DisplayErrorContext(error).to_string()))?;
        Ok(request.uri().to_owned())
    }

    /// The parts that do not lie in the upload yet with all their bytes.
    pub async fn missing(&self, parts: Parts) -> Result<Vec<u32>, Failure> {
        let there: BTreeSet<(u32, u64)> = self
            .parts()
            .await?
            .iter()
            .filter_map(|part| Some((part.part_number? as u32, part.size? as u64)))
            .collect();
        let missing = |&number: &u32| {
            let length = parts.length(number);
            length.is_some_and(|length| !there.contains(&(number, length)))
        };
        Ok((1..=parts.count()).filter(missing).collect())
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
        self.assemble(expected, None).await
    }

    /// The same of an upload of [`Location::begin_push`], whose object must have that CRC32.
    pub async fn complete_push(
        &self,
        expected: u64,
        crc32: Crc32,
    ) -> Result<String, MultipartError> {
        match self.assemble(expected, Some(crc32)).await {
            Err(MultipartError::Aws(failure)) if failure.has_code(BAD_DIGEST) => {
                Err(MultipartError::Checksum(crc32))
            }
            completed => completed,
        }
    }

    async fn assemble(
        &self,
        expected: u64,
        crc32: Option<Crc32>,
    ) -> Result<String, MultipartError> {
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
            .set_checksum_crc32(crc32.map(String::from))
            .set_checksum_type(crc32.map(|_| ChecksumType::FullObject))
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
