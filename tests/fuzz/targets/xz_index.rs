//! The index of an xz file. The input is a file without its blocks: header, index and footer. How long the file with
//! its blocks would be follows from the index, so that images of any size are planned.

#![no_main]

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use fuzz::{mend, seeds};
use image::{
    plan,
    slice::Coding,
    xz::{Index, Layout, Tail},
};
use libfuzzer_sys::fuzz_target;
use second_codecs::xz::uncompressed_size;

fuzz_target!(init: seeds::write(seeds::xz_files().iter().map(|file| ends_of(file))), |data: &[u8]| {
    read(data, data.len() as u64);
    let mut ends = data.to_vec();
    mend::xz_ends(&mut ends);
    read(&ends, length(&ends));
});

/// A file of one stream without its blocks.
fn ends_of(file: &[u8]) -> Vec<u8> {
    let footer = file.len() - 12;
    let words = u32::from_le_bytes(std::array::from_fn(|i| file[footer + 4 + i]));
    [&file[..12], &file[footer - (words as usize + 1) * 4..]].concat()
}

/// The length of the file with its blocks.
fn length(ends: &[u8]) -> u64 {
    let records = mend::xz_records(ends.get(12..).unwrap_or_default());
    let blocks = records
        .iter()
        .map(|(unpadded, _)| unpadded.next_multiple_of(4));
    blocks.fold(ends.len() as u64, u64::wrapping_add)
}

fn read(ends: &[u8], len: u64) {
    let (Some(header), Some(footer)) = (ends.first_chunk(), ends.last_chunk()) else {
        return;
    };
    let Ok(Tail::Index(at)) = Tail::read(header, footer, len) else {
        return;
    };
    assert!(at.range.start >= 12 && at.range.start < at.range.end && at.range.end == len - 12);
    let index = &ends[12..ends.len().saturating_sub(12).max(12)];
    if at.range.end - at.range.start != index.len() as u64 {
        return;
    }
    let Ok(Layout::Blocks(blocks)) = at.parse(index) else {
        return;
    };
    check_blocks(&blocks, &at.range);
    check_frames(&blocks, index, &at.range);
    check_plan(&blocks, &at.range);
    let file = WithoutBlocks { ends, len, at: 0 };
    assert_eq!(uncompressed_size(file).unwrap(), blocks.image_len());
}

/// One block follows the other, from the header to the index; so do their records, within the index.
fn check_blocks(index: &Index, at: &Range<u64>) {
    let (mut staged, mut image, mut record) = (12, 0, at.start + 2);
    let ends = index.edges().skip(1);
    for (from, to) in index.edges().zip(ends) {
        let (bytes, decoded, run) = index.run_between(from, to);
        assert!(bytes.start == staged && bytes.end >= staged + 8);
        assert!(decoded.start == image && decoded.end >= image);
        assert!(run.records.start >= record && run.records.end <= at.end - 4);
        (staged, image, record) = (bytes.end, decoded.end, run.records.end);
    }
    assert_eq!((staged, image), (at.start, index.image_len()));
}

/// A run of blocks with its frame is an xz file, whose index is read as it was meant.
fn check_frames(index: &Index, bytes: &[u8], at: &Range<u64>) {
    let edge = |number: u64| index.edges().nth(number as usize).unwrap();
    let (start, half, end) = (edge(0), edge(index.blocks() / 2), edge(index.blocks()));
    for (from, to) in [(start, end), (start, half), (half, end)] {
        let (staged, image, run) = index.run_between(from, to);
        let records =
            (run.records.start - at.start) as usize..(run.records.end - at.start) as usize;
        let frame = run.frame(&bytes[records]).unwrap();
        let len = staged.end - staged.start + 12 + frame.trailer.len() as u64;
        let (trailer, footer) = frame.trailer.split_last_chunk().unwrap();
        let Ok(Tail::Index(again)) = Tail::read(&frame.header, footer, len) else {
            panic!("no index in {frame:?}");
        };
        let Ok(Layout::Blocks(again)) = again.parse(trailer) else {
            panic!("no blocks in {frame:?}");
        };
        assert_eq!(again.check(), index.check());
        assert_eq!(again.blocks(), run.blocks);
        assert_eq!(again.image_len(), image.end - image.start);
    }
}

/// The slices of a plan are the image, in its order, and lie in the file.
fn check_plan(index: &Index, at: &Range<u64>) {
    let Ok(slices) = plan::xz(index, 0) else {
        assert!(index.image_len() == 0 || !index.image_len().is_multiple_of(512));
        return;
    };
    assert!(!slices.is_empty() && slices.len() as u64 <= plan::MAX_SLICES);
    let (mut staged, mut image, mut blocks) = (12, 0, 0);
    for slice in &slices {
        let (Coding::XzRun(run), Some(decoded)) = (&slice.coding, &slice.image) else {
            panic!("no run: {slice:?}");
        };
        assert_eq!((slice.staged.start, decoded.start), (staged, image));
        (staged, image) = (slice.staged.end, decoded.end);
        blocks += run.blocks;
    }
    assert_eq!((staged, image), (at.start, index.image_len()));
    assert_eq!(blocks, index.blocks());
    assert!(
        slices
            .iter()
            .all(|slice| slice.end.is_some() == (slice.index as usize + 1 == slices.len()))
    );
}

/// A file of which only the ends are in memory. Its blocks are made of ones; nobody decodes them.
struct WithoutBlocks<'a> {
    ends: &'a [u8],
    len: u64,
    at: u64,
}

impl Read for WithoutBlocks<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let blocks = 12..self.len - (self.ends.len() as u64 - 12);
        let wanted = into.len() as u64;
        let read = if self.at < blocks.start {
            (&self.ends[self.at as usize..12]).read(into)?
        } else if self.at < blocks.end {
            io::repeat(1)
                .take(wanted.min(blocks.end - self.at))
                .read(into)?
        } else {
            let behind = usize::try_from(self.at - blocks.end).unwrap_or(usize::MAX);
            self.ends[12..]
                .get(behind..)
                .unwrap_or_default()
                .read(into)?
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for WithoutBlocks<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(by) => self.len.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}
