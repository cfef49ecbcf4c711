//! A run of xz blocks whose CRC64 is computed here, and not by the decoder.
//!
//! liblzma computes it from a table: never with an instruction on arm64, and on x86_64 only if its build asks for that.
//! Of the time in which it decodes zeros, that is a fifth. So the decoder gets a frame with a check that it does not
//! know, and skips those at the blocks' ends. They are taken from the stream that it reads.
//!
//! Source: "The .xz File Format" 1.2.1; section numbers are its.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_compression::tokio::bufread::XzDecoder;
use crc_fast::{CrcAlgorithm::Crc64Xz, Digest};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::{Framed, decoder_of_run};
use crate::xz::{Frame, Sizes};

/// Bytes of a CRC64.
const LEN: usize = 8;

/// Decodes the run, and compares the CRC64 of each block.
pub(super) struct CheckedRun<R> {
    decoder: XzDecoder<Framed<Tap<R>>>,
    computed: Computed,
}

impl<R: AsyncBufRead + Unpin> CheckedRun<R> {
    pub(super) fn new(frame: Frame, staged: R) -> Self {
        let (stored, computed) = (Stored::of(frame.sizes()), Computed::of(frame.sizes()));
        let tap = Tap {
            staged,
            at: 0,
            stored,
        };
        Self {
            decoder: decoder_of_run(frame.with_unknown_check(), tap),
            computed,
        }
    }

    /// Compares the blocks of which both are known.
    fn compare(&mut self, is_end: bool) -> io::Result<()> {
        let (framed, _) = self.decoder.get_mut().get_mut();
        let stored = &mut framed.get_mut().1.stored.found;
        let computed = &mut self.computed.found;
        let both = stored.len().min(computed.len());
        let same = stored.drain(..both).eq(computed.drain(..both));
        // The decoder ends only after it has skipped the check of the last block.
        if !same || is_end && stored.len() != computed.len() {
            let reason = "the CRC64 of a block does not match";
            return Err(io::Error::new(ErrorKind::InvalidData, reason));
        }
        Ok(())
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for CheckedRun<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (into.filled().len(), into.remaining());
        ready!(Pin::new(&mut self.decoder).poll_read(cx, into))?;
        let decoded = &into.filled()[before..];
        self.computed.add(decoded);
        let is_end = decoded.is_empty() && room > 0;
        Poll::Ready(self.compare(is_end))
    }
}

/// The sums of what is decoded.
struct Computed {
    sizes: Sizes,
    /// Bytes that the present block still has; none after the last one.
    left: Option<u64>,
    digest: Digest,
    found: VecDeque<u64>,
}

impl Computed {
    fn of(mut sizes: Sizes) -> Self {
        let left = sizes.next().map(|(_, decoded)| decoded);
        Self {
            sizes,
            left,
            digest: Digest::new(Crc64Xz),
            found: VecDeque::new(),
        }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while let Some(left) = self.left {
            let (of_block, rest) =
                bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            self.digest.update(of_block);
            bytes = rest;
            let left = left - of_block.len() as u64;
            if left > 0 {
                self.left = Some(left);
                return;
            }
            self.found.push_back(self.digest.finalize_reset());
            self.left = self.sizes.next().map(|(_, decoded)| decoded);
        }
    }
}

/// The sums in the stream, at the end of each block.
struct Stored {
    sizes: Sizes,
    /// Where the sum of the present block starts in the run; none after the last one.
    place: Option<u64>,
    /// What has been seen of it.
    sum: [u8; LEN],
    /// Where the block after it starts.
    end: u64,
    found: VecDeque<u64>,
}

impl Stored {
    fn of(sizes: Sizes) -> Self {
        let mut stored = Self {
            sizes,
            place: None,
            sum: [0; LEN],
            end: 0,
            found: VecDeque::new(),
        };
        stored.go_on();
        stored
    }

    /// Goes on to the next block. With sizes that cannot be, there is none; the decoder refuses them.
    fn go_on(&mut self) {
        self.place = self.sizes.next().and_then(|(unpadded, _)| {
            // The sum comes after the padding (3).
            let len = unpadded.checked_next_multiple_of(4)?;
            self.end = self.end.checked_add(len)?;
            self.end.checked_sub(LEN as u64)
        });
    }

    /// Looks at bytes of the run that start there. They may have been seen before, but none may be left out.
    fn see(&mut self, at: u64, bytes: &[u8]) {
        let seen = at + bytes.len() as u64;
        while let Some(place) = self.place {
            for (byte, at_byte) in self.sum.iter_mut().zip(place..seen) {
                if let Some(at) = at_byte.checked_sub(at) {
                    *byte = bytes[at as usize];
                }
            }
            if seen < place + LEN as u64 {
                return;
            }
            self.found.push_back(u64::from_le_bytes(self.sum));
            self.go_on();
        }
    }
}

/// The run as the decoder reads it.
struct Tap<R> {
    staged: R,
    /// Bytes that the decoder has read.
    at: u64,
    stored: Stored,
}

impl<R: AsyncBufRead + Unpin> AsyncBufRead for Tap<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let bytes = ready!(Pin::new(&mut this.staged).poll_fill_buf(cx))?;
        this.stored.see(this.at, bytes);
        Poll::Ready(Ok(bytes))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.at += amount as u64;
        Pin::new(&mut self.staged).consume(amount);
    }
}

/// What `Chain` demands of its parts. The decoder reads by the buffer alone.
impl<R: AsyncBufRead + Unpin> AsyncRead for Tap<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.as_mut().poll_fill_buf(cx))?;
        let len = bytes.len().min(into.remaining());
        into.put_slice(&bytes[..len]);
        self.consume(len);
        Poll::Ready(Ok(()))
    }
}
