//! What the relay calls: the cloud uploader's API, and S3.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpSocket,
    sync::watch,
    time::{sleep, timeout},
};

/// The caller and its secret, as the relay has them.
pub const CALLER: &str = "relay";
pub const SECRET: &str = "a secret of 32 characters, or so";

/// The time in which everything that a test waits for comes about.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A job, as the API describes its push.
#[derive(Clone)]
pub struct Job {
    pub size: u64,
    pub part_size: u64,
    /// Parts that are in S3 already.
    pub there: BTreeSet<u32>,
}

impl Job {
    pub fn of(size: u64, part_size: u64) -> Self {
        Self {
            size,
            part_size,
            there: BTreeSet::new(),
        }
    }

    fn count(&self) -> u32 {
        self.size.div_ceil(self.part_size) as u32
    }

    fn length(&self, number: u32) -> u64 {
        let before = u64::from(number - 1) * self.part_size;
        self.part_size.min(self.size - before)
    }
}

/// What becomes of a request.
#[derive(Clone)]
pub enum Outcome {
    Answer(StatusCode, &'static str),
    /// The connection is closed without an answer.
    HangUp,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A part that S3 has taken.
struct Part {
    job: u32,
    number: u32,
    length: u64,
    crc32: u32,
}

#[derive(Default)]
struct State {
    jobs: HashMap<u32, Job>,
    calls: Vec<Call>,
    parts: Vec<Part>,
    /// What the next requests get whose method and path begin like this.
    next: Vec<(String, Outcome)>,
    /// What all others get.
    always: Vec<(String, Outcome)>,
    /// URLs that were given, by job and part.
    urls: HashMap<(u32, u32), u32>,
    /// What is answered to calls that are passed through.
    passed: Option<Response<Bytes>>,
}

/// The stand-in for API and S3.
#[derive(Clone)]
pub struct Cloud {
    pub api: SocketAddr,
    pub s3: SocketAddr,
    state: Arc<Mutex<State>>,
    /// The parts whose bytes S3 does not read yet.
    held: watch::Sender<BTreeSet<u32>>,
}

/// A stand-in whose connections are refused so far.
pub struct Closed {
    cloud: Cloud,
    api: TcpSocket,
    s3: TcpSocket,
}

impl Closed {
    pub fn of(jobs: impl IntoIterator<Item = (u32, Job)>) -> Self {
        let (api, s3) = (bound(), bound());
        let cloud = Cloud {
            api: api.local_addr().unwrap(),
            s3: s3.local_addr().unwrap(),
            state: Arc::default(),
            held: watch::Sender::default(),
        };
        cloud.state().jobs.extend(jobs);
        Self { cloud, api, s3 }
    }

    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Opens the API and, after that time, S3.
    pub async fn open(self, before_s3: Duration) -> Cloud {
        self.cloud.listen(self.api);
        sleep(before_s3).await;
        self.cloud.listen(self.s3);
        self.cloud
    }
}

/// An address at which nobody listens yet.
fn bound() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket
}

impl Cloud {
    /// A stand-in that takes calls.
    pub async fn of(jobs: impl IntoIterator<Item = (u32, Job)>) -> Self {
        Closed::of(jobs).open(Duration::ZERO).await
    }

    fn listen(&self, socket: TcpSocket) {
        let listener = socket.listen(64).unwrap();
        let cloud = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let cloud = cloud.clone();
                let answer = service_fn(move |request| {
                    let cloud = cloud.clone();
                    async move { cloud.answer(request).await }
                });
                let stream = TokioIo::new(stream);
                tokio::spawn(http1::Builder::new().serve_connection(stream, answer));
            }
        });
    }

    /// Lets the next requests whose method and path begin with `call` end like that, in this order.
    pub fn next(&self, call: &str, outcomes: impl IntoIterator<Item = Outcome>) {
        let outcomes = outcomes
            .into_iter()
            .map(|outcome| (call.to_owned(), outcome));
        self.state().next.extend(outcomes);
    }

    /// Lets all requests whose method and path begin with `call` end like that.
    pub fn always(&self, call: &str, outcome: Outcome) {
        self.state().always.push((call.to_owned(), outcome));
    }

    /// What the API answers to a call that is passed through.
    pub fn answer_with(&self, answer: Response<Bytes>) {
        self.state().passed = Some(answer);
    }

    /// Lets S3 read no byte of these parts, until others are held.
    pub fn hold(&self, numbers: impl IntoIterator<Item = u32>) {
        self.held.send_replace(numbers.into_iter().collect());
    }

    /// The calls whose method and path begin with `call`.
    pub fn calls(&self, call: &str) -> Vec<Call> {
        let state = self.state();
        let calls = state.calls.iter();
        calls
            .filter(|made| format!("{} {}", made.method, made.path).starts_with(call))
            .cloned()
            .collect()
    }

    /// The numbers of the parts that S3 has taken, as they came.
    pub fn part_numbers(&self) -> Vec<u32> {
        self.state().parts.iter().map(|part| part.number).collect()
    }

    /// Asserts that S3 has these parts of an image, and that the API knows that it is complete.
    pub fn assert_has(&self, id: u32, image: &[u8], numbers: impl IntoIterator<Item = u32>) {
        let part_size = self.state().jobs[&id].part_size as usize;
        let expected = numbers.into_iter().map(|number| {
            let bytes = image.chunks(part_size).nth(number as usize - 1).unwrap();
            (number, bytes.len() as u64, crc32(bytes))
        });
        let state = self.state();
        let parts = state.parts.iter().filter(|part| part.job == id);
        let mut parts: Vec<_> = parts
            .map(|part| (part.number, part.length, part.crc32))
            .collect();
        parts.sort_unstable();
        assert_eq!(parts, expected.collect::<Vec<_>>());
        drop(state);
        let crc32 = BASE64_STANDARD.encode(crc32(image).to_be_bytes());
        let done = self.calls(&format!("POST /v1/jobs/{id}/push/done"));
        assert_eq!(done.last().unwrap().json(), json!({ "crc32": crc32 }));
    }

    /// The reasons for which the API was told to end a job.
    pub fn ends(&self, id: u32) -> Vec<String> {
        let calls = self.calls(&format!("POST /v1/jobs/{id}/push/abort"));
        let reasons = calls
            .iter()
            .map(|call| call.json()["reason"].as_str().unwrap().to_owned());
        reasons.collect()
    }

    /// Waits until something is so.
    pub async fn wait(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let so = async {
            while !is_so(self) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(WAIT_TIMEOUT, so).await.is_err() {
            panic!("not within {WAIT_TIMEOUT:?}: {what}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let mut call = Call {
            path: head.uri.to_string(),
            method: head.method,
            headers: head.headers,
            body: Bytes::new(),
        };
        let Some(url) = PartUrl::parse(&call.path) else {
            call.body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            return self.outcome(&call).unwrap_or_else(|| Ok(self.api(&call)));
        };
        match self.outcome(&call) {
            Some(outcome) => outcome,
            None => self.s3(&call, url, body).await,
        }
    }

    /// Notes a call. Gives what the test wants to become of it.
    fn outcome(&self, call: &Call) -> Option<io::Result<Response<Full<Bytes>>>> {
        let mut state = self.state();
        state.calls.push(call.clone());
        let line = format!("{} {}", call.method, call.path);
        let is_meant = |(begin, _): &(String, Outcome)| line.starts_with(begin);
        let outcome = match state.next.iter().position(is_meant) {
            Some(next) => state.next.remove(next).1,
            None => {
                let (_, outcome) = state.always.iter().find(|&always| is_meant(always))?;
                outcome.clone()
            }
        };
        Some(match outcome {
            Outcome::Answer(status, body) => Ok(answer(status, body)),
            Outcome::HangUp => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    }

    fn api(&self, call: &Call) -> Response<Full<Bytes>> {
        let credentials = BASE64_STANDARD.encode(format!("{CALLER}:{SECRET}"));
        let authorization = call.headers.get(header::AUTHORIZATION);
        if authorization.is_none_or(|value| *value != format!("Basic {credentials}")) {
            return answer(StatusCode::UNAUTHORIZED, r#"{"detail": "who are you?"}"#);
        }
        let mut state = self.state();
        let segments: Vec<&str> = call.path.split('/').collect();
        let ["", "v1", "jobs", id, "push", what @ ..] = segments.as_slice() else {
            let passed = state.passed.clone().map(|answer| answer.map(Full::new));
            return passed.unwrap_or_else(|| answer(StatusCode::NOT_FOUND, ""));
        };
        let id: u32 = id.parse().unwrap();
        let Some(job) = state.jobs.get(&id).cloned() else {
            return answer(
                StatusCode::NOT_FOUND,
                r#"{"detail": "there is no such job"}"#,
            );
        };
        let said = match (&call.method, what) {
            (&Method::GET, []) => {
                let missing = |number: &u32| !job.there.contains(number);
                json!({
                    "size": job.size,
                    "part_size": job.part_size,
                    "parts": job.count(),
                    "missing": (1..=job.count()).filter(missing).collect::<Vec<_>>(),
                    "done": false,
                })
            }
            (&Method::POST, ["parts"]) => {
                let asked = call.json();
                let numbers = asked["numbers"].as_array().unwrap().iter();
                let urls = numbers.map(|number| {
                    let number = number.as_u64().unwrap() as u32;
                    let given = state.urls.entry((id, number)).or_default();
                    // Each URL is another one, as the time is in the signature.
                    let url = format!("http://{}/s3/{id}/{number}?before={given}", self.s3);
                    *given += 1;
                    json!({"number": number, "size": job.length(number), "url": url})
                });
                json!({"parts": urls.collect::<Vec<_>>()})
            }
            (&Method::POST, ["done" | "abort"]) => json!({}),
            _ => return answer(StatusCode::NOT_FOUND, ""),
        };
        answer(StatusCode::OK, said.to_string())
    }

    /// Takes a part as S3 does: with the length in its signature, and of nobody who says who he is in another way, too (S3
    /// API reference, "Error responses": InvalidArgument).
    async fn s3(
        &self,
        call: &Call,
        url: PartUrl,
        mut body: Incoming,
    ) -> io::Result<Response<Full<Bytes>>> {
        let length = self.state().jobs[&url.job].length(url.number);
        let said = call.headers.get(header::CONTENT_LENGTH);
        if said.is_none_or(|said| *said != length.to_string()) {
            return Ok(answer(StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
        }
        if call.headers.contains_key(header::AUTHORIZATION) {
            return Ok(answer(StatusCode::BAD_REQUEST, "InvalidArgument"));
        }
        let mut held = self.held.subscribe();
        let released = held.wait_for(|held| !held.contains(&url.number));
        released.await.map_err(io::Error::other)?;
        let mut crc32 = Digest::new(CrcAlgorithm::Crc32IsoHdlc);
        let mut came = 0;
        while let Some(frame) = body.frame().await {
            let bytes = frame.map_err(io::Error::other)?.into_data();
            let bytes = bytes.unwrap_or_default();
            came += bytes.len() as u64;
            crc32.update(&bytes);
        }
        self.state().parts.push(Part {
            job: url.job,
            number: url.number,
            length: came,
            crc32: crc32.finalize() as u32,
        });
        Ok(answer(StatusCode::OK, ""))
    }
}

/// What is in the URL of a part.
struct PartUrl {
    job: u32,
    number: u32,
}

impl PartUrl {
    fn parse(path: &str) -> Option<Self> {
        let (part, _before) = path.strip_prefix("/s3/")?.split_once("?before=")?;
        let (job, number) = part.split_once('/')?;
        Some(Self {
            job: job.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}
