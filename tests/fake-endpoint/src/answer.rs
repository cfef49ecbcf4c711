//! What a call is answered.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// An answer to a call.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    ending: Ending,
    delay: Duration,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Whole,
    /// The connection breaks after so many bytes of the body.
    Broken(usize),
    /// Nothing comes at all; the caller hangs up.
    Never,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            ending: Ending::Whole,
            delay: Duration::ZERO,
        }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    pub fn json(body: &Value) -> Self {
        Self::ok(body.to_string())
    }

    /// No answer.
    pub fn never() -> Self {
        Self {
            ending: Ending::Never,
            ..Self::ok("")
        }
    }

    /// Adds a header. `Content-Length` takes the place of the body's length, as a HEAD request needs it.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, broken off after so many bytes of the body.
    pub fn broken_after(self, bytes: usize) -> Self {
        Self {
            ending: Ending::Broken(bytes),
            ..self
        }
    }

    /// The same, later.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub(crate) fn send(&self, mut to: &TcpStream) -> io::Result<()> {
        std::thread::sleep(self.delay);
        if let Ending::Never = self.ending {
            return to.read_exact(&mut [0]);
        }
        write!(to, "HTTP/1.1 {} x\r\nConnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(to, "{name}: {value}\r\n")?;
        }
        if !self
            .headers
            .iter()
            .any(|(name, _)| *name == "Content-Length")
        {
            write!(to, "Content-Length: {}\r\n", self.body.len())?;
        }
        to.write_all(b"\r\n")?;
        let sent = match self.ending {
            Ending::Broken(bytes) => &self.body[..bytes],
            _ => &self.body,
        };
        to.write_all(sent)
    }
}
