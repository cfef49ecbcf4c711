//! Staged files of every kind, in a bucket that has only the bytes that are read.

use std::io;

use async_compression::tokio::bufread::{GzipEncoder, XzEncoder, ZstdEncoder};
use cloudupload::{aws, error::is_transient};
use fake_endpoint::{Answer, Call, Endpoint};
use image::xz::{Check, Run};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::*;

const GIB: u64 = 1 << 30;

/// Some bytes of a file, and where they lie in it.
type Piece = (u64, Vec<u8>);

/// Inspects a file of `size` bytes, of which only these can be read.
async fn inspect_pieces(size: u64, pieces: Vec<Piece>) -> Result<Findings, InspectError> {
    let endpoint = Endpoint::new(move |call| {
        assert_eq!(call.name, "GetObject");
        let (from, to) = range_of(call);
        assert!(to <= size, "{to} is after the file's end");
        let held = |piece: &&Piece| (piece.0..piece.0 + piece.1.len() as u64).contains(&from);
        let (at, bytes) = pieces
            .iter()
            .find(held)
            .expect("these bytes are not needed");
        let bytes = &bytes[(from - at) as usize..];
        Answer::new(206, &bytes[..bytes.len().min((to - from) as usize)])
    });
    let account = "999999999999".parse().unwrap();
    let staging = Staging::new(aws::s3(&endpoint.config()), "staging".to_owned(), account);
    let file = StagedFile {
        key: "job-1/leap".to_owned(),
        etag: "\"1\"".to_owned(),
    };
    inspect(&staging, &file, "leap.raw", size).await
}

async fn inspect_file(file: Vec<u8>) -> Result<Findings, InspectError> {
    inspect_pieces(file.len() as u64, vec![(0, file)]).await
}

fn range_of(call: &Call) -> (u64, u64) {
    let range = call.headers["range"].strip_prefix("bytes=").unwrap();
    let (from, last) = range.split_once('-').unwrap();
    (from.parse().unwrap(), last.parse::<u64>().unwrap() + 1)
}

/// The first two MiB of a disk whose partition table needs so many bytes.
fn disk(needs: u64) -> Vec<u8> {
    let mut disk = vec![0; 2 << 20];
    let sectors = u32::try_from(needs / 512 - 2048).unwrap();
    disk[450] = 0x83;
    disk[454..458].copy_from_slice(&2048u32.to_le_bytes());
    disk[458..462].copy_from_slice(&sectors.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk
}

async fn encoded(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut file = Vec::new();
    encoder.read_to_end(&mut file).await.unwrap();
    file
}

/// The ends of an xz file with blocks of these sizes (compressed, uncompressed), and its own size; the data of its start is
/// that of another.
async fn xz_file(blocks: &[(u64, u64)], disk: &[u8]) -> (u64, Vec<Piece>) {
    let mut records = Vec::new();
    for mut number in blocks.iter().flat_map(|(staged, image)| [*staged, *image]) {
        while number >= 0x80 {
            records.push(number as u8 | 0x80);
            number >>= 7;
        }
        records.push(number as u8);
    }
    let run = Run {
        check: Check::Crc64,
        blocks: blocks.len() as u64,
        records: 0..records.len() as u64,
    };
    let trailer = run.frame(&records).unwrap().trailer;
    let staged: u64 = blocks.iter().map(|(len, _)| len.next_multiple_of(4)).sum();
    let size = HEADER_LEN as u64 + staged + trailer.len() as u64;
    let start = encoded(XzEncoder::new(disk)).await;
    (
        size,
        vec![(0, start), (size - trailer.len() as u64, trailer)],
    )
}

#[test]
fn a_read_that_broke_is_worth_another_try_and_a_damaged_file_is_not() {
    let failure = || Failure::unexpected("s3:GetObject", "the connection broke");
    let staged = DecodeError::Staged(io::Error::other(failure()));
    assert!(is_transient(&InspectError::from(staged)));
    assert!(is_transient(&InspectError::from(failure())));
    assert!(!is_transient(&InspectError::from(XzError::CutOff {
        len: 7
    })));
}

#[tokio::test]
async fn the_volume_of_a_plain_image_is_its_length() {
    let size = 10 * GIB;
    let found = inspect_pieces(size, vec![(0, disk(8 * GIB))])
        .await
        .unwrap();
    assert_eq!(found.compression, Compression::Plain);
    assert_eq!(found.volume_bytes, size);
    assert_eq!(found.table.needs, 8 * GIB);
    assert_eq!(found.slices.len(), 24);
}

#[tokio::test]
async fn the_footer_of_a_vhd_needs_no_gib_of_its_own() {
    let found = inspect_pieces(10 * GIB + 512, vec![(0, disk(8 * GIB))]).await;
    assert_eq!(found.unwrap().volume_bytes, 10 * GIB);
}

#[tokio::test]
async fn the_index_of_an_xz_file_tells_the_volume() {
    let blocks = vec![(8 << 20, 24 << 20); 512];
    let (size, pieces) = xz_file(&blocks, &disk(8 * GIB)).await;
    let found = inspect_pieces(size, pieces).await.unwrap();
    assert_eq!(found.volume_bytes, 12 * GIB);
    assert!(found.slices.len() > 1);
    let (size, pieces) = xz_file(&[(8 << 20, 12 * GIB)], &disk(8 * GIB)).await;
    let found = inspect_pieces(size, pieces).await.unwrap();
    assert_eq!((found.volume_bytes, found.slices.len()), (12 * GIB, 1));
}

#[tokio::test]
async fn several_xz_streams_tell_no_more_than_their_table() {
    let (a, b) = (disk(GIB), vec![0; 1 << 20]);
    let file = [
        encoded(XzEncoder::new(&a[..])).await,
        encoded(XzEncoder::new(&b[..])).await,
    ];
    let found = inspect_file(file.concat()).await.unwrap();
    assert_eq!(found.volume_bytes, GIB);
}

#[tokio::test]
async fn a_gzip_file_tells_its_length_modulo_4_gib() {
    let start = encoded(GzipEncoder::new(&disk(9 * GIB)[..])).await;
    let size = 3 * GIB;
    let last = ((10 * GIB) as u32).to_le_bytes().to_vec();
    let found = inspect_pieces(size, vec![(0, start), (size - 4, last)])
        .await
        .unwrap();
    assert_eq!(found.compression, Compression::Gzip);
    assert_eq!(found.volume_bytes, 10 * GIB);
}

#[tokio::test]
async fn a_zstd_file_tells_its_length_in_its_header() {
    let image = disk(GIB);
    let silent = encoded(ZstdEncoder::new(&image[..])).await;
    assert_eq!(silent[4], 0, "a frame without its content's size");
    let found = inspect_file(silent.clone()).await.unwrap();
    assert_eq!(found.volume_bytes, GIB);
    // The same with a size of 8 bytes after the byte that says how large the window is.
    let told = [
        &silent[..4],
        &[0xC0, silent[5]],
        &(3 * GIB).to_le_bytes(),
        &silent[6..],
    ]
    .concat();
    let size = told.len() as u64;
    let found = inspect_pieces(size, vec![(0, told)]).await.unwrap();
    assert_eq!(found.compression, Compression::Zstd);
    assert_eq!(found.volume_bytes, 3 * GIB);
}

#[tokio::test]
async fn an_image_too_large_for_a_volume_is_refused() {
    let blocks = [(8 << 20, 64 * 1024 * GIB), (8 << 20, 1024)];
    let (size, pieces) = xz_file(&blocks, &disk(GIB)).await;
    let error = inspect_pieces(size, pieces).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the disk has 70368744178688 bytes, more than the 64 TiB that an EBS volume has at most; make it smaller"
    );
    assert!(!is_transient(&error));
}

#[tokio::test]
async fn data_in_one_piece_that_takes_too_long_is_refused() {
    let (size, pieces) = xz_file(&[(20 * GIB, 60 * GIB)], &disk(GIB)).await;
    let error = inspect_pieces(size, pieces).await.unwrap_err().to_string();
    assert!(
        error.contains("\"xz -dc IMAGE | xz -T0 --block-size=24MiB > NEW\""),
        "{error}"
    );

    let start = encoded(GzipEncoder::new(&disk(9 * GIB)[..])).await;
    let size = 30 * GIB;
    let last = vec![0; 4];
    let error = inspect_pieces(size, vec![(0, start), (size - 4, last)]).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("\"gzip -dc IMAGE | xz -T0 --block-size=24MiB > NEW\""),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_disk_is_refused() {
    for (file, reason) in [
        (
            b"QFI\xFB\0\0\0\x03".repeat(64),
            "the image is a qcow2 file, not a raw disk",
        ),
        (
            b"<html><body>Log in</body></html>".repeat(16),
            "the image is an HTML or XML page, an error message perhaps",
        ),
        (
            vec![7; 1000],
            "the disk is not a whole number of 512-byte sectors: 1000 bytes",
        ),
        (
            disk(GIB),
            "the partition table speaks of 1073741824 bytes, the disk has only 2097152",
        ),
    ] {
        let error = inspect_file(file).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!is_transient(&error));
    }
}
