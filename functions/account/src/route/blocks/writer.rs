//! Writes blocks into the snapshot, many at a time.

use std::{sync::Arc, time::Duration};

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_sdk_ebs::{
    Client, config::retry::RetryConfig, primitives::ByteStream, types::ChecksumAlgorithm,
};
use bytes::Bytes;
use cloudupload::{
    aws::{Failure, RetryCount},
    job::{SnapshotId, Unrecorded},
    messages::TransferOutput,
    retry::{self, RetryBudget},
};
use image::slice::SliceError;
use tokio::task::JoinSet;

use super::{BLOCK, BlockReader, NOT_FOUND, checksum, reader::Block};
use crate::pace::Pace;

/// Puts in flight: so many, and what waits for an answer of EBS has a bound of 16 MiB.
const IN_FLIGHT: usize = 32;

/// Attempts at one put: about two minutes, which is how long a new snapshot may be unknown to some of EBS's servers.
const PUT: RetryBudget = RetryBudget {
    attempts: 16,
    first: Duration::from_millis(100),
    longest: Duration::from_secs(20),
};

/// Longest pause after a put that EBS throttled.
const THROTTLED: Duration = Duration::from_secs(1);

/// Why a slice was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{0}")]
    Slice(#[from] SliceError),
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("{0}")]
    Unrecorded(#[from] Unrecorded),
    #[error(
        "the disk is larger than the {gib} GiB that its partition table and the file speak of; compress the image with \
         \"xz -T0\", whose files tell their size, or build it again"
    )]
    TooLong { gib: u64 },
}

/// Writes the blocks of one slice.
#[derive(Clone, Debug)]
pub(super) struct BlockWriter {
    pub(super) ebs: Client,
    pub(super) snapshot: SnapshotId,
    /// Blocks of the volume.
    pub(super) volume: u64,
    /// Whether blocks of zeros are written: what was not written reads as noise.
    pub(super) writes_zeros: bool,
    pub(super) pace: Arc<Pace>,
    pub(super) retries: RetryCount,
}

impl BlockWriter {
    pub(super) async fn write(
        self,
        mut blocks: BlockReader<'_, '_>,
    ) -> Result<TransferOutput, WriteError> {
        let mut puts = Puts {
            writer: &self,
            in_flight: JoinSet::new(),
            count: 0,
        };
        while let Some(block) = blocks.read().await? {
            let is_zero = is_zero(&block.data);
            if block.index >= self.volume && !is_zero {
                let gib = (self.volume * BLOCK as u64) >> 30;
                return Err(WriteError::TooLong { gib });
            }
            if block.index < self.volume && (self.writes_zeros || !is_zero) {
                puts.begin(block).await?;
            }
            // Decoding may find all of its input in memory for minutes, and would keep the reports waiting.
            tokio::task::yield_now().await;
        }
        if self.writes_zeros && blocks.ends_the_disk() {
            let zeros = Bytes::from_static(&[0; BLOCK]);
            for index in blocks.index()..self.volume {
                let data = zeros.clone();
                puts.begin(Block { index, data }).await?;
            }
        }
        let count = puts.end().await?;
        Ok(TransferOutput {
            bytes: blocks.bytes(),
            blocks: Some(count),
        })
    }

    async fn put(self, block: Block) -> Result<(), Failure> {
        let checksum = checksum(&block.data);
        let mut attempts = PUT.start();
        loop {
            self.pace.take().await;
            let failure = match self.try_put(&block, &checksum).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure.transient_on(&[NOT_FOUND]),
            };
            self.retries.add();
            if failure.has_any_code(THROTTLING_ERRORS) {
                self.pace.throttled();
                retry::pause(THROTTLED.mul_f64(fastrand::f64())).await;
            } else if !failure.transient || !attempts.again().await {
                return Err(failure);
            }
        }
    }

    async fn try_put(&self, block: &Block, checksum: &str) -> Result<(), Failure> {
        let index = i32::try_from(block.index)
            .map_err(|_| Failure::unexpected("ebs:PutSnapshotBlock", "no such block"))?;
        self.ebs
            .put_snapshot_block()
            .snapshot_id(self.snapshot.as_str())
            .block_index(index)
            .data_length(BLOCK as i32)
            .checksum(checksum)
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256)
            .block_data(ByteStream::from(block.data.clone()))
            .customize()
            // Retries are made here, where a throttled one can slow all of them down.
            .config_override(
                aws_sdk_ebs::config::Config::builder().retry_config(RetryConfig::disabled()),
            )
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("ebs:PutSnapshotBlock"))
    }
}

/// Puts at work.
struct Puts<'w> {
    writer: &'w BlockWriter,
    in_flight: JoinSet<Result<(), Failure>>,
    count: u64,
}

impl Puts<'_> {
    /// Begins to write a block, once there is room. Fails if an earlier one has failed.
    async fn begin(&mut self, block: Block) -> Result<(), Failure> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.join_one().await?;
        }
        self.count += 1;
        self.in_flight.spawn(self.writer.clone().put(block));
        Ok(())
    }

    /// Waits until all blocks are written, and gives their number.
    async fn end(mut self) -> Result<u64, Failure> {
        while !self.in_flight.is_empty() {
            self.join_one().await?;
        }
        Ok(self.count)
    }

    async fn join_one(&mut self) -> Result<(), Failure> {
        match self.in_flight.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => Ok(()),
        }
    }
}

/// Whether all bytes are zero: the first one is, and each is as the one after it. A comparison of memory, which is fast
/// however this crate is optimized.
fn is_zero(block: &[u8]) -> bool {
    block.first().is_none_or(|&byte| byte == 0)
        && block[..block.len().saturating_sub(1)] == block[block.len().min(1)..]
}
