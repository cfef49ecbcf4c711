//! `ebs-sink --port N`: what it does is said at `tests::ebs_sink`.

use std::{env, process::ExitCode};

use tests::{
    ebs_sink::Sink,
    serve::{fail, listen},
};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let port = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--port", port] => port,
        _ => return fail("usage: ebs-sink --port N"),
    };
    match listen(port).await {
        Ok(listener) => Sink::new().serve(listener).await,
        Err(code) => code,
    }
}
