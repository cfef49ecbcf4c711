//! The inputs that a fuzzer begins with.

use std::{env, fs, path::Path};

use second_codecs::{
    gzip,
    xz::{self, CheckType, FilterType, XzOptions},
    zstd::{self, CompressionLevel},
};

/// Writes a fuzzer's seeds into the folder that `FUZZ_SEEDS` names, before it reads them from there. So no binary has to
/// lie in the repository.
pub fn write<T: AsRef<[u8]>>(seeds: impl IntoIterator<Item = T>) {
    let Some(folder) = env::var_os("FUZZ_SEEDS") else {
        return;
    };
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(Path::new(&folder).join(number.to_string()), seed)
            .expect("FUZZ_SEEDS is a folder");
    }
}

/// Some of each kind of data: noise, zeros, text.
fn image() -> Vec<u8> {
    let noise = (0..300u32).map(|i| (i * i * 7 % 251) as u8);
    noise
        .chain([0; 5000])
        .chain(*b"text, text, text.")
        .collect()
}

/// xz files: with every check, in blocks, with filters, in several streams, and an empty one.
pub fn xz_files() -> Vec<Vec<u8>> {
    let file = |image: &[u8], check, filter: Option<(FilterType, u32)>| {
        let mut options = XzOptions::with_preset(0);
        options.lzma_options.dict_size = 4096;
        options.set_check_sum_type(check);
        options.set_block_size(Some(4096.try_into().expect("not 0")));
        if let Some((filter, property)) = filter {
            options.prepend_pre_filter(filter, property);
        }
        xz::encode(image, options).expect("these options go together")
    };
    let checks = [
        CheckType::None,
        CheckType::Crc32,
        CheckType::Crc64,
        CheckType::Sha256,
    ];
    let mut files = checks.map(|check| file(&image(), check, None)).to_vec();
    files.push(file(
        &image(),
        CheckType::None,
        Some((FilterType::BcjX86, 0)),
    ));
    files.push(file(
        &image(),
        CheckType::None,
        Some((FilterType::Delta, 4)),
    ));
    files.push(file(&[], CheckType::Crc64, None));
    files.push([&files[0][..], &[0; 4], &files[1]].concat());
    files
}

/// gzip files: compressed, stored, and two members.
pub fn gzip_files() -> Vec<Vec<u8>> {
    let mut files = [9, 0]
        .map(|level| gzip::encode(&image(), level).expect("a level of zlib"))
        .to_vec();
    files.push(files.concat());
    files
}

/// zstd files: compressed, raw, and both with a frame to skip between them.
pub fn zstd_files() -> Vec<Vec<u8>> {
    let levels = [CompressionLevel::Fastest, CompressionLevel::Uncompressed];
    let mut files = levels.map(|level| zstd::encode(&image(), level)).to_vec();
    files.push([&files[0][..], b"\x50\x2A\x4D\x18\x02\0\0\0ab", &files[1]].concat());
    files
}

/// The head of a disk with an MBR that has these partitions: type, first sector, sectors.
pub fn mbr(partitions: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut head = vec![0; 512];
    for (entry, (kind, first, sectors)) in head[446..].chunks_mut(16).zip(partitions) {
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    head[510..].copy_from_slice(&[0x55, 0xAA]);
    head
}

/// The head of a disk of 64 MiB with a GPT of `entries` entries, of which the first is an EFI system partition.
pub fn gpt(entries: u8) -> Vec<u8> {
    let mut head = mbr(&[(0xEE, 1, u32::MAX)]);
    head.resize(1024 + 128 * usize::from(entries), 0);
    let header = &mut head[512..1024];
    header[..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5C\0\0\0");
    header[24] = 1;
    header[32..40].copy_from_slice(&(0x1_FFFFu64).to_le_bytes());
    header[40] = 34;
    header[48..56].copy_from_slice(&(0x1_FFDEu64).to_le_bytes());
    header[72] = 2;
    header[80] = entries;
    header[84] = 128;
    let entry = &mut head[1024..];
    entry[..16].copy_from_slice(b"\x28\x73\x2A\xC1\x1F\xF8\xD2\x11\xBA\x4B\0\xA0\xC9\x3E\xC9\x3B");
    entry[33] = 8;
    entry[41] = 16;
    crate::mend::gpt(&mut head);
    head
}
