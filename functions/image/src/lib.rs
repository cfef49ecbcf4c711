//! What an image is, and how it is cut into slices that can be decoded side by side: bytes in, facts out. No AWS, no
//! clock, no network.
//!
//! Three words are kept apart throughout:
//! - the *staged object* is the build result as OBS serves it, compressed or not;
//! - the *image* is what comes out when it is decoded;
//! - the *disk* is what becomes a snapshot: the image without the footer of a fixed VHD.
//!
//! First, the whole: find the compression ([`mod@format`]), read the index of an xz file ([`xz`]), inspect the head of
//! the image ([`disk::inspect`]), find out how large it is ([`size`]) and plan the slices ([`plan`]). Then each slice: decode it ([`decode`]) and read the
//! bytes of the disk from it ([`slice::SliceReader`]). The last slice also proves that the disk is whole.

pub mod decode;
pub mod disk;
pub mod format;
pub mod partition;
pub mod plan;
pub mod size;
pub mod slice;
pub mod vhd;
pub mod xz;

/// Bytes of a logical sector, on every EBS volume.
pub const SECTOR: u64 = 512;

/// Bytes of an image's head: of its start, room for every magic number and for a GPT, as no partition starts before
/// 1 MiB. The head of a shorter image is all of it.
pub const HEAD_LEN: usize = 1 << 20;
