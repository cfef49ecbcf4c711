//! The part of the EBS direct APIs that a writer sees, as cheap as it can be: it keeps no data, only the checksum of
//! each block. Writers are measured with it. It is not for tests of behaviour: the emulator is as strict as AWS.
//!
//! | request | what |
//! |---|---|
//! | `POST /snapshots` | StartSnapshot: unencrypted, pending |
//! | `PUT /snapshots/snap-1/blocks/7` | PutSnapshotBlock: the block's SHA-256 must be the one in its header |
//! | `POST /snapshots/completion/snap-1` | CompleteSnapshot: the number of blocks must be right, and so must a checksum |
//! | `GET /_sink/snapshots/snap-1` | a [`Written`]: what was written into the snapshot |
//!
//! Source: EBS direct API reference. Nothing is authenticated.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::serve::serve;

/// Bytes of a block.
const BLOCK: u64 = 512 << 10;
/// Blocks in a GiB.
const BLOCKS_PER_GIB: u64 = (1 << 30) / BLOCK;

/// Takes blocks, and forgets them.
#[derive(Debug, Default)]
pub struct Sink {
    snapshots: Mutex<HashMap<String, Snapshot>>,
}

#[derive(Debug)]
struct Snapshot {
    /// Blocks of the volume.
    volume: u64,
    /// SHA-256 of each block.
    digests: BTreeMap<u64, [u8; 32]>,
    puts: u64,
    is_complete: bool,
}

/// What was written into a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub blocks: u64,
    /// More than the blocks if one was written twice.
    pub puts: u64,
    /// SHA-256 of the checksums of all blocks in their order, as EBS makes it (`LINEAR`), in base64.
    pub checksum: String,
    pub complete: bool,
}

/// A refusal, by AWS's name for it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    NotFound(String),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
}

impl Snapshot {
    fn written(&self) -> Written {
        let mut linear = Sha256::new();
        for digest in self.digests.values() {
            linear.update(digest);
        }
        Written {
            blocks: self.digests.len() as u64,
            puts: self.puts,
            checksum: BASE64_STANDARD.encode(linear.finalize()),
            complete: self.is_complete,
        }
    }
}

impl Sink {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> ExitCode {
        serve(listener, move |request| Arc::clone(&self).answer(request)).await
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let answer = match (&method, &parts[..]) {
            (&Method::PUT, ["snapshots", id, "blocks", index]) => {
                self.put(id, index, request).await
            }
            (&Method::POST, ["snapshots"]) => self.start(request).await,
            (&Method::POST, ["snapshots", "completion", id]) => {
                self.complete(id, request.headers())
            }
            (&Method::GET, ["_sink", "snapshots", id]) => self.written(id),
            _ => Err(Refusal::NotFound(format!("nothing is at {method} {path}"))),
        };
        answer.unwrap_or_else(|refusal| refusal.response())
    }

    async fn start(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
        let body = request.into_body().collect().await?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let gib = body["VolumeSize"].as_u64();
        let gib = gib.ok_or_else(|| Refusal::Validation("VolumeSize is missing".to_owned()))?;
        let mut snapshots = self.snapshots();
        let id = format!("snap-{:017x}", snapshots.len() + 1);
        let snapshot = Snapshot {
            volume: gib * BLOCKS_PER_GIB,
            digests: BTreeMap::new(),
            puts: 0,
            is_complete: false,
        };
        snapshots.insert(id.clone(), snapshot);
        let started = json!({
            "SnapshotId": id, "OwnerId": "000000000000", "Status": "pending", "VolumeSize": gib, "BlockSize": BLOCK,
            "StartTime": 0, "SseType": "none",
        });
        Ok(json_response(StatusCode::CREATED, &started))
    }

    async fn put(
        &self,
        id: &str,
        index: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let checksum = header(request.headers(), "x-amz-checksum")?.to_owned();
        let index: u64 = index
            .parse()
            .map_err(|_| Refusal::Validation(format!("{index} is no block")))?;
        let (mut hash, mut len) = (Sha256::new(), 0);
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                hash.update(&data);
                len += data.len() as u64;
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        if len != BLOCK || BASE64_STANDARD.encode(digest) != checksum {
            let wrong =
                format!("block {index}: {len} bytes, which do not have the checksum {checksum}");
            return Err(Refusal::Validation(wrong));
        }
        let mut snapshots = self.snapshots();
        let snapshot = pending(&mut snapshots, id)?;
        if index >= snapshot.volume {
            return Err(Refusal::Validation(format!(
                "block {index} is past the volume's end"
            )));
        }
        snapshot.digests.insert(index, digest);
        snapshot.puts += 1;
        let response = Response::builder()
            .status(StatusCode::CREATED)
            .header("x-amz-Checksum", checksum)
            .header("x-amz-Checksum-Algorithm", "SHA256")
            .body(Full::default());
        Ok(response.unwrap_or_default())
    }

    fn complete(&self, id: &str, headers: &HeaderMap) -> Result<Response<Full<Bytes>>, Refusal> {
        let mut snapshots = self.snapshots();
        let snapshot = pending(&mut snapshots, id)?;
        let written = snapshot.written();
        let count = header(headers, "x-amz-changedblockscount")?;
        if count != written.blocks.to_string() {
            let wrong = format!("{id} has {} changed blocks, not {count}", written.blocks);
            return Err(Refusal::Validation(wrong));
        }
        if let Ok(checksum) = header(headers, "x-amz-checksum")
            && checksum != written.checksum
        {
            let wrong = format!(
                "the checksum of {id} is {}, not {checksum}",
                written.checksum
            );
            return Err(Refusal::Validation(wrong));
        }
        snapshot.is_complete = true;
        Ok(json_response(
            StatusCode::ACCEPTED,
            &json!({"Status": "completed"}),
        ))
    }

    fn written(&self, id: &str) -> Result<Response<Full<Bytes>>, Refusal> {
        let snapshots = self.snapshots();
        let snapshot = snapshots.get(id).ok_or_else(|| not_found(id))?;
        Ok(json_response(StatusCode::OK, &json!(snapshot.written())))
    }

    fn snapshots(&self) -> MutexGuard<'_, HashMap<String, Snapshot>> {
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn pending<'s>(
    snapshots: &'s mut HashMap<String, Snapshot>,
    id: &str,
) -> Result<&'s mut Snapshot, Refusal> {
    match snapshots.get_mut(id) {
        Some(snapshot) if !snapshot.is_complete => Ok(snapshot),
        Some(_) => Err(Refusal::Validation(format!("{id} is not pending"))),
        None => Err(not_found(id)),
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::NotFound(format!("there is no snapshot {id}"))
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Refusal> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| Refusal::Validation(format!("the header {name} is missing")))
}

fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header("Content-Type", "application/json");
    response
        .body(Full::from(body.to_string()))
        .unwrap_or_default()
}

impl Refusal {
    fn response(&self) -> Response<Full<Bytes>> {
        let (status, code) = match self {
            Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            Refusal::Validation(_) | Refusal::Broken(_) => {
                (StatusCode::BAD_REQUEST, "ValidationException")
            }
        };
        let mut response = json_response(status, &json!({"Message": self.to_string()}));
        let code = hyper::header::HeaderValue::from_static(code);
        response.headers_mut().insert("x-amzn-ErrorType", code);
        response
    }
}
