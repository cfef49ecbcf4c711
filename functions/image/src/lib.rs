//! What an image is, and how it is cut up so that many functions can carry it: bytes in, facts out.
//!
//! Three words are kept apart throughout:
//! - the *staged object* is the build result as OBS serves it, compressed or not;
//! - the *image* is what comes out when it is decoded;
//! - the *disk* is what becomes a snapshot: the image without the footer of a fixed VHD.
//!
//! `prepare` finds the compression ([`format`]), reads the index of an xz file ([`xz`]), judges the first bytes of
//! the image ([`disk::inspect`]) and makes the slices ([`plan`]). `transfer` decodes one slice ([`decode`]) and cuts
//! it into the parts of an S3 object ([`cut`]); the last slice also proves that the disk is whole.

pub mod cut;
pub mod decode;
pub mod disk;
pub mod format;
pub mod partition;
pub mod plan;
pub mod vhd;
pub mod xz;
