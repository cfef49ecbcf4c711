//! The decoders. The input is a compressed file; what is taken for sound has to be the same to second decoders.

#![no_main]

use std::{io, ops::Range};

use bytes::{BufMut, BytesMut};
use fuzz::{mend, now, seeds};
use image::{
    decode::{DecodeError, Decoder},
    format::Compression,
    xz::{Index, Layout, Tail},
};
use libfuzzer_sys::fuzz_target;
use second_codecs::{gzip, xz, zstd};

/// Larger images are not decoded to their end.
const LONGEST: usize = 1 << 20;

const SEEDS: fn() -> Vec<Vec<u8>> =
    || [seeds::xz_files(), seeds::gzip_files(), seeds::zstd_files()].concat();

fuzz_target!(init: seeds::write(SEEDS()), |data: &[u8]| {
    let compression = Compression::of(data);
    if compression != Compression::Xz {
        return check(compression, data);
    }
    let mut mended = data.to_vec();
    mend::xz(&mut mended);
    for file in [data, &mended] {
        // It is read before anything is decoded.
        match layout(file) {
            Some(Layout::Blocks(index)) => check_blocks(&index, file),
            Some(Layout::Serial) => check(compression, file),
            None => {}
        }
    }
});

/// How the xz file is built, unless it is damaged.
fn layout(file: &[u8]) -> Option<Layout> {
    match Tail::read(file.first_chunk()?, file.last_chunk()?, file.len() as u64).ok()? {
        Tail::Index(at) => at.parse(part(file, &at.range)).ok(),
        Tail::Serial => Some(Layout::Serial),
    }
}

fn part<'a>(file: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &file[range.start as usize..range.end as usize]
}

fn check(compression: Compression, file: &[u8]) {
    let Ok(Some(image)) = decoded(Decoder::whole(compression, file)) else {
        return;
    };
    let second = match compression {
        Compression::Plain => return,
        Compression::Xz => xz::decode(file),
        Compression::Gzip => gzip::decode(file),
        Compression::Zstd => zstd::decode(file),
    };
    match second {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
        second => assert!(second.unwrap() == image),
    }
}

/// Each block by itself, as slices are decoded: together, they are sound if and only if the file is.
fn check_blocks(index: &Index, file: &[u8]) {
    check(Compression::Xz, file);
    let mut image = Vec::new();
    let mut sound = true;
    let ends = index.edges().skip(1);
    for (from, to) in index.edges().zip(ends) {
        let (staged, decoded_range, run) = index.run_between(from, to);
        let frame = run.frame(part(file, &run.records)).unwrap();
        match decoded(Decoder::run(frame, part(file, &staged))) {
            Ok(None) => return,
            Ok(Some(block)) => {
                assert_eq!(block.len() as u64, decoded_range.end - decoded_range.start);
                image.extend_from_slice(&block);
            }
            Err(_) => sound = false,
        }
    }
    match decoded(Decoder::whole(Compression::Xz, file)) {
        Ok(None) => {}
        Ok(Some(whole)) => assert!(sound && whole == image),
        Err(_) => assert!(!sound),
    }
}

/// The image, unless it is too long.
fn decoded(mut decoder: Decoder<'_>) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut image = BytesMut::with_capacity(64 << 10);
    while image.len() < LONGEST {
        let room = (image.capacity() - image.len()).max(64 << 10);
        if now(decoder.read(&mut (&mut image).limit(room)))? == 0 {
            return Ok(Some(image.to_vec()));
        }
    }
    Ok(None)
}
