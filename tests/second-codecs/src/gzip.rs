//! gzip by `zlib-rs`, a port of zlib-ng.

use std::io;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// A window of 32 KiB (15 bits), and a header and trailer of gzip (16).
const GZIP: u8 = 16 + 15;

/// The image of all members in this file.
///
/// # Errors
/// When the file is damaged, cut off or followed by something else; [`io::ErrorKind::Unsupported`] for reserved flags,
/// which have to be refused (RFC 1952, 2.3.1.2), but which the decoder of `image` ignores.
pub fn decode(mut file: &[u8]) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    loop {
        let length = member(file, &mut image)?;
        file = &file[length..];
        if file.is_empty() {
            return Ok(image);
        }
    }
}

/// Decodes one member, and returns its length.
fn member(file: &[u8], image: &mut Vec<u8>) -> io::Result<usize> {
    if file.get(3).is_some_and(|flags| flags & 0b1110_0000 != 0) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut inflate = Inflate::new(true, GZIP);
    let mut buffer = [0; 16 << 10];
    loop {
        let read = inflate.total_in() as usize;
        let written = inflate.total_out();
        let status = inflate
            .decompress(&file[read..], &mut buffer, InflateFlush::NoFlush)
            .map_err(|error| io::Error::other(error.as_str()))?;
        image.extend_from_slice(&buffer[..(inflate.total_out() - written) as usize]);
        match status {
            Status::StreamEnd => return Ok(inflate.total_in() as usize),
            Status::BufError => return Err(io::ErrorKind::UnexpectedEof.into()),
            Status::Ok => {}
        }
    }
}

/// One member, compressed at a level from 0 to 9.
///
/// # Errors
/// For another level.
pub fn encode(image: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut deflate = Deflate::new(level, true, GZIP);
    let mut file = vec![0; zlib_rs::compress_bound(image.len()) + 64];
    match deflate.compress(image, &mut file, DeflateFlush::Finish) {
        Ok(Status::StreamEnd) => {
            file.truncate(deflate.total_out() as usize);
            Ok(file)
        }
        result => Err(io::Error::other(format!("{result:?}"))),
    }
}
