//! `xz-threads FILE.xz`: as `xz -dc -T0 FILE.xz`, with the liblzma that the functions have.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, BufReader},
    thread::available_parallelism,
};

use liblzma::{bufread::XzDecoder, stream::MtStreamBuilder};

/// Bytes that are read or written at once.
const BUFFER: usize = 1 << 18;

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args_os().nth(1).ok_or("usage: xz-threads FILE.xz")?;
    let threads = u32::try_from(available_parallelism()?.get())?;
    let stream = MtStreamBuilder::new()
        .threads(threads)
        .memlimit_threading(u64::MAX)
        .memlimit_stop(u64::MAX)
        .decoder()?;
    let input = BufReader::with_capacity(BUFFER, File::open(file)?);
    let mut image = BufReader::with_capacity(BUFFER, XzDecoder::new_stream(input, stream));
    io::copy(&mut image, &mut io::stdout().lock())?;
    Ok(())
}
