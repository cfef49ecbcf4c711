//! xz by `lzma-rust2`, a port of XZ for Java.

use std::io::{self, Read, Write};

/// The length of the image, by the indexes of all streams.
pub use lzma_rust2::xz_uncompressed_size as uncompressed_size;
pub use lzma_rust2::{CheckType, XzOptions, filter::FilterType};
use lzma_rust2::{XzReader, XzWriter};

/// The image of all streams in this file.
///
/// # Errors
/// When the file is damaged, cut off or followed by something else.
pub fn decode(file: &[u8]) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    XzReader::new(file, true).read_to_end(&mut image)?;
    Ok(image)
}

/// One stream.
///
/// # Errors
/// When the options do not go together.
pub fn encode(image: &[u8], options: XzOptions) -> io::Result<Vec<u8>> {
    let mut writer = XzWriter::new(Vec::new(), options)?;
    writer.write_all(image)?;
    writer.finish()
}
