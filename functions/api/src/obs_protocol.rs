//! How OBS speaks: requests and answers as a real OBS backend has them.

mod answer;
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
    tracing::{self, Instrument},
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
    caller::Caller,
};

/// How long a request may take. API Gateway gives up on an answer after 30 s, and says so in JSON (API Gateway
/// developer guide, "Quotas for HTTP APIs").
const REQUEST_TIMEOUT: Duration = Duration::from_secs(28);

/// Answers a request. Whatever breaks on the way, the answer is XML.
pub async fn answer(api: Arc<Api>, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
    let caller = Caller::of(&event);
    let span = caller.span();
    answer_caller(api, caller, event).instrument(span).await
}

async fn answer_caller(
    api: Arc<Api>,
    caller: Caller,
    event: ApiGatewayV2httpRequest,
) -> ApiGatewayV2httpResponse {
    let method = event.request_context.http.method.clone();
    tracing::info!(%method, path = event.raw_path, "request");
    let handled = async move {
        let request = Request::from(event);
        timeout(REQUEST_TIMEOUT, handle(&api, &caller, &request))
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

async fn handle(api: &Api, caller: &Caller, request: &Request) -> Result<Answer, Problem> {
    let operation = Operation::of(request, &api.service)?;
    perform(api.access(caller), operation, request.encoding).await
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
