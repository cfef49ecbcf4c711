//! What calls the relay.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::StatusCode;
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};

use crate::cloud::WAIT_TIMEOUT;

/// An image whose parts all differ: its pattern has a prime number of bytes.
pub fn image(size: u64) -> Bytes {
    let pattern: Vec<u8> = (0..1_000_003_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 17) as u8)
        .collect();
    let mut image = pattern.repeat((size as usize).div_ceil(pattern.len()));
    image.truncate(size as usize);
    image.into()
}

/// A client that calls the relay and nothing else.
pub fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Sends the image of a job. Gives the answer's status and text.
pub async fn put(relay: SocketAddr, job: u32, image: Bytes) -> (StatusCode, String) {
    let url = format!("http://{relay}/cloudupload/{job}");
    let request = client().put(url).timeout(WAIT_TIMEOUT).body(image);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// A `PUT` of which the test sends the bytes.
pub struct Sending(TcpStream);

impl Sending {
    /// Sends the head of a request for so many bytes.
    pub async fn begin(relay: SocketAddr, job: u32, length: u64) -> Self {
        let head = format!(
            "PUT /cloudupload/{job} HTTP/1.1\r\nHost: relay\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        Self::raw(relay, &head).await
    }

    /// Sends a request, or its beginning, as it is.
    pub async fn raw(relay: SocketAddr, request: &str) -> Self {
        let mut stream = TcpStream::connect(relay).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Sends of these bytes what the relay takes, until it takes none for so long. Gives how many.
    pub async fn send_what_is_taken(&mut self, bytes: &[u8], pause: Duration) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            match timeout(pause, self.0.write(&bytes[sent..])).await {
                Ok(written) => sent += written.unwrap(),
                Err(_) => break,
            }
        }
        sent
    }

    /// The answer, with its head.
    pub async fn answer(mut self) -> String {
        let mut answer = String::new();
        let read = timeout(WAIT_TIMEOUT, self.0.read_to_string(&mut answer));
        read.await.expect("no answer").unwrap();
        answer
    }
}
