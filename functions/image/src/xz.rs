//! The index of an xz file: where its blocks are, and how a run of them becomes an xz stream of its own.
//!
//! `xz -T0`, which kiwi uses, cuts a file into blocks that know nothing of each other. The index at the end of the
//! file has their sizes, so a few small reads tell how large the image is and let many functions decode it side by
//! side. Each of them puts a stream header before its run of blocks and an index and a footer after it; an ordinary
//! decoder then proves that every block is whole and none is missing.
//!
//! How to read one: [`Tail::read`] on the first and last 12 bytes, [`IndexAt::parse`] on the bytes it names.
//!
//! Source: "The .xz File Format" 1.2.1 (xz-file-format.txt of XZ Utils); section numbers below are its.

use std::{iter::successors, ops::Range};

use serde::{Deserialize, Serialize};

/// Bytes of a stream header (2.1.1), which is how a file starts.
pub const HEADER_LEN: usize = 12;
/// Bytes of a stream footer (2.1.2), which is how a file ends.
pub const FOOTER_LEN: usize = 12;
/// Bytes of the largest index that is read: room for the 2.8 million blocks of 24 MiB that `xz -T0` makes of 64 TiB, with
/// up to 8 bytes for each. A file with a larger one is decoded in one piece.
pub const MAX_INDEX_LEN: u64 = 32 << 20;

const HEADER_MAGIC: &[u8] = b"\xFD7zXZ\0";
const FOOTER_MAGIC: &[u8] = b"YZ";
/// The smallest possible "Unpadded Size" of a block (4.3.1).
const MIN_UNPADDED: u64 = 5;

/// An xz file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XzError {
    #[error(
        "the xz file is cut off: it has {len} bytes and does not end as an xz file does; build the image again"
    )]
    CutOff { len: u64 },
    #[error("the xz file is damaged: {0}; build the image again")]
    Damaged(&'static str),
    #[error("the xz file uses integrity check {0}, which is unknown; use xz --check=crc64")]
    UnknownCheck(u8),
    #[error("the xz file is of a newer format than 1.2: stream flags {0:#06x}")]
    TooNew(u16),
    #[error("the part of the xz index that was read has {got} bytes, not {expected}")]
    Records { expected: u64, got: u64 },
}

/// The integrity check at the end of every block (2.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    None = 0,
    Crc32 = 1,
    Crc64 = 4,
    Sha256 = 10,
}

impl Check {
    fn from_flags([version, check]: [u8; 2]) -> Result<Self, XzError> {
        match (version, check) {
            (0, 0) => Ok(Self::None),
            (0, 1) => Ok(Self::Crc32),
            (0, 4) => Ok(Self::Crc64),
            (0, 10) => Ok(Self::Sha256),
            (0, check @ 0..=15) => Err(XzError::UnknownCheck(check)),
            _ => Err(XzError::TooNew(u16::from_be_bytes([version, check]))),
        }
    }

    fn flags(self) -> [u8; 2] {
        [0, self as u8]
    }
}

/// What the two ends of an xz file tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// An index is there to be read.
    Index(IndexAt),
    /// The file is padded, or its index is too large: decode it in one piece.
    Serial,
}

/// Where the index of an xz file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexAt {
    /// The bytes of the file to give to [`IndexAt::parse`].
    pub range: Range<u64>,
    header: Check,
    footer: Check,
}

impl Tail {
    /// Reads the first and the last 12 bytes of an xz file of `len` bytes.
    ///
    /// # Errors
    /// [`XzError`] when either end is damaged or missing, or says something that liblzma could not decode.
    pub fn read(
        header: &[u8; HEADER_LEN],
        footer: &[u8; FOOTER_LEN],
        len: u64,
    ) -> Result<Self, XzError> {
        if !header.starts_with(HEADER_MAGIC) || crc32fast::hash(&header[6..8]) != u32_at(header, 8)
        {
            return Err(XzError::Damaged(
                "the checksum of its header does not match",
            ));
        }
        let header = Check::from_flags([header[6], header[7]])?;
        if !len.is_multiple_of(4) {
            return Err(XzError::CutOff { len });
        }
        if footer[8..] == [0; 4] {
            return Ok(Self::Serial);
        }
        if !footer.ends_with(FOOTER_MAGIC) {
            return Err(XzError::CutOff { len });
        }
        if crc32fast::hash(&footer[4..10]) != u32_at(footer, 0) {
            return Err(XzError::Damaged(
                "the checksum of its footer does not match",
            ));
        }
        let index_len = (u64::from(u32_at(footer, 4)) + 1) * 4;
        let footer = Check::from_flags([footer[8], footer[9]])?;
        let end = len.saturating_sub(FOOTER_LEN as u64);
        let start = end
            .checked_sub(index_len)
            .filter(|&start| start >= HEADER_LEN as u64)
            .ok_or(XzError::Damaged(
                "its footer speaks of an index larger than the file",
            ))?;
        if index_len > MAX_INDEX_LEN {
            return Ok(Self::Serial);
        }
        Ok(Self::Index(IndexAt {
            range: start..end,
            header,
            footer,
        }))
    }
}

/// How an xz file is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One stream, whose blocks can be decoded each by itself.
    Blocks(Index),
    /// Several streams: decode it in one piece.
    Serial,
}

/// The blocks of an xz file with one stream. Their sizes stay as they are written in the file, because a list of the
/// edges between millions of blocks would need ten times the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    check: Check,
    /// The sizes of each block: at most [`MAX_INDEX_LEN`] bytes.
    records: Vec<u8>,
    /// Where the first block starts.
    first: Edge,
    /// Where the last block ends.
    last: Edge,
}

/// The place between two blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Blocks before it.
    pub block: u64,
    /// In the staged object.
    pub staged: u64,
    /// In the image.
    pub image: u64,
    /// In the staged object too: between the two blocks' records in the index.
    record: u64,
}

impl Edge {
    /// The end of the block that starts here, whose record is taken off the front. `None` if there is no record, or its
    /// sizes are impossible.
    fn after_block(self, records: &mut &[u8]) -> Option<Self> {
        let before = records.len();
        let unpadded = read_number(records).filter(|&len| len >= MIN_UNPADDED)?;
        let decoded = read_number(records)?;
        Some(Self {
            block: self.block + 1,
            // Numbers are below 2^63, so that the padding to a multiple of 4 is no overflow.
            staged: self.staged.checked_add(unpadded.next_multiple_of(4))?,
            image: self.image.checked_add(decoded)?,
            record: self.record + (before - records.len()) as u64,
        })
    }
}

impl IndexAt {
    /// Parses the index from the bytes of [`IndexAt::range`].
    ///
    /// # Errors
    /// [`XzError::Damaged`] when a checksum, a size or the number of blocks does not hold.
    pub fn parse(&self, index: &[u8]) -> Result<Layout, XzError> {
        const CHECKSUM: XzError = XzError::Damaged("the checksum of its index does not match");
        const SIZES: XzError = XzError::Damaged("the sizes in its index are impossible");

        let (list, crc) = index.split_last_chunk::<4>().ok_or(CHECKSUM)?;
        if crc32fast::hash(list) != u32::from_le_bytes(*crc) {
            return Err(CHECKSUM);
        }
        let Some((0, mut rest)) = list.split_first() else {
            return Err(XzError::Damaged(
                "where its index should be is something else",
            ));
        };
        let blocks = read_number(&mut rest).ok_or(SIZES)?;
        // A record has two bytes at least.
        if blocks > rest.len() as u64 / 2 {
            return Err(SIZES);
        }
        let first = Edge {
            block: 0,
            staged: HEADER_LEN as u64,
            image: 0,
            record: self.range.start + (list.len() - rest.len()) as u64,
        };
        let records = rest;
        let mut last = first;
        for _ in 0..blocks {
            last = last.after_block(&mut rest).ok_or(SIZES)?;
        }
        let records = &records[..records.len() - rest.len()];
        if rest.len() > 3 || rest.iter().any(|&byte| byte != 0) || !index.len().is_multiple_of(4) {
            return Err(XzError::Damaged("its index does not end where it should"));
        }
        // The blocks of this stream end where its index starts. If that is further on, other streams lie before it.
        if last.staged < self.range.start {
            return Ok(Layout::Serial);
        }
        if last.staged > self.range.start || self.header != self.footer {
            return Err(XzError::Damaged(
                "its header, blocks and index do not fit together",
            ));
        }
        Ok(Layout::Blocks(Index {
            check: self.footer,
            records: records.to_vec(),
            first,
            last,
        }))
    }
}

impl Index {
    /// Blocks of the file.
    pub fn blocks(&self) -> u64 {
        self.last.block
    }

    /// Bytes of the image.
    pub fn image_len(&self) -> u64 {
        self.last.image
    }

    /// The integrity check of the blocks.
    pub fn check(&self) -> Check {
        self.check
    }

    /// Where the first block starts, then where each block ends.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        let mut records = &self.records[..];
        successors(Some(self.first), move |edge| edge.after_block(&mut records))
    }

    /// Where the last block ends.
    pub(crate) fn last_edge(&self) -> Edge {
        self.last
    }

    /// The run of the blocks between these edges: its bytes in the staged object, its bytes in the image, and what else
    /// its decoder needs.
    pub fn run_between(&self, from: Edge, to: Edge) -> (Range<u64>, Range<u64>, Run) {
        let run = Run {
            check: self.check,
            blocks: to.block - from.block,
            records: from.record..to.record,
        };
        (from.staged..to.staged, from.image..to.image, run)
    }
}

/// Blocks in a row of an xz file, small enough to be handed from one function to another however many there are: their
/// sizes are left where they are, in the staged object's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub check: Check,
    pub blocks: u64,
    /// The bytes of the staged object to give to [`Run::frame`].
    pub records: Range<u64>,
}

/// What goes before and after a run of blocks to make it an xz stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub header: [u8; HEADER_LEN],
    /// Index and footer.
    pub trailer: Vec<u8>,
    check: Check,
    /// The bytes of the trailer with the sizes of the blocks.
    records: Range<usize>,
}

impl Frame {
    pub(crate) fn check(&self) -> Check {
        self.check
    }

    /// The sizes of the blocks, as far as they can be read.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            records: self.trailer[self.records.clone()].to_vec(),
            read: 0,
        }
    }

    /// The same, but with a kind of check that no decoder knows, so that it skips those of the blocks. They have eight
    /// bytes each, as a CRC64.
    pub(crate) fn with_unknown_check(mut self) -> Self {
        // Reserved, of eight bytes; a decoder skips what it does not know (2.1.1.2).
        const FLAGS: [u8; 2] = [0, 5];
        self.header[6..8].copy_from_slice(&FLAGS);
        self.header[8..].copy_from_slice(&crc32fast::hash(&FLAGS).to_le_bytes());
        let footer = self.trailer.len() - FOOTER_LEN;
        let footer = &mut self.trailer[footer..];
        footer[8..10].copy_from_slice(&FLAGS);
        let crc = crc32fast::hash(&footer[4..10]);
        footer[..4].copy_from_slice(&crc.to_le_bytes());
        self
    }
}

/// The sizes of blocks in a row: "Unpadded Size" and "Uncompressed Size" (4.3). It ends early where no number is.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    records: Vec<u8>,
    read: usize,
}

impl Iterator for Sizes {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = &self.records[self.read..];
        let sizes = (read_number(&mut rest)?, read_number(&mut rest)?);
        self.read = self.records.len() - rest.len();
        Some(sizes)
    }
}

impl Run {
    /// Makes the frame from the bytes of [`Run::records`]. They are not judged here: the decoder compares them with the
    /// blocks.
    ///
    /// # Errors
    /// [`XzError::Records`] when there are more or fewer bytes than asked for.
    pub fn frame(&self, records: &[u8]) -> Result<Frame, XzError> {
        let expected = self.records.end.saturating_sub(self.records.start);
        if records.len() as u64 != expected || expected > MAX_INDEX_LEN {
            return Err(XzError::Records {
                expected,
                got: records.len() as u64,
            });
        }
        let flags = self.check.flags();
        let mut header = [0; HEADER_LEN];
        header[..6].copy_from_slice(HEADER_MAGIC);
        header[6..8].copy_from_slice(&flags);
        header[8..].copy_from_slice(&crc32fast::hash(&flags).to_le_bytes());

        let mut trailer = vec![0];
        push_number(&mut trailer, self.blocks);
        let start = trailer.len();
        trailer.extend_from_slice(records);
        trailer.resize(trailer.len().next_multiple_of(4), 0);
        trailer.extend_from_slice(&crc32fast::hash(&trailer).to_le_bytes());
        let backward = (trailer.len() / 4 - 1) as u32;
        let mut sealed = [0; 6];
        sealed[..4].copy_from_slice(&backward.to_le_bytes());
        sealed[4..].copy_from_slice(&flags);
        trailer.extend_from_slice(&crc32fast::hash(&sealed).to_le_bytes());
        trailer.extend_from_slice(&sealed);
        trailer.extend_from_slice(FOOTER_MAGIC);
        Ok(Frame {
            header,
            trailer,
            check: self.check,
            records: start..start + records.len(),
        })
    }
}

/// Takes a number (1.2: seven bits a byte, low ones first, at most nine bytes, none of them in vain) off the front.
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let len = 1 + bytes.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at(len);
    *bytes = rest;
    if len > 1 && number[len - 1] == 0 {
        return None;
    }
    Some(
        number
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7F)),
    )
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn u32_at(bytes: &[u8; 12], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use liblzma::stream::{Action, Status, Stream};
    use proptest::prelude::*;

    /// Encodes each of these as one block of one stream.
    pub fn encode(blocks: &[Vec<u8>], check: Check) -> Vec<u8> {
        let check = match check {
            Check::None => liblzma::stream::Check::None,
            Check::Crc32 => liblzma::stream::Check::Crc32,
            Check::Crc64 => liblzma::stream::Check::Crc64,
            Check::Sha256 => liblzma::stream::Check::Sha256,
        };
        let mut stream = Stream::new_easy_encoder(0, check).unwrap();
        let len = blocks.iter().map(Vec::len).sum::<usize>();
        let mut out = Vec::with_capacity(2 * len + 256 * (blocks.len() + 1));
        for block in blocks {
            let before = stream.total_in();
            while stream.total_in() - before < block.len() as u64 {
                let from = (stream.total_in() - before) as usize;
                stream
                    .process_vec(&block[from..], &mut out, Action::Run)
                    .unwrap();
            }
            while stream
                .process_vec(&[], &mut out, Action::FullFlush)
                .unwrap()
                != Status::StreamEnd
            {}
        }
        while stream.process_vec(&[], &mut out, Action::Finish).unwrap() != Status::StreamEnd {}
        out
    }

    /// What [`Tail::read`] makes of a whole file.
    pub fn tail(file: &[u8]) -> Result<Tail, XzError> {
        let (Some(header), Some(footer)) = (file.first_chunk(), file.last_chunk()) else {
            return Err(XzError::CutOff {
                len: file.len() as u64,
            });
        };
        Tail::read(header, footer, file.len() as u64)
    }

    pub fn layout(file: &[u8]) -> Result<Layout, XzError> {
        match tail(file)? {
            Tail::Serial => Ok(Layout::Serial),
            Tail::Index(at) => at.parse(bytes(file, &at.range)),
        }
    }

    pub fn index(file: &[u8]) -> Index {
        match layout(file).unwrap() {
            Layout::Blocks(index) => index,
            Layout::Serial => panic!("no index"),
        }
    }

    impl Index {
        /// Bytes of memory that it takes.
        pub fn memory(&self) -> usize {
            size_of::<Self>() + self.records.capacity()
        }

        /// The run of these blocks.
        pub fn run(&self, blocks: Range<usize>) -> (Range<u64>, Range<u64>, Run) {
            let edge = |block| self.edges().nth(block).unwrap();
            self.run_between(edge(blocks.start), edge(blocks.end))
        }
    }

    pub fn bytes<'a>(file: &'a [u8], range: &Range<u64>) -> &'a [u8] {
        &file[range.start as usize..range.end as usize]
    }

    /// An index as a file with blocks of these sizes (compressed without padding, uncompressed) would have it.
    pub fn made_up(sizes: &[(u64, u64)]) -> Index {
        let mut records = Vec::new();
        for (unpadded, decoded) in sizes {
            push_number(&mut records, *unpadded);
            push_number(&mut records, *decoded);
        }
        let staged = HEADER_LEN as u64
            + sizes
                .iter()
                .map(|(len, _)| len.next_multiple_of(4))
                .sum::<u64>();
        let run = Run {
            check: Check::Crc64,
            blocks: sizes.len() as u64,
            records: 0..records.len() as u64,
        };
        let frame = run.frame(&records).unwrap();
        let (index, footer) = frame.trailer.split_last_chunk().unwrap();
        let len = staged + frame.trailer.len() as u64;
        let Ok(Tail::Index(at)) = Tail::read(&frame.header, footer, len) else {
            panic!("no index")
        };
        match at.parse(index).unwrap() {
            Layout::Blocks(index) => index,
            Layout::Serial => panic!("several streams"),
        }
    }

    pub fn any_check() -> impl Strategy<Value = Check> {
        prop::sample::select(vec![Check::None, Check::Crc32, Check::Crc64, Check::Sha256])
    }

    pub fn any_blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let noise = prop::collection::vec(any::<u8>(), 1..2000);
        let plain = (1..20_000usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
        prop::collection::vec(prop_oneof![noise, plain], 1..8)
    }

    /// `printf 'block one.\nblock two.\nthree\n' | xz -T2 --block-size=11 --check=crc32` (XZ Utils 5.4.1): several
    /// blocks, with their sizes in their headers as well, as only the encoder with threads writes them.
    const BY_XZ: &[u8] = b"\xFD7zXZ\0\0\x01i\x22\xDE6\
        \x02\xC0\x0F\x0B!\x01\x16\0\xE0\xD3Hh\x01\0\nblock one.\n\0\0\xBA\x07\x12\x9E\
        \x02\xC0\x0F\x0B!\x01\x16\0\xE0\xD3Hh\x01\0\nblock two.\n\0\0\xEA<\xA4\xA9\
        \x02\xC0\n\x06!\x01\x16\0\xE2\x86\x15\xC0\x01\0\x05three\n\0\0\0\xD8\xC5F\xFF\
        \0\x03\x1F\x0B\x1F\x0B\x1A\x06m\xB3\xFB\x8C\
        >0\x0D\x8B\x02\0\0\0\0\x01YZ";

    #[test]
    fn a_file_of_xz_with_threads_is_understood() {
        let index = index(BY_XZ);
        assert_eq!(
            (index.blocks(), index.image_len(), index.check()),
            (3, 28, Check::Crc32)
        );
        let image = index.edges().map(|edge| edge.image);
        assert_eq!(image.collect::<Vec<_>>(), [0, 11, 22, 28]);
    }

    #[test]
    fn an_empty_file_has_no_blocks() {
        let index = index(&encode(&[], Check::Crc64));
        assert_eq!((index.blocks(), index.image_len()), (0, 0));
    }

    #[test]
    fn padding_and_several_streams_are_serial() {
        let one = encode(&[vec![1; 100]], Check::Crc64);
        assert!(matches!(layout(&one), Ok(Layout::Blocks(_))));
        assert_eq!(layout(&[&one[..], &[0; 4]].concat()), Ok(Layout::Serial));
        assert_eq!(layout(&[&one[..], &one].concat()), Ok(Layout::Serial));
        let other = encode(&[vec![2; 100]], Check::Sha256);
        assert_eq!(layout(&[&one[..], &other].concat()), Ok(Layout::Serial));
    }

    #[test]
    fn what_this_cannot_verify_is_refused() {
        let with_flags = |flags: [u8; 2]| {
            let mut file = encode(&[vec![1; 100]], Check::Crc64);
            let crc = crc32fast::hash(&flags);
            file[6..8].copy_from_slice(&flags);
            file[8..12].copy_from_slice(&crc.to_le_bytes());
            layout(&file)
        };
        assert_eq!(with_flags([0, 2]), Err(XzError::UnknownCheck(2)));
        assert_eq!(with_flags([1, 4]), Err(XzError::TooNew(0x0104)));
        assert_eq!(with_flags([0, 0x14]), Err(XzError::TooNew(0x0014)));
        assert!(matches!(with_flags([0, 1]), Err(XzError::Damaged(_))));
    }

    #[test]
    fn a_huge_index_is_not_read() {
        let mut footer = [0; FOOTER_LEN];
        footer[4..8].copy_from_slice(&(MAX_INDEX_LEN as u32 / 4).to_le_bytes());
        footer[9] = 4;
        let crc = crc32fast::hash(&footer[4..10]);
        footer[..4].copy_from_slice(&crc.to_le_bytes());
        footer[10..].copy_from_slice(FOOTER_MAGIC);
        let file = encode(&[vec![1; 100]], Check::Crc64);
        let header = file.first_chunk().unwrap();
        assert_eq!(Tail::read(header, &footer, 1 << 30), Ok(Tail::Serial));
        assert!(matches!(
            Tail::read(header, &footer, 1 << 20),
            Err(XzError::Damaged(_))
        ));
    }

    #[test]
    fn a_short_read_of_records_is_an_error() {
        let (_, _, run) = index(BY_XZ).run(0..2);
        assert!(run.frame(bytes(BY_XZ, &run.records)).is_ok());
        assert_eq!(
            run.frame(&[1]),
            Err(XzError::Records {
                expected: run.records.end - run.records.start,
                got: 1
            })
        );
    }

    proptest! {
        #[test]
        fn the_whole_file_is_its_own_frame(blocks in any_blocks(), check in any_check()) {
            let file = encode(&blocks, check);
            let index = index(&file);
            prop_assert_eq!(index.blocks(), blocks.len() as u64);
            let (staged, image, run) = index.run(0..blocks.len());
            prop_assert_eq!(image.end, blocks.concat().len() as u64);
            let frame = run.frame(bytes(&file, &run.records)).unwrap();
            prop_assert_eq!([&frame.header, bytes(&file, &staged), &frame.trailer].concat(), file);
        }

        #[test]
        fn a_file_cut_off_is_never_taken_for_whole(blocks in any_blocks(), cut: prop::sample::Index) {
            let file = encode(&blocks, Check::Crc64);
            // Zeros at the cut look like padding; the decoder finds what is missing then.
            prop_assert!(!matches!(layout(&file[..cut.index(file.len())]), Ok(Layout::Blocks(_))));
        }

        #[test]
        fn a_flipped_bit_at_either_end_is_found(blocks in any_blocks(), at: prop::sample::Index, bit in 0..8u8) {
            let mut file = encode(&blocks, Check::Crc64);
            let Tail::Index(index) = tail(&file).unwrap() else { panic!("no index") };
            let ends = (0..HEADER_LEN).chain(index.range.start as usize..file.len()).collect::<Vec<_>>();
            file[*at.get(&ends)] ^= 1u8 << bit;
            prop_assert!(layout(&file).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            mut file: Vec<u8>,
            mut index in prop::collection::vec(any::<u8>(), 0..64),
            len: u64,
        ) {
            let _ = layout(&file);
            let mut sound = encode(&[], Check::Crc64);
            if file.len() > 24 {
                file[..12].copy_from_slice(&sound[..12]);
                let _ = layout(&file);
            }
            // A sound checksum around nonsense.
            index.insert(0, 0);
            index.resize(index.len().next_multiple_of(4), 0);
            let crc = crc32fast::hash(&index);
            index.extend_from_slice(&crc.to_le_bytes());
            let mut footer = sound.split_off(sound.len() - 12);
            footer[4..8].copy_from_slice(&(index.len() as u32 / 4 - 1).to_le_bytes());
            let crc = crc32fast::hash(&footer[4..10]);
            footer[..4].copy_from_slice(&crc.to_le_bytes());
            let (header, footer) = (sound.first_chunk().unwrap(), footer.first_chunk().unwrap());
            if let Ok(Tail::Index(at)) = Tail::read(header, footer, len) {
                let _ = at.parse(&index);
            }
        }

        #[test]
        fn numbers_come_back(number in 0..1u64 << 63) {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            prop_assert!(bytes.len() <= 9);
            let mut rest = &bytes[..];
            prop_assert_eq!(read_number(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
            let padded = [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] | 0x80, 0]].concat();
            prop_assert_eq!(read_number(&mut &padded[..]), None);
        }
    }
}
