//! A request that undoes what a test asked for, while the test ends.

use std::{
    io::{self, BufRead, BufReader, Error, Write},
    net::TcpStream,
    time::Duration,
};

/// Sends it, and waits for the answer, which must be a success. Blocking, as the runtime that other requests need may be
/// gone already.
pub(crate) fn send(method: &str, url: &str, body: &str) -> io::Result<()> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| Error::other(format!("{url} is no address of the local stack")))?;
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    write!(
        connection,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut status = String::new();
    BufReader::new(connection).read_line(&mut status)?;
    match status.split(' ').nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        _ => Err(Error::other(format!("{method} {url}: {status}"))),
    }
}
