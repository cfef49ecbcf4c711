//! Cuts the bytes of a slice into blocks.
//!
//! Slices end anywhere, blocks do not. A block belongs to the slice in which it begins: that one reads the block's end from
//! the slice after it, which leaves these bytes out. So no block is written by two, and none is lost.

use bytes::{Bytes, BytesMut};
use image::slice::{SliceError, SliceReader};

use super::BLOCK;

/// A block of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Counted from 0 at the volume's start.
    pub(super) index: u64,
    /// [`BLOCK`] bytes. After the end of the disk, they are zero.
    pub(super) data: Bytes,
}

/// Reads the blocks that begin in a slice.
#[derive(Debug)]
pub(super) struct BlockReader<'r, 'a> {
    slice: &'r mut SliceReader<'a>,
    next: Option<SliceReader<'a>>,
    /// Bytes still to be left out: the end of a block that began before.
    skip: usize,
    index: u64,
    bytes: u64,
    is_over: bool,
}

impl<'r, 'a> BlockReader<'r, 'a> {
    /// `start` is the slice's first byte in the image.
    pub(super) fn new(
        start: u64,
        slice: &'r mut SliceReader<'a>,
        next: Option<SliceReader<'a>>,
    ) -> Self {
        let index = start.div_ceil(BLOCK as u64);
        Self {
            slice,
            next,
            skip: (index * BLOCK as u64 - start) as usize,
            index,
            bytes: 0,
            is_over: false,
        }
    }

    /// The bytes of the slice so far, those left out included and those of the next slice not.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the disk ends with this slice.
    pub(super) fn ends_the_disk(&self) -> bool {
        self.next.is_none()
    }

    /// The number of the next block.
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// The next block; none after the last one. Blocks come out before the slice is known to be sound.
    pub(super) async fn read(&mut self) -> Result<Option<Block>, SliceError> {
        if self.is_over {
            return Ok(None);
        }
        self.leave_out().await?;
        let mut data = BytesMut::with_capacity(BLOCK);
        let own = fill(self.slice, &mut data).await?;
        self.bytes += own as u64;
        if own < BLOCK {
            self.is_over = true;
            if own == 0 {
                return Ok(None);
            }
            if let Some(next) = &mut self.next {
                fill(next, &mut data).await?;
            }
            data.resize(BLOCK, 0);
        }
        let index = self.index;
        self.index += 1;
        Ok(Some(Block {
            index,
            data: data.freeze(),
        }))
    }

    async fn leave_out(&mut self) -> Result<(), SliceError> {
        let mut dropped = BytesMut::new();
        while self.skip > 0 {
            let read = self.slice.read(&mut dropped, self.skip).await?;
            if read == 0 {
                self.skip = 0;
            }
            self.skip -= read.min(self.skip);
            self.bytes += read as u64;
            dropped.clear();
        }
        Ok(())
    }
}

/// Reads until there is a whole block, or the slice is over. Returns how many bytes were read.
async fn fill(slice: &mut SliceReader<'_>, block: &mut BytesMut) -> Result<usize, SliceError> {
    let before = block.len();
    while block.len() < BLOCK {
        let room = BLOCK - block.len();
        if slice.read(block, room).await? == 0 {
            break;
        }
    }
    Ok(block.len() - before)
}
