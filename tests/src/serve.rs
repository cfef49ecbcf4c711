//! What the sinks have in common: HTTP on a port of this machine.

use std::{convert::Infallible, env, future::Future, process::ExitCode};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Answers all requests of all connections, until no more can be accepted.
pub(crate) async fn serve<Answer, Answered>(listener: TcpListener, answer: Answer) -> ExitCode
where
    Answer: Fn(Request<Incoming>) -> Answered + Clone + Send + 'static,
    Answered: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, answer.clone()))),
            Err(error) => return fail(&error.to_string()),
        }
    }
}

async fn connection<Answer, Answered>(stream: TcpStream, answer: Answer)
where
    Answer: Fn(Request<Incoming>) -> Answered + Send,
    Answered: Future<Output = Response<Full<Bytes>>> + Send,
{
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    // A client that hangs up is no news.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// Listens to a port of this machine, which a command line names.
pub async fn listen(port: &str) -> Result<TcpListener, ExitCode> {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    listener.map_err(|error| fail(&format!("port {port} of 127.0.0.1: {error}")))
}

/// Says why this program ends.
pub fn fail(what: &str) -> ExitCode {
    let program = env::args().next().unwrap_or_default();
    eprintln!("{program}: {what}");
    ExitCode::FAILURE
}
