//! Small disks, made as OBS makes them, in the formats in which they may be uploaded.

use std::path::PathBuf;

use async_compression::{
    Level,
    tokio::bufread::{GzipEncoder, XzEncoder, ZstdEncoder},
};
use tokio::{
    fs,
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    sync::OnceCell,
};

/// A disk, uncompressed and as OBS has it.
pub struct Disk {
    pub raw: Vec<u8>,
    /// In several xz blocks, as kiwi makes it.
    pub xz: Vec<u8>,
}

/// A disk of 48 MiB with a partition table, an EFI system partition and a root file system.
pub async fn disk() -> &'static Disk {
    static DISK: OnceCell<Disk> = OnceCell::const_new();
    DISK.get_or_init(|| async {
        let folder = folder();
        fs::create_dir_all(&folder)
            .await
            .expect("target can be written");
        let (raw, xz) = (folder.join(RAW), folder.join("disk.raw.xz"));
        let status = Command::new(root().join("infra/local/make-disk"))
            .arg(&xz)
            .args(["--size-mib", "48", "--content-mib", "16", "--raw"])
            .arg(&raw)
            .stdout(std::process::Stdio::null())
            .status()
            .await
            .expect("infra/local/make-disk runs");
        assert!(status.success(), "infra/local/make-disk: {status}");
        Disk {
            raw: fs::read(raw)
                .await
                .expect("infra/local/make-disk wrote the disk"),
            xz: fs::read(xz)
                .await
                .expect("infra/local/make-disk wrote the disk"),
        }
    })
    .await
}

/// The file with the bytes of [`disk`].
pub async fn raw_file() -> PathBuf {
    disk().await;
    folder().join(RAW)
}

const RAW: &str = "disk.raw";

fn folder() -> PathBuf {
    root().join("target/test")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The bytes as one xz stream of one block.
pub async fn xz(bytes: &[u8]) -> Vec<u8> {
    read_all(XzEncoder::with_quality(bytes, Level::Fastest)).await
}

pub async fn gz(bytes: &[u8]) -> Vec<u8> {
    read_all(GzipEncoder::with_quality(bytes, Level::Fastest)).await
}

pub async fn zst(bytes: &[u8]) -> Vec<u8> {
    read_all(ZstdEncoder::with_quality(bytes, Level::Fastest)).await
}

async fn read_all(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut encoded = Vec::new();
    let read = encoder.read_to_end(&mut encoded).await;
    read.expect("bytes in memory can be compressed");
    encoded
}

/// The disk as a fixed VHD: with a footer behind it (Virtual Hard Disk Image Format Specification, "Hard Disk Footer
/// Format").
pub fn vhdfixed(disk: &[u8]) -> Vec<u8> {
    let mut footer = [0; 512];
    footer[..8].copy_from_slice(b"conectix");
    footer[8..12].copy_from_slice(&2u32.to_be_bytes());
    footer[12..16].copy_from_slice(&0x0001_0000u32.to_be_bytes());
    footer[16..24].fill(0xff);
    footer[40..48].copy_from_slice(&(disk.len() as u64).to_be_bytes());
    footer[48..56].copy_from_slice(&(disk.len() as u64).to_be_bytes());
    footer[60..64].copy_from_slice(&2u32.to_be_bytes());
    let sum = footer.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    [disk, &footer].concat()
}
