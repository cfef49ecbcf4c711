//! `ebs-sink --port N`: what it does is said at `tests::ebs_sink`.

use std::{env, process::ExitCode};

use tests::ebs_sink::Sink;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let port = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--port", port] => port,
        _ => return fail("usage: ebs-sink --port N"),
    };
    match TcpListener::bind(format!("127.0.0.1:{port}")).await {
        Ok(listener) => Sink::new().serve(listener).await,
        Err(error) => fail(&format!("port {port} of 127.0.0.1: {error}")),
    }
}

fn fail(what: &str) -> ExitCode {
    eprintln!("ebs-sink: {what}");
    ExitCode::FAILURE
}
