//! Writes the bytes of a slice into the parts of the object.

use aws_sdk_s3::Client;
use bytes::BytesMut;
use cloudupload::{
    aws::{self, Failure, RetryCount},
    job::Unrecorded,
    messages::TransferOutput,
    multipart::Writer,
};
use image::slice::{SliceError, SliceReader};

use super::{
    BucketRoute, Parts,
    parts::{MAX_PARTS, MAX_UNMEASURED},
};

/// Why a slice was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{0}")]
    Slice(#[from] SliceError),
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error(
        "the image is larger than {MAX_UNMEASURED} bytes, the most that can be transferred when its size is not known \
         before; compress it with xz -T0"
    )]
    TooManyParts,
}

/// Writes one slice.
#[derive(Debug)]
pub struct SliceWriter {
    writer: Writer,
    next_part: u16,
    part_size: usize,
}

impl BucketRoute<'_> {
    /// A writer for the parts of one slice, whose calls count their retries.
    pub fn writer(&self, parts: Parts, retries: &RetryCount) -> Result<SliceWriter, Unrecorded> {
        let config = aws::s3_config(&self.session.config).interceptor(retries.clone());
        let disk = self.disk(Client::from_conf(config.build()));
        Ok(SliceWriter {
            writer: Writer::new(disk.upload(self.target_upload()?)),
            next_part: parts.first_part,
            part_size: parts.part_size.get() as usize,
        })
    }
}

impl SliceWriter {
    /// Writes all bytes of the slice, and answers how many they were. Parts go out before the slice is known to be sound,
    /// so the object must not be completed after an error.
    pub async fn write(
        mut self,
        slice: &mut SliceReader<'_>,
    ) -> Result<TransferOutput, WriteError> {
        let mut bytes = 0;
        loop {
            let part = self.fill(slice).await?;
            if part.is_empty() {
                break;
            }
            if self.next_part > MAX_PARTS {
                return Err(WriteError::TooManyParts);
            }
            bytes += part.len() as u64;
            self.writer
                .put(self.next_part.into(), part.freeze())
                .await?;
            self.next_part += 1;
            // Decoding may find all of its input in memory for minutes, and would keep the reports waiting.
            tokio::task::yield_now().await;
        }
        self.writer.flush().await?;
        Ok(TransferOutput {
            bytes,
            blocks: None,
        })
    }

    /// The bytes of the next part; none at the end of the slice.
    async fn fill(&self, slice: &mut SliceReader<'_>) -> Result<BytesMut, SliceError> {
        let mut part = BytesMut::new();
        while part.len() < self.part_size {
            let room = self.part_size - part.len();
            if slice.read(&mut part, room).await? == 0 {
                break;
            }
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use cloudupload::error::is_transient;
    use image::decode::DecodeError;

    use super::*;

    /// The rule looks for the AWS failure below all that wraps it.
    #[test]
    fn a_read_that_broke_is_worth_another_try_and_damaged_data_is_not() {
        let broken = |transient| {
            let failure = Failure {
                transient,
                ..Failure::unexpected("s3:GetObject", "the connection broke")
            };
            let staged = DecodeError::Staged(io::Error::other(failure));
            WriteError::from(SliceError::from(staged))
        };
        assert!(is_transient(&broken(true)));
        assert!(!is_transient(&broken(false)));
        let expected = 1;
        assert!(!is_transient(&WriteError::from(SliceError::TooLong {
            expected
        })));
    }
}
