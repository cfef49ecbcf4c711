//! zstd by `ruzstd`.

use std::io::{self, Read};

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
pub use ruzstd::encoding::CompressionLevel;

/// The image of all frames in this file; skippable ones are skipped.
///
/// # Errors
/// When the file is damaged, cut off or followed by something else.
pub fn decode(mut file: &[u8]) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    while !file.is_empty() {
        frame(&mut file, &mut image)?;
    }
    Ok(image)
}

fn frame(file: &mut &[u8], image: &mut Vec<u8>) -> io::Result<()> {
    let mut decoder = FrameDecoder::new();
    match decoder.init(&mut *file) {
        Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
            length,
            ..
        })) => {
            *file = file
                .get(length as usize..)
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            return Ok(());
        }
        result => result.map_err(io::Error::other)?,
    }
    let start = image.len();
    while !decoder.is_finished() {
        decoder
            .decode_blocks(&mut *file, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(io::Error::other)?;
        decoder.collect_to_writer(&mut *image)?;
    }
    decoder.read_to_end(image)?;
    // `ruzstd` leaves it to its caller to compare what the header and the checksum say.
    let sum = decoder.get_checksum_from_data();
    if sum.is_some() && sum != decoder.get_calculated_checksum() {
        return Err(io::Error::other("the checksum does not match"));
    }
    let said = decoder.content_size();
    if said != 0 && said != (image.len() - start) as u64 {
        return Err(io::Error::other(
            "the frame has another length than it says",
        ));
    }
    Ok(())
}

/// One frame.
pub fn encode(image: &[u8], level: CompressionLevel) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(image, level)
}
