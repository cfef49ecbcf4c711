//! Takes requests, makes them fail or forwards them.

use std::{error::Error, future::pending, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    http::{
        request::Parts,
        uri::{Authority, PathAndQuery, Scheme},
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    call::{self, Call},
    caller::Caller,
    control,
    counts::CallCounts,
    fault::Fault,
    rules::{Hit, Rules},
};

/// A call that is held this long goes on.
const HOLD_LIMIT: Duration = Duration::from_secs(120);
/// Shorter than the time for which the emulator keeps an idle connection (75 s), so that it never closes one just as a
/// request is sent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// In memory if the proxy had to read it, streamed otherwise.
type Body = Either<Full<Bytes>, Incoming>;

pub struct Proxy {
    upstream: Authority,
    client: Client<HttpConnector, Body>,
    rules: Rules,
    counts: CallCounts,
}

#[derive(Debug, thiserror::Error)]
#[error("not the address of an upstream: {0}")]
pub struct BadUpstream(String);

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HungUp;

/// A client's connection.
struct Connection {
    client: SocketAddr,
    server: SocketAddr,
    /// Looked up once, as the process at the other end stays the same.
    caller: OnceCell<Option<Caller>>,
}

impl Proxy {
    /// A proxy for the AWS at a URL such as `http://127.0.0.1:4566`.
    pub fn new(upstream: &str) -> Result<Arc<Self>, BadUpstream> {
        let authority = match upstream.parse::<Uri>() {
            Ok(uri) if uri.scheme() == Some(&Scheme::HTTP) => uri.into_parts().authority,
            _ => None,
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Arc::new(Self {
            upstream: authority.ok_or_else(|| BadUpstream(upstream.to_owned()))?,
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(connector),
            rules: Rules::default(),
            counts: CallCounts::default(),
        }))
    }

    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> ! {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    tokio::spawn(self.clone().serve_connection(stream, client));
                }
                Err(error) => {
                    eprintln!("no connection accepted: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream, client: SocketAddr) {
        let Ok(server) = stream.local_addr() else {
            return;
        };
        // If it fails, the connection is only slower.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            client,
            server,
            caller: OnceCell::new(),
        };
        let answer = service_fn(|request| self.answer(request, &connection));
        // An error only says that the client hung up or a fault dropped the answer, which is as intended.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Result<Response<Body>, HungUp> {
        if request.uri().path().starts_with(control::ROOT) {
            let answer = control::answer(&self.rules, &self.counts, request).await;
            return Ok(answer.map(Either::Left));
        }
        let (head, body) = request.into_parts();
        // A request without a signature is not a call, but a look whether the emulator answers.
        let Some(service) = call::service(&head.headers) else {
            return Ok(self.forward(head, Either::Right(body)).await);
        };
        let service = service.to_owned();
        // Large bodies go to S3, and are streamed.
        let (text, body) = if service == "s3" {
            (Bytes::new(), Either::Right(body))
        } else {
            let text = body.collect().await.map_err(|_| HungUp)?.to_bytes();
            (text.clone(), Either::Left(Full::new(text)))
        };
        let call = Call::of(&service, &head, &text);
        let caller = connection.caller().await;
        let attributed = self.counts.add(caller, &call, &text);
        let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let Some(hit) = self
            .rules
            .hit(&attributed, [path, &String::from_utf8_lossy(&text)])
        else {
            return Ok(self.forward(head, body).await);
        };
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
        eprintln!(
            "rule {}: {:?} for {call} of {}, job {}",
            hit.rule.0,
            hit.fault,
            name(&attributed.function),
            name(&attributed.job)
        );
        self.fail(hit, &service, caller, head, body).await
    }

    async fn fail(
        &self,
        hit: Hit,
        service: &str,
        caller: Option<&Caller>,
        head: Parts,
        mut body: Body,
    ) -> Result<Response<Body>, HungUp> {
        match hit.fault {
            Fault::Throttle | Fault::ServerError | Fault::AccessDenied => {
                // The body is read to its end: a client that still sends would see a broken connection, no answer.
                while let Some(frame) = body.frame().await {
                    if frame.is_err() {
                        return Err(HungUp);
                    }
                }
                let answer = hit.fault.answer(service).ok_or(HungUp)?;
                Ok(answer.map(Either::Left))
            }
            Fault::Timeout => {
                self.forward(head, body).await;
                // Until the client hangs up, which drops this.
                pending().await
            }
            Fault::DropAnswer => {
                self.forward(head, body).await;
                Err(HungUp)
            }
            Fault::Kill => {
                self.forward(head, body).await;
                kill(caller);
                Err(HungUp)
            }
            Fault::KillBefore => {
                kill(caller);
                Err(HungUp)
            }
            Fault::Hold => {
                // When the limit is reached, the call goes on as if it were released.
                let _ = timeout(HOLD_LIMIT, hit.released).await;
                Ok(self.forward(head, body).await)
            }
        }
    }

    /// The upstream's answer, or a 502 that says why there is none.
    async fn forward(&self, head: Parts, body: Body) -> Response<Body> {
        match self.send_upstream(head, body).await {
            Ok(answer) => answer.map(Either::Right),
            Err(error) => {
                eprintln!("{}: {error}", self.upstream);
                let text = format!("{}: {error}\n", self.upstream);
                let mut answer = Response::new(Either::Left(Full::from(text)));
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            }
        }
    }

    /// Leaves the `Host` as the client sent it, as the client has signed it.
    async fn send_upstream(
        &self,
        mut head: Parts,
        body: Body,
    ) -> Result<Response<Incoming>, Box<dyn Error + Send + Sync>> {
        let mut uri = head.uri.into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.upstream.clone());
        head.uri = Uri::from_parts(uri)?;
        Ok(self.client.request(Request::from_parts(head, body)).await?)
    }
}

impl Connection {
    async fn caller(&self) -> Option<&Caller> {
        let (client, server) = (self.client, self.server);
        let found = self
            .caller
            .get_or_init(|| async move {
                let look = spawn_blocking(move || Caller::find(client, server));
                look.await.expect("the look does not panic")
            })
            .await;
        found.as_ref()
    }
}

fn kill(caller: Option<&Caller>) {
    if let Some(caller) = caller
        && let Err(error) = caller.kill()
    {
        eprintln!("{caller:?}: {error}");
    }
}
