//! `fault-proxy --port N --upstream http://127.0.0.1:PORT`: what it does is said at `tests::proxy`.

use std::{env, process::ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::proxy::Proxy;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let (port, upstream) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--port", port, "--upstream", upstream] => (port, upstream),
        _ => return fail("usage: fault-proxy --port N --upstream http://127.0.0.1:PORT"),
    };
    let proxy = match Proxy::new(upstream) {
        Ok(proxy) => proxy,
        Err(error) => return fail(&error.to_string()),
    };
    // Two files to a connection, and a process starts with 1024 as a rule. Without it, fewer fit.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
    match TcpListener::bind(format!("127.0.0.1:{port}")).await {
        Ok(listener) => proxy.serve(listener).await,
        Err(error) => fail(&format!("port {port} of 127.0.0.1: {error}")),
    }
}

fn fail(what: &str) -> ExitCode {
    eprintln!("fault-proxy: {what}");
    ExitCode::FAILURE
}
