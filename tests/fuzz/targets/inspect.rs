//! What an image is. The input is a file's name, and in the lines below the image's first bytes.

#![no_main]

use fuzz::seeds;
use image::{
    disk::{DiskError, inspect},
    format::{Compression, FormatError, check_raw},
    partition::Table,
};
use libfuzzer_sys::fuzz_target;

const SEEDS: fn() -> Vec<Vec<u8>> = || {
    let heads = [
        seeds::gpt(4),
        seeds::mbr(&[(0x83, 2048, 1 << 20)]),
        seeds::xz_files().remove(0),
        b"QFI\xFB\0\0\0\x03".to_vec(),
        b"<!DOCTYPE html>\n<html>".to_vec(),
        [&[0; 257][..], b"ustar\x0000"].concat(),
    ];
    heads
        .map(|head| [b"disk.raw.xz\n", &head[..]].concat())
        .to_vec()
};

fuzz_target!(init: seeds::write(SEEDS()), |data: &[u8]| {
    let end = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (name, head) = data.split_at(end);
    let name = String::from_utf8_lossy(name);
    let head = head.get(1..).unwrap_or_default();
    for outer in [Compression::Plain, Compression::Xz, Compression::Gzip, Compression::Zstd] {
        check(&name, outer, head);
    }
});

fn check(name: &str, outer: Compression, head: &[u8]) {
    let inner = Compression::of(head);
    match inspect(name, outer, head) {
        Ok(table) => {
            assert_eq!(inner, Compression::Plain);
            assert_eq!(check_raw(outer, head), Ok(()));
            assert_eq!(Table::read(head), Ok(table));
        }
        Err(DiskError::Format(FormatError::Twice {
            outer: told,
            inner: found,
        })) => {
            assert!(told == outer && found == inner && inner != Compression::Plain);
        }
        Err(DiskError::Format(FormatError::NotAsNamed { promised })) => {
            assert!(outer == Compression::Plain && promised == Compression::promised_by(name));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
