//! How OBS speaks: requests and answers as a real OBS backend has them.

pub mod answer;
mod job_list;
pub mod job_skeleton;
mod log_query;
pub mod operation;
pub mod parameters;
pub mod problem;
pub mod request;
pub mod xml;

use std::{sync::Arc, time::Duration};

use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    http::Method,
    tracing::{self, Instrument, Span},
};
use tokio::time::timeout;

use self::{
    answer::{Answer, Encoding},
    log_query::LogQuery,
    operation::Operation,
    problem::Problem,
    request::Request,
};
use crate::{
    api::{Access, Api},
    caller::Origin,
    page::{self, PageFile},
};

/// How long a request may take. API Gateway gives up on an answer after 30 s, and says so in JSON (API Gateway
/// developer guide, "Quotas for HTTP APIs").
const REQUEST_TIMEOUT: Duration = Duration::from_secs(28);

/// Answers a request. Whatever breaks on the way, the answer is XML.
pub async fn answer(api: Arc<Api>, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
    let origin = Origin::of(&event);
    let span = origin.span();
    answer_origin(api, origin, event).instrument(span).await
}

async fn answer_origin(
    api: Arc<Api>,
    origin: Origin,
    event: ApiGatewayV2httpRequest,
) -> ApiGatewayV2httpResponse {
    let method = event.request_context.http.method.clone();
    tracing::info!(%method, path = event.raw_path, "request");
    if let Some(file) = PageFile::requested(&event) {
        let mut response = match api.gate.check_network(&origin) {
            Ok(()) => file.answer(&event.headers),
            Err(refusal) => {
                let problem = Problem::from(refusal);
                log_problem(&problem);
                page::refusal(problem.status, problem.summary)
            }
        };
        if method == Method::HEAD {
            response.body = Some(Body::Empty);
        }
        return response;
    }
    let handled = async move {
        timeout(REQUEST_TIMEOUT, handle(&api, origin, event))
            .await
            .unwrap_or_else(|_| Err(too_slow()))
            .inspect_err(log_problem)
    };
    // In a task of its own, so that a panic ends only that.
    let answer = tokio::spawn(handled.in_current_span()).await;
    let mut response = answer::response(answer.unwrap_or_else(|panic| {
        tracing::error!("the request ended in a panic: {panic}");
        Err(Problem::with_status(
            500,
            "internal error: see the log of the function api",
        ))
    }));
    if method == Method::HEAD {
        response.body = Some(Body::Empty);
    }
    response
}

fn too_slow() -> Problem {
    let seconds = REQUEST_TIMEOUT.as_secs();
    Problem::with_status(504, format!("no answer within {seconds} s: try again"))
}

fn log_problem(problem: &Problem) {
    let Problem {
        status, summary, ..
    } = problem;
    if *status < 500 {
        tracing::info!(status, "refused: {summary}");
    } else {
        tracing::error!(status, "failed: {summary}");
    }
}

/// Nothing of a request is read before its caller is let in.
async fn handle(
    api: &Api,
    origin: Origin,
    event: ApiGatewayV2httpRequest,
) -> Result<Answer, Problem> {
    let caller = api.gate.admit(origin, &event.headers).await?;
    Span::current().record("caller", caller.known_as());
    tracing::info!("let in");
    let request = Request::from(event);
    let operation = Operation::of(&request, &api.service)?;
    perform(api.access(&caller), operation, request.encoding).await
}

async fn perform(
    access: Access<'_>,
    operation: Operation,
    encoding: Encoding,
) -> Result<Answer, Problem> {
    match operation {
        Operation::Create(new) => Ok(Answer::Xml(xml::job(&access.create(*new).await?.into()))),
        Operation::Submit(submission) => {
            Ok(Answer::Xml(xml::job(&access.submit(*submission).await?)))
        }
        // The functions fetch the image from OBS themselves.
        Operation::ReceiveImage(_) => Ok(Answer::Xml(xml::ok())),
        Operation::List(ids) => job_list::some(access, &ids, encoding).await,
        Operation::ListAll => job_list::all(access, encoding).await,
        Operation::Status(id) => Ok(Answer::Xml(xml::job(&access.status(id).await?))),
        Operation::Kill(id) => Ok(Answer::Xml(xml::job(&access.kill(id).await?))),
        Operation::Log(id, LogQuery::Part { range, follow }) => {
            Answer::log(access.log(id, range, follow).await?)
        }
        Operation::Log(id, LogQuery::Info) => {
            let info = access.log_info(id).await?;
            Ok(Answer::Xml(xml::log_directory(info.size, info.modified)))
        }
        Operation::Daemons(types) => Ok(Answer::Xml(xml::daemons(&types, access.started()))),
    }
}
