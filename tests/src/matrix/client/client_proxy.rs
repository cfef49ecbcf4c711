//! A proxy that a client takes for the service and for S3. It passes calls on, and breaks one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use super::{AWAY, ClientFault, PUT};
use crate::environment::env_var;

pub struct ClientProxy {
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    /// The API's address, without the name and the secret of a caller.
    service: String,
    url: String,
    http: reqwest::Client,
    fault: Option<(String, ClientFault)>,
    hit: watch::Sender<bool>,
    released: watch::Sender<bool>,
    away: watch::Sender<()>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    calls: BTreeMap<String, u32>,
    hits: u32,
    /// The address of S3, as it stands in the URLs of parts.
    storage: String,
    /// Whether connections that are there get no answer. There are no new ones.
    is_away: bool,
    /// The process of the client.
    client: Option<Pid>,
}

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HungUp;

impl ClientProxy {
    /// A proxy that breaks a call in this way.
    pub async fn start(fault: Option<(&str, ClientFault)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let url = format!("http://{address}");
        let shared = Arc::new(Shared {
            service: service().origin().ascii_serialization(),
            url: url.clone(),
            http: reqwest::Client::new(),
            fault: fault.map(|(call, fault)| (call.to_owned(), fault)),
            hit: watch::Sender::new(false),
            released: watch::Sender::new(false),
            away: watch::Sender::new(()),
            seen: Mutex::default(),
        });
        let server = tokio::spawn(Arc::clone(&shared).serve(listener));
        Self {
            url,
            shared,
            server,
        }
    }

    /// Says which process is to be killed if that is the fault.
    pub fn set_client(&self, pid: Option<u32>) {
        let pid = pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        self.shared.seen().client = pid;
    }

    /// Whether the client's process was killed.
    pub fn has_killed_client(&self) -> bool {
        self.shared.seen().client.is_none()
    }

    /// Waits until the fault has hit.
    pub async fn hit(&self) {
        let _ = self.shared.hit.subscribe().wait_for(|hit| *hit).await;
    }

    /// Lets a call go on that waits for what others do.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    pub fn hits(&self) -> u32 {
        self.shared.seen().hits
    }

    /// The calls that were made, whatever job they were about.
    pub fn calls(&self) -> BTreeSet<String> {
        self.shared.seen().calls.keys().cloned().collect()
    }
}

impl Drop for ClientProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder of the lock panics")
    }

    async fn serve(self: Arc<Self>, mut listener: TcpListener) {
        let mut away = self.away.subscribe();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(Arc::clone(&self).serve_connection(stream))),
                    Err(error) => panic!("no connection accepted: {error}"),
                },
                _ = away.changed() => {
                    let address = listener.local_addr().expect("a listener has an address");
                    drop(listener);
                    sleep(AWAY).await;
                    self.seen().is_away = false;
                    listener = TcpListener::bind(address).await.expect("the port is still free");
                }
            }
        }
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream) {
        // If it fails, the connection is only slower.
        let _ = stream.set_nodelay(true);
        let answer = service_fn(|request| self.answer(request));
        // An error only says that the client hung up, or that a fault dropped the answer.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HungUp> {
        let (head, body) = request.into_parts();
        let call = name_of(&head);
        let Some(fault) = self.fault_of(&call)? else {
            return self.forward(&call, head, body).await;
        };
        match fault {
            ClientFault::Broken | ClientFault::Away => Err(HungUp),
            ClientFault::AnswerLost => {
                self.forward(&call, head, body).await?;
                Err(HungUp)
            }
            ClientFault::Silent => {
                self.forward(&call, head, body).await?;
                // Until the client hangs up, which drops this.
                std::future::pending().await
            }
            ClientFault::Unavailable => {
                // The body is read to its end: a client that still sends would see a broken connection, no answer.
                let _ = body.collect().await;
                Ok(unavailable(&call))
            }
            ClientFault::Expired => {
                let _ = body.collect().await;
                Ok(answer(StatusCode::FORBIDDEN, EXPIRED))
            }
            ClientFault::KilledBefore => {
                self.kill_client();
                Err(HungUp)
            }
            ClientFault::KilledAfter => {
                self.forward(&call, head, body).await?;
                self.kill_client();
                Err(HungUp)
            }
            ClientFault::Second | ClientFault::JobKilled => {
                let mut released = self.released.subscribe();
                let _ = released.wait_for(|released| *released).await;
                self.forward(&call, head, body).await
            }
        }
    }

    /// The fault that hits this call: the first such call, and of the puts the third, so that there are some before it.
    fn fault_of(&self, call: &str) -> Result<Option<ClientFault>, HungUp> {
        let mut seen = self.seen();
        if seen.is_away {
            return Err(HungUp);
        }
        let count = seen.calls.entry(call.to_owned()).or_default();
        *count += 1;
        let number = if call == PUT { 3 } else { 1 };
        let is_it = *count == number;
        let Some((_, fault)) = self.fault.as_ref().filter(|(of, _)| is_it && of == call) else {
            return Ok(None);
        };
        seen.hits += 1;
        if *fault == ClientFault::Away {
            seen.is_away = true;
            self.away.send_replace(());
        }
        self.hit.send_replace(true);
        Ok(Some(*fault))
    }

    fn kill_client(&self) {
        let client = self.seen().client.take();
        let client = client.expect("the client's process is known");
        kill_process(client, Signal::KILL).expect("the client runs");
    }

    /// The answer of the service, or of S3. `Host` is as the URL of the part says, which is signed.
    async fn forward(
        &self,
        call: &str,
        head: Parts,
        body: Incoming,
    ) -> Result<Response<Full<Bytes>>, HungUp> {
        let body = body.collect().await.map_err(|_| HungUp)?.to_bytes();
        let base = match call {
            PUT => self.seen().storage.clone(),
            _ => self.service.clone(),
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self.http.request(head.method, format!("{base}{path}"));
        let request = request.headers(passed(head.headers)).body(body);
        let answer = request.send().await.map_err(|_| HungUp)?;
        let (status, headers) = (answer.status(), passed(answer.headers().clone()));
        let mut body = answer.bytes().await.map_err(|_| HungUp)?;
        if call.ends_with("/push/parts") {
            body = self.lead_here(&body);
        }
        let mut response = Response::new(Full::new(body));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }

    /// Makes the URLs of parts lead to this proxy.
    fn lead_here(&self, body: &Bytes) -> Bytes {
        let Ok(mut json) = serde_json::from_slice::<Value>(body) else {
            return body.clone();
        };
        for part in json["parts"].as_array_mut().into_iter().flatten() {
            let url = part["url"].as_str().expect("a part has a URL");
            let parsed = Url::parse(url).expect("the URL of a part is one");
            let storage = parsed.origin().ascii_serialization();
            part["url"] = url.replacen(&storage, &self.url, 1).into();
            self.seen().storage = storage;
        }
        json.to_string().into()
    }
}

/// The API's address, with the name and the secret of OBS's caller.
pub fn service() -> Url {
    Url::parse(&env_var("CLOUDUPLOAD_URL")).expect("CLOUDUPLOAD_URL is a URL")
}

/// A call by its method and path, whatever job it is about.
fn name_of(head: &Parts) -> String {
    let path = head.uri.path();
    if head.method == Method::PUT && !path.starts_with("/v1/") {
        return PUT.to_owned();
    }
    let is_number =
        |segment: &&str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let segments = path.split('/');
    let segments = segments.map(|segment| if is_number(&segment) { "N" } else { segment });
    format!("{} {}", head.method, Vec::from_iter(segments).join("/"))
}

/// The headers of the message, without those of the connection.
fn passed(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        hyper::header::CONNECTION,
    ] {
        headers.remove(name);
    }
    headers
}

/// API Gateway's answer (API Gateway developer guide, "ClientProxy response types"), or S3's (S3 API reference, "Error responses").
fn unavailable(call: &str) -> Response<Full<Bytes>> {
    let text = match call {
        PUT => {
            "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        }
        _ => r#"{"message":"Service Unavailable"}"#,
    };
    answer(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// S3's answer to a URL after its time (S3 user guide, "Troubleshooting presigned URLs").
const EXPIRED: &str =
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";

fn answer(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
}
