//! The part of S3 that takes the parts of an upload, as cheap as it can be: it keeps no data, only the CRC32 of each part.
//! Clients that push are measured with it. It is not for tests of behaviour: the emulator is as strict as AWS.
//!
//! | request | what |
//! |---|---|
//! | `PUT /bucket/key?partNumber=1&uploadId=a` | UploadPart: an upload begins with its first part; a part may be put again |
//! | `GET /_sink/uploads/a` | a [`UploadSummary`]: what came of the upload |
//!
//! Source: S3 API reference, "UploadPart". Nothing is authenticated: what else is in a presigned URL is not looked at.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm::Crc32IsoHdlc, Digest as Crc, checksum_combine};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::sleep};

use crate::serve::serve;

/// The parts that an upload can have (S3 user guide, "Amazon S3 multipart upload limits").
const PART_NUMBERS: std::ops::RangeInclusive<u32> = 1..=10_000;

/// How the sink is like S3 beyond the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Likeness {
    /// Whether the `ETag` of a part is its MD5, as in a bucket that encrypts with keys of S3: that takes the sink ten times as
    /// long as all else. In a bucket that encrypts with keys of KMS, it is something else, too.
    pub md5: bool,
    /// The bytes that a connection brings in a second, at most. S3's: 85 to 90 MB (S3 user guide, "Performance design patterns
    /// for Amazon S3", "Horizontal scaling and request parallelization for high throughput").
    pub pace: Option<u64>,
}

/// Takes parts, and forgets them.
#[derive(Debug)]
pub struct Sink {
    likeness: Likeness,
    uploads: Mutex<HashMap<String, Upload>>,
}

#[derive(Debug)]
struct Upload {
    parts: BTreeMap<u32, Part>,
    puts: u64,
    /// When the first request began, and when the last one was answered.
    began: Instant,
    ended: Instant,
}

#[derive(Debug)]
struct Part {
    size: u64,
    crc32: u32,
}

/// What came of an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadSummary {
    /// Bytes of all parts.
    pub size: u64,
    pub parts: u64,
    /// More than the parts if one was put twice.
    pub puts: u64,
    /// CRC32 of all parts in their order, as S3 has it in `ChecksumCRC32`: big-endian, in base64.
    pub crc32: String,
    /// From the head of the first request to the answer to the last one.
    pub seconds: f64,
}

/// A refusal, by AWS's name for it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    InvalidArgument(&'static str),
    #[error("nothing is at {0}")]
    NotFound(String),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
}

impl Upload {
    fn received(&self) -> UploadSummary {
        let (mut size, mut crc32) = (0, 0);
        for part in self.parts.values() {
            crc32 = checksum_combine(Crc32IsoHdlc, crc32, part.crc32.into(), part.size);
            size += part.size;
        }
        let took: Duration = self.ended - self.began;
        UploadSummary {
            size,
            parts: self.parts.len() as u64,
            puts: self.puts,
            crc32: BASE64_STANDARD.encode((crc32 as u32).to_be_bytes()),
            seconds: took.as_secs_f64(),
        }
    }
}

impl Sink {
    pub fn new(likeness: Likeness) -> Arc<Self> {
        let uploads = Mutex::default();
        Arc::new(Self { likeness, uploads })
    }

    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> ExitCode {
        serve(listener, move |request| Arc::clone(&self).answer(request)).await
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let answer = match (request.method(), &segments[..]) {
            (&Method::GET, ["_sink", "uploads", id]) => self.received(id),
            (&Method::PUT, [_bucket, _, ..]) => self.put(request).await,
            _ => Err(Refusal::NotFound(path)),
        };
        answer.unwrap_or_else(|refusal| refusal.response())
    }

    async fn put(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
        let began = Instant::now();
        let (number, id) = part_of(request.uri().query().unwrap_or_default())?;
        let (mut crc32, mut size) = (Crc::new(Crc32IsoHdlc), 0);
        let mut md5 = self.likeness.md5.then(Md5::new);
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                crc32.update(&data);
                if let Some(md5) = &mut md5 {
                    md5.update(&data);
                }
                size += data.len() as u64;
                if let Some(pace) = self.likeness.pace {
                    let due = Duration::from_secs_f64(size as f64 / pace as f64);
                    sleep(due.saturating_sub(began.elapsed())).await;
                }
            }
        }
        let crc32 = crc32.finalize() as u32;
        let etag = match md5 {
            Some(md5) => hex::encode(md5.finalize()),
            None => format!("{crc32:032x}"),
        };
        let mut uploads = self.uploads();
        let upload = uploads.entry(id).or_insert_with(|| Upload {
            parts: BTreeMap::new(),
            puts: 0,
            began,
            ended: began,
        });
        upload.parts.insert(number, Part { size, crc32 });
        upload.puts += 1;
        upload.began = upload.began.min(began);
        upload.ended = Instant::now();
        let answer = Response::builder().header(header::ETAG, format!("\"{etag}\""));
        Ok(answer.body(Full::default()).unwrap_or_default())
    }

    fn received(&self, id: &str) -> Result<Response<Full<Bytes>>, Refusal> {
        let uploads = self.uploads();
        let upload = uploads.get(id);
        let upload = upload.ok_or_else(|| Refusal::NotFound(format!("the upload {id}")))?;
        let json = serde_json::json!(upload.received()).to_string();
        let answer = Response::builder().header(header::CONTENT_TYPE, "application/json");
        Ok(answer.body(Full::from(json)).unwrap_or_default())
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the part and its upload, by the query of a URL.
fn part_of(query: &str) -> Result<(u32, String), Refusal> {
    let value = |wanted| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let number = value("partNumber").and_then(|number| number.parse().ok());
    let number = number.filter(|number| PART_NUMBERS.contains(number));
    let number = number.ok_or(Refusal::InvalidArgument(
        "Part number must be an integer between 1 and 10000, inclusive",
    ))?;
    let id = value("uploadId").filter(|id| !id.is_empty());
    let id = id.ok_or(Refusal::InvalidArgument("This operation needs an uploadId"))?;
    Ok((number, id.to_owned()))
}

impl Refusal {
    fn response(&self) -> Response<Full<Bytes>> {
        let (status, code) = match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "NoSuchUpload"),
            Self::InvalidArgument(_) => (StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::Broken(_) => (StatusCode::BAD_REQUEST, "IncompleteBody"),
        };
        let xml = format!("<Error><Code>{code}</Code><Message>{self}</Message></Error>");
        let answer = Response::builder().status(status);
        let answer = answer.header(header::CONTENT_TYPE, "application/xml");
        answer.body(Full::from(xml)).unwrap_or_default()
    }
}
