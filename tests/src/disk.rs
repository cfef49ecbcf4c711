//! Small disks, made as OBS would make them, and what else may come along under their names.

use std::path::PathBuf;

use async_compression::tokio::write::{GzipEncoder, XzEncoder, ZstdEncoder};
use tokio::{fs, io::AsyncWriteExt, process::Command, sync::OnceCell};

/// A disk, as it is and as OBS has it.
pub struct Disk {
    pub raw: Vec<u8>,
    /// In several xz blocks, as kiwi makes it.
    pub xz: Vec<u8>,
}

/// A disk of 48 MiB with a partition table, an EFI system partition and a root file system.
pub async fn disk() -> &'static Disk {
    static DISK: OnceCell<Disk> = OnceCell::const_new();
    DISK.get_or_init(|| async {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = root.join("target/test");
        fs::create_dir_all(&folder)
            .await
            .expect("target can be written");
        let (raw, xz) = (folder.join("disk.raw"), folder.join("disk.raw.xz"));
        let status = Command::new(root.join("infra/local/make-disk"))
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

/// The bytes as one xz stream of one block.
pub async fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzEncoder::with_quality(Vec::new(), async_compression::Level::Fastest);
    encoder.write_all(bytes).await.expect("memory takes it");
    encoder.shutdown().await.expect("memory takes it");
    encoder.into_inner()
}

pub async fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::with_quality(Vec::new(), async_compression::Level::Fastest);
    encoder.write_all(bytes).await.expect("memory takes it");
    encoder.shutdown().await.expect("memory takes it");
    encoder.into_inner()
}

pub async fn zst(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZstdEncoder::with_quality(Vec::new(), async_compression::Level::Fastest);
    encoder.write_all(bytes).await.expect("memory takes it");
    encoder.shutdown().await.expect("memory takes it");
    encoder.into_inner()
}

/// The disk with the footer of a fixed VHD behind it (Virtual Hard Disk Image Format Specification, "Hard Disk Footer
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
