//! The decoders against those of `second-codecs`, on the same files: sound ones of many shapes, by either's encoder, and
//! damaged ones. Where a file is damaged, this crate's decoders may refuse more than the second ones, never less (but for
//! what those do not support), and what they take for sound has the same bytes.

use async_compression::{Level, zstd::CParameter};
use proptest::{collection::vec, prelude::*, sample::Index};
use second_codecs::{
    gzip,
    xz::{self as second_xz, CheckType, FilterType, XzOptions},
    zstd::{self, CompressionLevel},
};

use super::{
    tests::{GzipEncoder, ZstdEncoder, block_on, run, whole},
    *,
};
use crate::xz::{
    Check, Layout,
    tests::{any_check, bytes, encode, layout},
};

/// Parts of an image: noise, one byte over and over, and what repeats itself at a distance.
fn any_parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let noise = vec(any::<u8>(), 0..3000);
    let fill = (0..40_000usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    let echo = (vec(any::<u8>(), 1..300), 1..60usize).prop_map(|(text, times)| text.repeat(times));
    vec(prop_oneof![noise, fill, echo], 0..6)
}

fn any_image() -> impl Strategy<Value = Vec<u8>> {
    any_parts().prop_map(|parts| parts.concat())
}

/// A compressed file, and the image in it.
type Sample = (Vec<u8>, Vec<u8>);

/// Several streams, members or frames in a row, with something between and behind them.
fn in_a_row(
    one: impl Strategy<Value = Sample>,
    filler: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = Sample> {
    vec((one, filler), 1..4).prop_map(|samples| {
        let (mut file, mut image) = (Vec::new(), Vec::new());
        for ((compressed, part), filler) in samples {
            file.extend_from_slice(&compressed);
            file.extend_from_slice(&filler);
            image.extend_from_slice(&part);
        }
        (file, image)
    })
}

/// A stream with a block for each part; parts that are empty make none.
fn xz_stream() -> impl Strategy<Value = Sample> {
    (any_parts(), any_check()).prop_map(|(parts, check)| {
        let blocks = parts.into_iter().filter(|part| !part.is_empty());
        let blocks = blocks.collect::<Vec<_>>();
        (encode(&blocks, check), blocks.concat())
    })
}

/// A stream by the second encoder: blocks of one length, and filters before LZMA2.
fn second_xz_stream() -> impl Strategy<Value = Sample> {
    let check = prop::sample::select(vec![
        CheckType::None,
        CheckType::Crc32,
        CheckType::Crc64,
        CheckType::Sha256,
    ]);
    let filters = prop::sample::subsequence(
        vec![
            (FilterType::Delta, 3),
            (FilterType::BcjX86, 0),
            (FilterType::BcjArm64, 0),
        ],
        0..=3,
    );
    let block = prop::option::of(4096..20_000u64);
    (any_image(), check, filters, block, 0..4u32).prop_map(
        |(image, check, filters, block, preset)| {
            let mut options = XzOptions::with_preset(preset);
            options.lzma_options.dict_size = 4096;
            options.set_check_sum_type(check);
            for (filter, property) in filters {
                options.prepend_pre_filter(filter, property);
            }
            options.set_block_size(block.and_then(std::num::NonZeroU64::new));
            (second_xz::encode(&image, options).unwrap(), image)
        },
    )
}

fn xz_file() -> impl Strategy<Value = Sample> {
    let padding = (0..3usize).prop_map(|words| vec![0; 4 * words]);
    prop_oneof![
        xz_stream(),
        second_xz_stream(),
        in_a_row(prop_oneof![xz_stream(), second_xz_stream()], padding),
    ]
}

fn gzip_member() -> impl Strategy<Value = Sample> {
    let first = (any_image(), 0..10, any::<u8>()).prop_map(|(image, level, fields)| {
        let mut member = Vec::new();
        let mut encoder = GzipEncoder::with_quality(&image[..], Level::Precise(level));
        block_on(encoder.read_to_end(&mut member)).unwrap();
        (with_header_fields(&member, fields & 0b11110), image)
    });
    let second = (any_image(), 0..10)
        .prop_map(|(image, level)| (gzip::encode(&image, level).unwrap(), image));
    prop_oneof![first, second]
}

/// The same member with these optional fields in its header (RFC 1952, 2.3.1).
fn with_header_fields(member: &[u8], flags: u8) -> Vec<u8> {
    let (header, rest) = member.split_at(10);
    assert_eq!(header[3], 0, "no optional fields");
    let mut file = header.to_vec();
    file[3] = flags;
    if flags & 4 != 0 {
        file.extend_from_slice(b"\x06\0AB\x02\0xy");
    }
    for (flag, text) in [(8, b"disk.raw\0"), (16, b"comment.\0")] {
        if flags & flag != 0 {
            file.extend_from_slice(text);
        }
    }
    if flags & 2 != 0 {
        let crc = crc32fast::hash(&file) as u16;
        file.extend_from_slice(&crc.to_le_bytes());
    }
    file.extend_from_slice(rest);
    file
}

fn gzip_file() -> impl Strategy<Value = Sample> {
    in_a_row(gzip_member(), Just(Vec::new()))
}

fn zstd_frame() -> impl Strategy<Value = Sample> {
    let first =
        (any_image(), 1..20, any::<bool>(), any::<bool>()).prop_map(|(image, level, sum, size)| {
            let mut frame = Vec::new();
            let params = [
                CParameter::checksum_flag(sum),
                CParameter::content_size_flag(size),
            ];
            let level = Level::Precise(level);
            let mut encoder = ZstdEncoder::with_quality_and_params(&image[..], level, &params);
            block_on(encoder.read_to_end(&mut frame)).unwrap();
            (frame, image)
        });
    let levels = vec![CompressionLevel::Uncompressed, CompressionLevel::Fastest];
    let second = (any_image(), prop::sample::select(levels))
        .prop_map(|(image, level)| (zstd::encode(&image, level), image));
    prop_oneof![first, second]
}

fn zstd_file() -> impl Strategy<Value = Sample> {
    let skipped = vec(any::<u8>(), 0..20).prop_map(|content| {
        let len = (content.len() as u32).to_le_bytes();
        [&b"\x5A\x2A\x4D\x18"[..], &len, &content].concat()
    });
    in_a_row(zstd_frame(), prop_oneof![Just(Vec::new()), skipped])
}

fn any_file() -> impl Strategy<Value = (Compression, Vec<u8>)> {
    prop_oneof![
        xz_file().prop_map(|(file, _)| (Compression::Xz, file)),
        gzip_file().prop_map(|(file, _)| (Compression::Gzip, file)),
        zstd_file().prop_map(|(file, _)| (Compression::Zstd, file)),
    ]
}

/// By this crate. The index of an xz file is read before anything is decoded.
fn first(compression: Compression, file: &[u8]) -> Result<Vec<u8>, String> {
    if compression == Compression::Xz {
        layout(file).map_err(|error| error.to_string())?;
    }
    whole(compression, file).map_err(|error| error.to_string())
}

fn second(compression: Compression, file: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Plain => Ok(file.to_vec()),
        Compression::Xz => second_xz::decode(file),
        Compression::Gzip => gzip::decode(file),
        Compression::Zstd => zstd::decode(file),
    }
}

/// What becomes of a file on a bad disk or line.
#[derive(Clone, Debug)]
enum Damage {
    Bit(Index, u8),
    Byte(Index, u8),
    Cut(Index),
    Lost(Index, usize),
    Twice(Index, usize),
    Zeros(Index, usize),
}

impl Damage {
    fn done_to(&self, file: &mut Vec<u8>) {
        let len = file.len();
        let range = |at: &Index, count: usize| {
            let start = at.index(len);
            start..len.min(start + count)
        };
        match self {
            Self::Bit(at, bit) => file[at.index(len)] ^= 1 << bit,
            Self::Byte(at, byte) => file[at.index(len)] = *byte,
            Self::Cut(at) => file.truncate(at.index(len)),
            Self::Lost(at, count) => drop(file.drain(range(at, *count))),
            Self::Twice(at, count) => {
                let part = file[range(at, *count)].to_vec();
                file.splice(at.index(len)..at.index(len), part);
            }
            Self::Zeros(at, count) => file[range(at, *count)].fill(0),
        }
    }
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8u8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1..600usize).prop_map(|(at, count)| Damage::Lost(at, count)),
        1 => (at(), 1..600usize).prop_map(|(at, count)| Damage::Twice(at, count)),
        1 => (at(), 1..600usize).prop_map(|(at, count)| Damage::Zeros(at, count)),
    ]
}

/// The blocks in runs of `at_a_time`, each by both decoders, as far as the first takes them for sound.
fn check_runs(file: &[u8], at_a_time: usize) -> Result<Vec<u8>, DecodeError> {
    let Ok(Layout::Blocks(index)) = layout(file) else {
        panic!("no index")
    };
    let mut image = Vec::new();
    let all = index.blocks() as usize;
    for first in (0..all).step_by(at_a_time) {
        let blocks = first..all.min(first + at_a_time);
        let (staged, decoded, blocks) = index.run(blocks);
        let part = run(file, &staged, &blocks)?;
        assert_eq!(part.len() as u64, decoded.end - decoded.start);
        let frame = blocks.frame(bytes(file, &blocks.records)).unwrap();
        let stream = [&frame.header, bytes(file, &staged), &frame.trailer].concat();
        assert!(second_xz::decode(&stream).unwrap() == part);
        image.extend_from_slice(&part);
    }
    Ok(image)
}

#[test]
fn an_xz_file_of_empty_blocks_is_empty() {
    // `encode` flushes an empty block away, so this is put together of an empty LZMA2 stream (the byte 0) and its check.
    for (check, sum) in [
        (Check::None, &[][..]),
        (Check::Crc32, &[0; 4]),
        (Check::Crc64, &[0; 8]),
    ] {
        let block = [&b"\x02\0!\x01\0\0\0\0\x37\x27\x97\xD6\0\0\0\0"[..], sum].concat();
        let records = [13 + sum.len() as u8, 0].repeat(3);
        let run = crate::xz::Run {
            check,
            blocks: 3,
            records: 0..6,
        };
        let frame = run.frame(&records).unwrap();
        let file = [&frame.header, &block.repeat(3)[..], &frame.trailer].concat();
        assert!(second_xz::decode(&file).unwrap().is_empty());
        assert!(whole(Compression::Xz, &file).unwrap().is_empty());
        assert!(check_runs(&file, 2).unwrap().is_empty());
    }
}

proptest! {
    #[test]
    fn sound_xz_files_are_read_alike((file, image) in xz_file(), at_a_time in 1..4usize) {
        prop_assert!(second_xz::decode(&file).unwrap() == image);
        prop_assert!(whole(Compression::Xz, &file).unwrap() == image);
        if let Layout::Blocks(_) = layout(&file).unwrap() {
            prop_assert!(check_runs(&file, at_a_time).unwrap() == image);
        }
    }

    #[test]
    fn sound_gzip_files_are_read_alike((file, image) in gzip_file()) {
        prop_assert!(gzip::decode(&file).unwrap() == image);
        prop_assert!(whole(Compression::Gzip, &file).unwrap() == image);
    }

    #[test]
    fn sound_zstd_files_are_read_alike((file, image) in zstd_file()) {
        prop_assert!(zstd::decode(&file).unwrap() == image);
        prop_assert!(whole(Compression::Zstd, &file).unwrap() == image);
    }

    #[test]
    fn what_is_damaged_is_refused_or_read_alike(
        (compression, mut file) in any_file(),
        damage in vec(any_damage(), 1..3),
        at_a_time in 1..4usize,
    ) {
        for damage in damage {
            if !file.is_empty() {
                damage.done_to(&mut file);
            }
        }
        // A file without its magic bytes is not decoded as what it was.
        if Compression::of(&file) != compression {
            return Ok(());
        }
        let first = first(compression, &file);
        if let Ok(image) = &first {
            match second(compression, &file) {
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                second => prop_assert!(second.unwrap() == *image),
            }
        }
        if compression == Compression::Xz && let Ok(Layout::Blocks(_)) = layout(&file) {
            // Slices must not let through what the whole file would not.
            match check_runs(&file, at_a_time) {
                Ok(image) => prop_assert!(first.unwrap() == image),
                Err(_) => prop_assert!(first.is_err()),
            }
        }
    }
}
