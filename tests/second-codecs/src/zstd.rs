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
/// When the file is damaged, cut off or followed by something else; [`io::ErrorKind::Unsupported`] where libzstd is known
/// to be less strict. For a block of no bytes it looks neither at its type (a compressed one is illegal, RFC 8878,
/// 3.1.1.3) nor, if it is the last one, at the length that the frame says it has (`ZSTD_decompressContinue` of zstd 1.5.7).
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
    let mut ends_empty = false;
    while !decoder.is_finished() {
        if let [header, 0, 0, ..] = **file {
            match header {
                0b100 | 0b101 => return Err(io::ErrorKind::Unsupported.into()),
                0b001 => ends_empty = true,
                _ => {}
            }
        }
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
    match said == 0 || said == (image.len() - start) as u64 {
        true => Ok(()),
        false if ends_empty => Err(io::ErrorKind::Unsupported.into()),
        false => Err(io::Error::other(
            "the frame has another length than it says",
        )),
    }
}

/// One frame.
pub fn encode(image: &[u8], level: CompressionLevel) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(image, level)
}
