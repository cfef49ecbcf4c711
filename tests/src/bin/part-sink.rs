//! `part-sink --port N [--md5]`: what it does is said at `tests::part_sink`.

use std::{env, process::ExitCode};

use tests::{
    part_sink::{ETag, Sink},
    serve::{fail, listen},
};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let (port, etag) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--port", port] => (port, ETag::Crc32),
        ["--port", port, "--md5"] => (port, ETag::Md5),
        _ => return fail("usage: part-sink --port N [--md5]"),
    };
    match listen(port).await {
        Ok(listener) => Sink::new(etag).serve(listener).await,
        Err(code) => code,
    }
}
