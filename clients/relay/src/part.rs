//! One part of an image, put to S3 once.
//!
//! How long a part may take follows from its size and the line, which nobody knows. So the rule is about silence: an attempt
//! goes on while S3 takes bytes, and is over once it takes none, and answers nothing, for [`SILENCE`].

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::{Client, StatusCode};
use tokio::{
    select,
    time::{Instant, sleep_until},
};

use crate::causes::with_causes;

/// The time in which something has to happen: a connection, some bytes taken, or S3's answer.
///
/// The last bytes of a part lie in the buffers of this side for some time: up to 400 KiB in hyper's and what the kernel holds
/// for two round trips. So a connection may be as slow as 7 KiB a second. The kernel gives up after the same time without an
/// acknowledgement (`tcp_user_timeout`). It cannot know of a network that goes dark behind a proxy, nor of an S3 that takes
/// everything and does not answer.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Bytes that are given to the connection at once. The silence is measured from one such piece to the next.
const PIECE: usize = 64 << 10;

/// Why a part is not in S3.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The URL may have expired.
    #[error("S3 answered {status} {text}")]
    Refused { status: StatusCode, text: String },
    #[error("S3 cannot be reached: {}", with_causes(.0))]
    Unreachable(reqwest::Error),
    #[error("S3 took no bytes and did not answer for {} s", .0.as_secs())]
    Silent(Duration),
}

/// Puts a part. `silence` is how long nothing may happen.
pub async fn put(s3: &Client, url: &str, part: Bytes, silence: Duration) -> Result<(), PutError> {
    let progress = Progress::new();
    let body = Pieces {
        left: part,
        progress: progress.clone(),
    };
    select! {
        put = answer(s3, url, body) => put,
        () = progress.ceases(silence) => Err(PutError::Silent(silence)),
    }
}

async fn answer(s3: &Client, url: &str, body: Pieces) -> Result<(), PutError> {
    // The URL is enough to put the part: it shows nowhere.
    let unreachable = |error: reqwest::Error| PutError::Unreachable(error.without_url());
    let sent = s3.put(url).body(reqwest::Body::wrap(body)).send();
    let answer = sent.await.map_err(unreachable)?;
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    // S3 may hang up on a part that it does not take.
    let text = answer.text().await.unwrap_or_default();
    Err(PutError::Refused { status, text })
}

/// When a body last went on.
#[derive(Clone)]
struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing has gone on for that time.
    async fn ceases(&self, silence: Duration) {
        loop {
            let end = self.last() + silence;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// The body of a request, in pieces: hyper asks for the next one when the connection has taken those before. It has an exact
/// size, and so a `Content-Length`, which S3 requires.
struct Pieces {
    left: Bytes,
    progress: Progress,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.note();
        let size = self.left.len().min(PIECE);
        let piece = self.left.split_to(size);
        Poll::Ready((size > 0).then_some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpSocket, TcpStream},
        time::sleep,
    };

    use super::*;

    /// The buffers of both sides hold 4 MiB, which have to be read in this time, too.
    const SHORT: Duration = Duration::from_secs(3);
    const SIZE: usize = 32 << 20;

    /// An address whose connections hold 1 MiB before somebody reads.
    fn listen() -> (TcpListener, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(512 << 10).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(8).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn put_to(address: SocketAddr) -> Result<(), PutError> {
        let client = Client::builder().no_proxy().build().unwrap();
        let part = Bytes::from(vec![7; SIZE]);
        put(&client, &format!("http://{address}/part"), part, SHORT).await
    }

    /// Reads a request with 8 MiB a second.
    async fn read_slowly(stream: &mut TcpStream) -> Vec<u8> {
        let mut request = Vec::new();
        let mut piece = vec![0; 128 << 10];
        let mut end = None;
        while end.is_none_or(|end| request.len() < end) {
            let size = stream.read(&mut piece).await.unwrap();
            assert_ne!(size, 0, "the request ended early");
            request.extend_from_slice(&piece[..size]);
            let head = request.windows(4).take(1000).position(|w| w == b"\r\n\r\n");
            end = head.map(|head| head + 4 + SIZE);
            sleep(Duration::from_millis(16)).await;
        }
        request
    }

    #[tokio::test]
    async fn a_part_may_take_longer_than_the_silence() {
        let (listener, address) = listen();
        let began = Instant::now();
        let s3 = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_slowly(&mut stream).await;
            let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(ok).await.unwrap();
            String::from_utf8(request).unwrap()
        };
        let (put, request) = tokio::join!(put_to(address), s3);
        put.unwrap();
        assert!(began.elapsed() > SHORT, "it was not slow");
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.contains(&format!("content-length: {SIZE}")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        assert_eq!(body.len(), SIZE);
    }

    #[tokio::test]
    async fn an_s3_that_takes_no_more_bytes_is_silent() {
        let (listener, address) = listen();
        let s3 = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            stream
        };
        let (put, _stream) = tokio::join!(put_to(address), s3);
        assert!(matches!(put, Err(PutError::Silent(SHORT))), "{put:?}");
    }

    #[tokio::test]
    async fn an_s3_that_takes_all_and_does_not_answer_is_silent() {
        let (listener, address) = listen();
        let s3 = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_slowly(&mut stream).await;
            stream
        };
        let (put, _stream) = tokio::join!(put_to(address), s3);
        assert!(matches!(put, Err(PutError::Silent(SHORT))), "{put:?}");
    }

    #[tokio::test]
    async fn an_error_does_not_show_the_url() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let error = put_to(address).await.unwrap_err().to_string();
        assert!(error.starts_with("S3 cannot be reached: "), "{error}");
        assert!(error.contains("Connection refused"), "{error}");
        assert!(!error.contains("/part"), "{error}");
    }
}
