//! From the bytes of a staged object to those of the image.

mod crc64;

use std::{
    fmt,
    io::{self, Cursor, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_compression::tokio::bufread::{GzipDecoder, XzDecoder, ZstdDecoder};
use bytes::BufMut;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, Chain, ReadBuf};

use crate::{
    HEAD_LEN,
    format::Compression,
    xz::{self, Check, Frame},
};

/// Bytes of memory for an xz decoder; `xz -9`, the largest preset, needs 65 MiB (xz(1)). (The zstd decoder has a limit
/// of its own: a window of 128 MiB, which is also the default of `zstd`.)
const XZ_MEMORY: u64 = 80 << 20;

/// Why decoding failed.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The reader of the staged object failed, which says nothing about the image: worth another try.
    #[error("reading the staged object failed: {0}")]
    Staged(#[source] io::Error),
    /// Permanent: the same data fails again.
    #[error("the {compression} data is damaged or cut off ({reason}); build the image again")]
    Damaged {
        compression: Compression,
        /// In the decoder's words.
        reason: String,
    },
    #[error(
        "decoding the xz data needs more than {} MiB of memory; compress it with a smaller dictionary (xz -9 is fine)",
        XZ_MEMORY >> 20
    )]
    Memory,
    /// An error came before, after which decoders act as if the data had ended.
    #[error("decoding has failed before")]
    Failed,
}

/// Decodes a staged object, or a slice of it.
pub struct Decoder<'a> {
    compression: Compression,
    image: Pin<Box<dyn AsyncRead + Send + 'a>>,
    failed: bool,
}

impl<'a> Decoder<'a> {
    /// Decodes a whole compressed object, or any part of an uncompressed one. Several streams one after the other, as
    /// `cat` or `pigz` make them, are one image.
    pub fn whole(compression: Compression, staged: impl AsyncBufRead + Send + Unpin + 'a) -> Self {
        let staged = Tagged(staged);
        let image: Pin<Box<dyn AsyncRead + Send + 'a>> = match compression {
            Compression::Plain => Box::pin(staged),
            Compression::Xz => {
                let mut decoder = XzDecoder::with_mem_limit(staged, XZ_MEMORY);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Compression::Gzip => {
                let mut decoder = GzipDecoder::new(staged);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::new(staged);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        };
        Self {
            compression,
            image,
            failed: false,
        }
    }

    /// Decodes a run of xz blocks, and checks their number and sizes against the frame.
    pub fn run(frame: Frame, staged: impl AsyncBufRead + Send + Unpin + 'a) -> Self {
        let staged = Tagged(staged);
        Self {
            compression: Compression::Xz,
            image: match frame.check() {
                Check::Crc64 => Box::pin(crc64::CheckedRun::new(frame, staged)),
                _ => Box::pin(decoder_of_run(frame, staged)),
            },
            failed: false,
        }
    }

    /// Appends the next bytes of the image to `into`, as far as there is room; 0 after the last byte, or if there is no
    /// room. Cancel-safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`DecodeError`]; after one, always [`DecodeError::Failed`].
    pub async fn read(&mut self, into: &mut impl BufMut) -> Result<usize, DecodeError> {
        if self.failed {
            return Err(DecodeError::Failed);
        }
        let read = self.image.read_buf(into).await;
        self.failed = read.is_err();
        read.map_err(|error| self.explain(error))
    }

    /// The head of the image, for [`crate::disk::inspect`]: [`HEAD_LEN`] bytes, or all if there are fewer. Only the
    /// start of the staged object is read, but the decoder has to be given all of it: where its data ends too early, it
    /// reports damage.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub async fn head(mut self) -> Result<Vec<u8>, DecodeError> {
        let mut head = Vec::with_capacity(HEAD_LEN);
        while head.len() < HEAD_LEN {
            let room = HEAD_LEN - head.len();
            if self.read(&mut (&mut head).limit(room)).await? == 0 {
                break;
            }
        }
        Ok(head)
    }

    fn explain(&self, error: io::Error) -> DecodeError {
        match error.downcast::<StagedFault>() {
            Ok(StagedFault(fault)) => DecodeError::Staged(fault),
            Err(error) => match error.get_ref().and_then(|cause| cause.downcast_ref()) {
                Some(liblzma::stream::Error::MemLimit) => DecodeError::Memory,
                _ => DecodeError::Damaged {
                    compression: self.compression,
                    reason: clarify(error).to_string(),
                },
            },
        }
    }
}

/// A run of xz blocks with its frame around it.
type Framed<R> = Chain<Chain<Cursor<[u8; xz::HEADER_LEN]>, R>, Cursor<Vec<u8>>>;

fn decoder_of_run<R: AsyncBufRead + Unpin>(frame: Frame, staged: R) -> XzDecoder<Framed<R>> {
    let framed = Cursor::new(frame.header)
        .chain(staged)
        .chain(Cursor::new(frame.trailer));
    XzDecoder::with_mem_limit(framed, XZ_MEMORY)
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// Replaces what liblzma says of data that ends too early: "out of memory", when it wanted more input or output.
fn clarify(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::OutOfMemory | ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEof.into(),
        _ => error,
    }
}

/// Marks the errors of a reader, so that they can be told from those of the decoder above it.
struct Tagged<R>(R);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct StagedFault(io::Error);

fn tag(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), StagedFault(error))
}

impl<R: AsyncBufRead + Unpin> AsyncBufRead for Tagged<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().0)
            .poll_fill_buf(cx)
            .map_err(tag)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        Pin::new(&mut self.0).consume(amount);
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for Tagged<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll_read(cx, into)).map_err(tag))
    }
}

#[cfg(test)]
mod cross_check;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::xz::tests::{any_blocks, any_check, bytes, encode, index};
    use async_compression::tokio::bufread::XzEncoder;
    pub use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
    use proptest::prelude::*;
    use std::future::Future;
    use tokio::io::BufReader;

    pub fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn all(mut decoder: Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
        let mut image = Vec::new();
        while decoder.read(&mut image).await? > 0 {}
        Ok(image)
    }

    pub fn whole(compression: Compression, staged: &[u8]) -> Result<Vec<u8>, DecodeError> {
        block_on(all(Decoder::whole(compression, staged)))
    }

    fn compress(compression: Compression, image: &[u8]) -> Vec<u8> {
        let mut staged = Vec::new();
        block_on(async {
            match compression {
                Compression::Plain => staged.extend_from_slice(image),
                Compression::Xz => drop(
                    XzEncoder::new(image)
                        .read_to_end(&mut staged)
                        .await
                        .unwrap(),
                ),
                Compression::Gzip => drop(
                    GzipEncoder::new(image)
                        .read_to_end(&mut staged)
                        .await
                        .unwrap(),
                ),
                Compression::Zstd => drop(
                    ZstdEncoder::new(image)
                        .read_to_end(&mut staged)
                        .await
                        .unwrap(),
                ),
            }
        });
        staged
    }

    const PACKED: [Compression; 3] = [Compression::Xz, Compression::Gzip, Compression::Zstd];

    fn some_image() -> Vec<u8> {
        (0..3000u32).flat_map(|i| (i * i).to_le_bytes()).collect()
    }

    /// A reader that breaks.
    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::Error::other("the line is dead")))
        }
    }

    #[test]
    fn every_cut_is_found() {
        let image = some_image();
        for compression in PACKED {
            let staged = compress(compression, &image);
            assert_eq!(whole(compression, &staged).unwrap(), image);
            for len in 0..staged.len() {
                let error = whole(compression, &staged[..len]).unwrap_err();
                assert!(
                    matches!(error, DecodeError::Damaged { .. }),
                    "{compression} {len}: {error}"
                );
            }
        }
        let staged = compress(Compression::Xz, &image);
        assert_eq!(
            whole(Compression::Xz, &staged[..1000])
                .unwrap_err()
                .to_string(),
            "the xz data is damaged or cut off (unexpected end of file); build the image again"
        );
    }

    #[test]
    fn several_streams_are_one_image() {
        let image = some_image();
        for compression in PACKED {
            let (a, b) = image.split_at(5000);
            let mut staged = [compress(compression, a), compress(compression, b)].concat();
            assert_eq!(whole(compression, &staged).unwrap(), image);
            staged.truncate(staged.len() - 1);
            assert!(whole(compression, &staged).is_err());
            staged.extend_from_slice(b"not one more stream");
            assert!(whole(compression, &staged).is_err());
        }
    }

    #[test]
    fn padding_between_xz_streams_is_skipped() {
        let image = some_image();
        let (a, b) = image.split_at(5000);
        let (a, b) = (compress(Compression::Xz, a), compress(Compression::Xz, b));
        let staged = [&a[..], &[0; 8], &b, &[0; 4]].concat();
        assert_eq!(whole(Compression::Xz, &staged).unwrap(), image);
        assert!(whole(Compression::Xz, &[&a[..], &[0; 6], &b].concat()).is_err());
    }

    #[test]
    fn skippable_zstd_frames_are_skipped() {
        let image = some_image();
        let frame = compress(Compression::Zstd, &image);
        let skip = b"\x50\x2A\x4D\x18\x04\0\0\0size";
        for staged in [
            [&skip[..], &frame].concat(),
            [&frame[..], &skip[..]].concat(),
        ] {
            assert_eq!(Compression::of(&staged), Compression::Zstd);
            assert_eq!(whole(Compression::Zstd, &staged).unwrap(), image);
        }
    }

    #[test]
    fn a_broken_reader_is_not_taken_for_a_damaged_image() {
        let image = some_image();
        for compression in [
            Compression::Plain,
            Compression::Xz,
            Compression::Gzip,
            Compression::Zstd,
        ] {
            let staged = compress(compression, &image);
            for len in [0, 100, staged.len()] {
                let reader = BufReader::new((&staged[..len]).chain(Broken));
                let error = block_on(all(Decoder::whole(compression, reader))).unwrap_err();
                assert!(
                    matches!(error, DecodeError::Staged(_)),
                    "{compression} {len}: {error}"
                );
                assert!(error.to_string().ends_with("the line is dead"));
            }
        }
        let file = encode(&[image], Check::Crc64);
        let (staged, _, run) = index(&file).run(0..1);
        let frame = run.frame(bytes(&file, &run.records)).unwrap();
        let reader = BufReader::new((&bytes(&file, &staged)[..500]).chain(Broken));
        let error = block_on(all(Decoder::run(frame, reader))).unwrap_err();
        assert!(matches!(error, DecodeError::Staged(_)), "{error}");
    }

    #[test]
    fn a_slow_reader_changes_nothing() {
        let image = some_image();
        for compression in PACKED {
            let staged = compress(compression, &image);
            let decoded = block_on(async {
                let (mut tx, rx) = tokio::io::duplex(7);
                let send = async move { tokio::io::copy(&mut &staged[..], &mut tx).await.unwrap() };
                let (_, decoded) = tokio::join!(
                    async {
                        send.await;
                    },
                    all(Decoder::whole(compression, BufReader::new(rx)))
                );
                decoded
            });
            assert_eq!(decoded.unwrap(), image);
        }
    }

    #[test]
    fn a_dictionary_beyond_the_limit_is_refused() {
        let mut file = encode(&[vec![7; 1000]], Check::Crc64);
        // 3.1: header size, flags, filter 0x21 with one byte of properties, the dictionary size (here 4 GiB - 1).
        assert_eq!(file[12..16], [2, 0, 0x21, 1]);
        file[16] = 40;
        let crc = crc32fast::hash(&file[12..20]);
        file[20..24].copy_from_slice(&crc.to_le_bytes());
        let error = whole(Compression::Xz, &file).unwrap_err();
        assert!(matches!(error, DecodeError::Memory), "{error}");
        assert!(error.to_string().contains("more than 80 MiB"));
        // The largest preset's dictionary, 64 MiB.
        file[16] = 28;
        let crc = crc32fast::hash(&file[12..20]);
        file[20..24].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(whole(Compression::Xz, &file).unwrap(), vec![7; 1000]);
    }

    #[test]
    fn the_head_is_read_without_the_rest() {
        let image = vec![5; 3 << 20];
        for compression in [Compression::Plain, Compression::Gzip] {
            let staged = compress(compression, &image);
            let start = &staged[..staged.len() - 512];
            let head =
                block_on(Decoder::whole(compression, BufReader::new(start.chain(Broken))).head())
                    .unwrap();
            assert_eq!(head, image[..HEAD_LEN]);
        }
        let head = block_on(Decoder::whole(Compression::Plain, &image[..1000]).head()).unwrap();
        assert_eq!(head, image[..1000]);
    }

    pub fn run(
        file: &[u8],
        staged: &std::ops::Range<u64>,
        run: &xz::Run,
    ) -> Result<Vec<u8>, DecodeError> {
        let frame = run.frame(bytes(file, &run.records)).unwrap();
        block_on(all(Decoder::run(frame, bytes(file, staged))))
    }

    proptest! {
        #[test]
        fn runs_of_blocks_are_the_image(
            blocks in any_blocks(),
            mut cuts: Vec<prop::sample::Index>,
            chunk in 1..50usize,
            check in any_check(),
        ) {
            let file = encode(&blocks, check);
            let index = index(&file);
            cuts.truncate(3);
            let mut cuts = cuts.iter().map(|cut| cut.index(blocks.len() + 1)).collect::<Vec<_>>();
            cuts.extend([0, blocks.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            for pair in cuts.windows(2) {
                let (staged, image, run) = index.run(pair[0]..pair[1]);
                let frame = run.frame(bytes(&file, &run.records)).unwrap();
                let reader = BufReader::with_capacity(chunk, bytes(&file, &staged));
                let decoded = block_on(all(Decoder::run(frame, reader))).unwrap();
                prop_assert_eq!(image.end - image.start, decoded.len() as u64);
                prop_assert_eq!(decoded, blocks[pair[0]..pair[1]].concat());
            }
        }

        #[test]
        fn a_flipped_bit_in_a_run_is_found(
            blocks in any_blocks(),
            check in prop::sample::select(vec![Check::Crc32, Check::Crc64, Check::Sha256]),
            at: prop::sample::Index,
            bit in 0..8u8,
        ) {
            let mut file = encode(&blocks, check);
            let (staged, _, all) = index(&file).run(0..blocks.len());
            // In the blocks, their headers, padding and checks, and in the index after it was parsed.
            let places = (staged.start..staged.end).chain(all.records.clone()).collect::<Vec<_>>();
            file[*at.get(&places) as usize] ^= 1u8 << bit;
            // Seldom a bit of LZMA data means nothing, and the image is the same whatever it is.
            match run(&file, &staged, &all) {
                Ok(image) => prop_assert_eq!(image, blocks.concat()),
                Err(DecodeError::Damaged { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }

        #[test]
        fn a_run_with_too_much_or_too_little_is_found(blocks in any_blocks(), cut: prop::sample::Index) {
            let file = encode(&blocks, Check::None);
            let index = index(&file);
            let (staged, _, all) = index.run(0..blocks.len());
            let end = staged.start + cut.index((staged.end - staged.start) as usize) as u64;
            prop_assert!(run(&file, &(staged.start..end), &all).is_err());
            if blocks.len() > 1 {
                let (less, _, fewer) = index.run(0..blocks.len() - 1);
                prop_assert!(run(&file, &less, &all).is_err());
                prop_assert!(run(&file, &staged, &fewer).is_err());
                prop_assert!(run(&file, &less, &fewer).is_ok());
            }
        }
    }
}
