//! Takes requests, lets them fail, and passes them on.

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
    fault::Fault,
    rules::{Hit, Rules},
    seen::Seen,
};

/// How long a call is held at most.
const HOLD: Duration = Duration::from_secs(120);
/// Less than the emulator keeps a connection that nobody uses (75 s), so that it never ends one under a request.
const IDLE: Duration = Duration::from_secs(30);

/// In memory where somebody had to look into it, else as it comes.
type Body = Either<Full<Bytes>, Incoming>;

pub struct Proxy {
    upstream: Authority,
    client: Client<HttpConnector, Body>,
    rules: Rules,
    seen: Seen,
}

#[derive(Debug, thiserror::Error)]
#[error("not the address of an upstream: {0}")]
pub struct BadUpstream(String);

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HungUp;

/// A client's connection.
struct Line {
    client: SocketAddr,
    server: SocketAddr,
    /// Looked up once: the process at the other end stays the same.
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
                .pool_idle_timeout(IDLE)
                .build(connector),
            rules: Rules::default(),
            seen: Seen::default(),
        }))
    }

    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> ! {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    tokio::spawn(self.clone().connection(stream, client));
                }
                Err(error) => {
                    eprintln!("no connection: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, client: SocketAddr) {
        let Ok(server) = stream.local_addr() else {
            return;
        };
        // Without it only speed is lost.
        let _ = stream.set_nodelay(true);
        let line = Line {
            client,
            server,
            caller: OnceCell::new(),
        };
        let answer = service_fn(|request| self.answer(request, &line));
        // It ends with an error where a client hangs up or a fault drops the answer; both are to happen here.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        line: &Line,
    ) -> Result<Response<Body>, HungUp> {
        if request.uri().path().starts_with(control::ROOT) {
            let answer = control::answer(&self.rules, &self.seen, request).await;
            return Ok(answer.map(Either::Left));
        }
        let (head, body) = request.into_parts();
        // Not a call: somebody looks whether there is an answer.
        let Some(service) = call::service(&head.headers) else {
            return Ok(self.pass_on(head, Either::Right(body)).await);
        };
        let service = service.to_owned();
        // What is large goes to S3, and through here as it comes.
        let (text, body) = if service == "s3" {
            (Bytes::new(), Either::Right(body))
        } else {
            let text = body.collect().await.map_err(|_| HungUp)?.to_bytes();
            (text.clone(), Either::Left(Full::new(text)))
        };
        let call = Call::of(&service, &head, &text);
        let caller = line.caller().await;
        let asked = self.seen.note(caller, &call, &text);
        let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let Some(hit) = self
            .rules
            .hit(&asked, [path, &String::from_utf8_lossy(&text)])
        else {
            return Ok(self.pass_on(head, body).await);
        };
        let name = |is: &Option<String>| is.clone().unwrap_or_else(|| "-".to_owned());
        eprintln!(
            "rule {}: {:?} for {call} of {}, job {}",
            hit.rule.0,
            hit.fault,
            name(&asked.function),
            name(&asked.job)
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
                // To its end: a client that still sends would see a broken connection instead.
                while let Some(frame) = body.frame().await {
                    if frame.is_err() {
                        return Err(HungUp);
                    }
                }
                let answer = hit.fault.answer(service).ok_or(HungUp)?;
                Ok(answer.map(Either::Left))
            }
            Fault::Timeout => {
                self.pass_on(head, body).await;
                // Until the client hangs up, which drops this.
                pending().await
            }
            Fault::DropAnswer => {
                self.pass_on(head, body).await;
                Err(HungUp)
            }
            Fault::Kill => {
                self.pass_on(head, body).await;
                kill(caller);
                Err(HungUp)
            }
            Fault::KillBefore => {
                kill(caller);
                Err(HungUp)
            }
            Fault::Hold => {
                // Late or released, it goes on.
                let _ = timeout(HOLD, hit.released).await;
                Ok(self.pass_on(head, body).await)
            }
        }
    }

    /// The upstream's answer; where it has none, a 502 that says why.
    async fn pass_on(&self, head: Parts, body: Body) -> Response<Body> {
        match self.ask(head, body).await {
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

    /// The `Host` stays what the client sent, which is what it has signed.
    async fn ask(
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

impl Line {
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
