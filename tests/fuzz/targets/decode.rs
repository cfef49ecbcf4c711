//! The decoders. The input is a compressed file; what is taken for sound has to be the same to second decoders.

#![no_main]

use bytes::{BufMut, BytesMut};
use fuzz::{mend, now, seeds};
use image::{
    decode::{DecodeError, Decoder},
    format::Compression,
    xz::{Layout, Tail},
};
use libfuzzer_sys::fuzz_target;
use second_codecs::{gzip, xz, zstd};

/// Larger images are not decoded to their end.
const LONGEST: usize = 1 << 20;

const SEEDS: fn() -> Vec<Vec<u8>> =
    || [seeds::xz_files(), seeds::gzip_files(), seeds::zstd_files()].concat();

fuzz_target!(init: seeds::write(SEEDS()), |data: &[u8]| {
    let compression = Compression::of(data);
    check(compression, data);
    if compression == Compression::Xz {
        let mut file = data.to_vec();
        mend::xz(&mut file);
        check(compression, &file);
        check_blocks(&file);
    }
});

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
    assert!(second.unwrap() == image);
}

/// Each block by itself, as slices are decoded: together, they are sound if and only if the file is.
fn check_blocks(file: &[u8]) {
    let bytes = |range: std::ops::Range<u64>| &file[range.start as usize..range.end as usize];
    let (Some(header), Some(footer)) = (file.first_chunk(), file.last_chunk()) else {
        return;
    };
    let Ok(Tail::Index(at)) = Tail::read(header, footer, file.len() as u64) else {
        return;
    };
    let Ok(Layout::Blocks(index)) = at.parse(bytes(at.range.clone())) else {
        return;
    };
    let mut image = Vec::new();
    let mut sound = true;
    let ends = index.edges().skip(1);
    for (from, to) in index.edges().zip(ends) {
        let (staged, decoded_range, run) = index.run_between(from, to);
        let frame = run.frame(bytes(run.records.clone())).unwrap();
        match decoded(Decoder::run(frame, bytes(staged))) {
            Ok(None) => return,
            Ok(Some(part)) => {
                assert_eq!(part.len() as u64, decoded_range.end - decoded_range.start);
                image.extend_from_slice(&part);
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
