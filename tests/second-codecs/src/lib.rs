//! xz, gzip and zstd by other authors than those of the decoders in `image`: pure Rust where the functions use C
//! (liblzma, libzstd), and another crate than theirs for gzip (miniz_oxide). Tests and fuzzers compare the two.
//!
//! These encoders also make the files that the first encoders do not: xz with filters, zstd blocks of their own kind.

pub mod gzip;
pub mod xz;
pub mod zstd;
