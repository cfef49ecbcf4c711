//! What the source server talks to.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    api::{Answer, Api, ApiError},
    job::JobId,
    push::{PushError, Pusher},
    settings::{SettingError, Settings},
    under_way::{Entry, NotListed, UnderWay},
};

/// More than any request has but an image, in bytes. API Gateway takes 10 MB.
const LARGEST_REQUEST: usize = 10 << 20;

/// The longest path and query that is sent as it is. API Gateway takes 10,240 bytes in a request line with its headers (API
/// Gateway developer guide, "Quotas for HTTP APIs").
const LONGEST_PATH: usize = 8_000;

/// The time in which a create call is tried again if it did not get through. The source server waits for 60 s.
const CREATE_BUDGET: Duration = Duration::from_secs(30);

/// The time in which jobs are ended whose images come in when the relay is stopped. systemd gives 90 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("the folder of STATE_DIRECTORY cannot be used: {0}")]
    State(io::Error),
    #[error("there is no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{0} cannot be listened to: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("no signals: {0}")]
    Signal(io::Error),
}

/// Why an image did not come through.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("the relay beside OBS was stopped while the image came in: upload it again")]
    Stopped,
}

const INTERRUPTED: &str =
    "the relay beside OBS was interrupted while the image came in: upload it again";

struct Relay {
    api: Api,
    pusher: Pusher,
    under_way: UnderWay,
    stopping: watch::Receiver<bool>,
}

/// Serves until it is told to stop. Images that come in then end their jobs, with the reason. Whoever tells it again does not
/// want to wait for that.
pub async fn run() -> Result<(), RunError> {
    let settings = Settings::from_env()?;
    let api = Api::new(&settings)?;
    let (stop, stopping) = watch::channel(false);
    let relay = Arc::new(Relay {
        pusher: Pusher::new(api.clone())?,
        api,
        under_way: UnderWay::at(&settings.state).map_err(RunError::State)?,
        stopping,
    });
    let listen = |error| RunError::Listen(settings.listen, error);
    let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    eprintln!("listening to {address}, for {}", settings.api);
    let mut connections = JoinSet::new();
    for entry in relay.under_way.left().map_err(RunError::State)? {
        let relay = Arc::clone(&relay);
        connections.spawn(async move { relay.end_listed(entry, INTERRUPTED).await });
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    loop {
        select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&relay).connection(stream));
                }
                Err(error) => {
                    eprintln!("no connection accepted: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let all = async {
        while connections.join_next().await.is_some() {}
        // The source server may have hung up on some.
        relay.under_way.worked_off().await;
    };
    select! {
        () = all => return Ok(()),
        () = sleep(STOP_TIMEOUT) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("some jobs are not ended yet: the next start does it");
    Ok(())
}

impl Relay {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // If it fails, the connection is only slower.
        let _ = stream.set_nodelay(true);
        let answer = service_fn(|request| {
            let relay = Arc::clone(&self);
            async move { Ok::<_, Infallible>(relay.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        // An error only says that the source server hung up.
        let _ = select! {
            done = &mut connection => done,
            () = self.stopped() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
    }

    /// Waits until the relay is told to stop.
    async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // It is an error that nobody is left who could tell.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().trim_end_matches('/');
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), segments.as_slice()) {
            (&Method::PUT, ["cloudupload", job]) => match job.parse() {
                Ok(job) => self.take_image(job, request).await,
                Err(error) => problem(StatusCode::NOT_FOUND, &format!("{error}")),
            },
            _ => self.pass_on(request).await,
        }
    }

    /// Takes an image in, and sends it on.
    async fn take_image(
        self: Arc<Self>,
        job: JobId,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let length = request.headers().get(CONTENT_LENGTH);
        let Some(length) = length.and_then(|length| length.to_str().ok()?.parse().ok()) else {
            return problem(
                StatusCode::LENGTH_REQUIRED,
                "the image needs a Content-Length",
            );
        };
        let entry = match self.under_way.add(job) {
            Ok(entry) => entry,
            Err(error @ NotListed::Already(_)) => {
                return problem(StatusCode::CONFLICT, &error.to_string());
            }
            Err(error @ NotListed::Io { .. }) => {
                self.end(job, &error.to_string()).await;
                return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
            }
        };
        // In a task of its own: it goes on if the source server hangs up after the last byte.
        let relay = Arc::clone(&self);
        let image = request.into_body();
        let taken = tokio::spawn(async move { relay.push(entry, image, length).await });
        match taken.await {
            Ok(Ok(())) => response(StatusCode::OK, "<status code=\"ok\" />\n"),
            Ok(Err(broken)) => problem(StatusCode::BAD_GATEWAY, &broken.to_string()),
            Err(panic) => {
                self.end(job, INTERRUPTED).await;
                problem(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string())
            }
        }
    }

    async fn push(&self, entry: Entry, image: Incoming, length: u64) -> Result<(), Broken> {
        let job = entry.job();
        let pushed = select! {
            pushed = self.pusher.push(job, image, length) => pushed.map_err(Broken::from),
            () = self.stopped() => Err(Broken::Stopped),
        };
        match &pushed {
            Ok(()) => {
                eprintln!("job {job}: {length} bytes sent on");
                entry.remove();
            }
            Err(broken) => {
                eprintln!("job {job}: {broken}");
                self.end_listed(entry, &broken.to_string()).await;
            }
        }
        pushed
    }

    /// Ends the job of an image that does not come. It stays on the list until nothing is left to do.
    async fn end_listed(&self, entry: Entry, reason: &str) {
        if self.end(entry.job(), reason).await {
            entry.remove();
        }
    }

    /// Ends a job. Answers whether it has ended, whoever did it.
    async fn end(&self, job: JobId, reason: &str) -> bool {
        match self.api.abort_push(job, reason).await {
            Ok(()) => {
                eprintln!("job {job} is ended: {reason}");
                true
            }
            Err(ApiError::Refused {
                status: StatusCode::NOT_FOUND | StatusCode::CONFLICT,
                sentence,
            }) => {
                eprintln!("job {job}: {sentence}");
                true
            }
            Err(error) => {
                eprintln!("job {job} cannot be ended, the next start tries it again: {error}");
                false
            }
        }
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, LARGEST_REQUEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                return problem(
                    StatusCode::BAD_REQUEST,
                    &format!("the request broke: {error}"),
                );
            }
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let is_for_all = head.uri.path().trim_end_matches('/') == "/cloudupload";
        let answer = if head.method == Method::POST && is_for_all && head.uri.query().is_none() {
            self.create(&head.headers, body).await
        } else if head.method == Method::GET && is_for_all && path.len() > LONGEST_PATH {
            self.list(&head.headers, head.uri.query().unwrap_or_default())
                .await
        } else {
            self.api
                .pass_on(head.method, path, &head.headers, body)
                .await
        };
        match answer {
            Ok(Answer {
                status,
                headers,
                body,
            }) => {
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
            Err(error) => problem(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }

    /// Lists more jobs than API Gateway takes in a URL: their numbers go in a form.
    async fn list(&self, headers: &HeaderMap, names: &str) -> Result<Answer, ApiError> {
        const PATH: &str = "/cloudupload?cmd=list";
        let mut headers = headers.clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        let names = Bytes::copy_from_slice(names.as_bytes());
        self.api.pass_on(Method::POST, PATH, &headers, names).await
    }

    /// Creates a job whose image will be pushed. A call that did not get through is sent again; one without an answer is not,
    /// as it may have made a job.
    async fn create(&self, headers: &HeaderMap, body: Bytes) -> Result<Answer, ApiError> {
        const PATH: &str = "/cloudupload?push=1";
        let began = Instant::now();
        loop {
            let sent = self.api.pass_on(Method::POST, PATH, headers, body.clone());
            match sent.await {
                Err(ApiError::Unreachable(error))
                    if error.is_connect() && began.elapsed() < CREATE_BUDGET =>
                {
                    sleep(Duration::from_secs(1)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// An error as OBS words it.
fn problem(status: StatusCode, summary: &str) -> Response<Full<Bytes>> {
    let summary = summary
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let code = status.as_u16();
    let xml = format!("<status code=\"{code}\">\n  <summary>{summary}</summary>\n</status>\n");
    response(status, xml)
}

fn response(status: StatusCode, xml: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(xml.into()));
    *response.status_mut() = status;
    let xml = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(CONTENT_TYPE, xml);
    response
}
