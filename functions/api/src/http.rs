//! From API Gateway's event to the answer, whichever protocol the request speaks.

use std::{sync::Arc, time::Duration};

use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    http::Method,
    tracing::{self, Instrument, Span},
};
use tokio::time::timeout;

use crate::{
    api::Api,
    caller::Origin,
    json_protocol,
    obs_protocol::{self, problem::Problem, request::Request},
};

/// How long a request may take. API Gateway gives up on an answer after 30 s, and says so in JSON (API Gateway
/// developer guide, "Quotas for HTTP APIs").
const REQUEST_TIMEOUT: Duration = Duration::from_secs(28);

/// How requests and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// That of OBS's own cloud uploader.
    Obs,
    /// That of the users of this service.
    Json,
}

impl Protocol {
    fn of(event: &ApiGatewayV2httpRequest) -> Self {
        match json_protocol::is_for(event.raw_path.as_deref().unwrap_or_default()) {
            true => Protocol::Json,
            false => Protocol::Obs,
        }
    }

    fn problem(self, problem: Problem) -> ApiGatewayV2httpResponse {
        match self {
            Protocol::Obs => obs_protocol::answer::response(Err(problem)),
            Protocol::Json => json_protocol::problem(&problem),
        }
    }
}

/// Answers a request. Whatever breaks on the way, the answer is one of the request's protocol.
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
    let protocol = Protocol::of(&event);
    let method = event.request_context.http.method.clone();
    tracing::info!(%method, path = event.raw_path, "request");
    let handled = async move {
        timeout(REQUEST_TIMEOUT, handle(&api, protocol, origin, event))
            .await
            .unwrap_or_else(|_| Err(too_slow()))
            .inspect_err(log_problem)
    };
    // In a task of its own, so that a panic ends only that.
    let answer = tokio::spawn(handled.in_current_span()).await;
    let answer = answer.unwrap_or_else(|panic| {
        tracing::error!("the request ended in a panic: {panic}");
        Err(Problem::with_status(
            500,
            "internal error: see the log of the function api",
        ))
    });
    let mut response = answer.unwrap_or_else(|problem| protocol.problem(problem));
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
    protocol: Protocol,
    origin: Origin,
    event: ApiGatewayV2httpRequest,
) -> Result<ApiGatewayV2httpResponse, Problem> {
    let caller = api.gate.admit(origin, &event.headers).await?;
    Span::current().record("caller", caller.known_as());
    tracing::info!("let in");
    let request = Request::from(event);
    let access = api.access(&caller);
    match protocol {
        Protocol::Obs => {
            let operation = obs_protocol::operation::Operation::of(&request, &api.service)?;
            let answer = obs_protocol::perform(access, operation, request.encoding).await?;
            Ok(obs_protocol::answer::response(Ok(answer)))
        }
        Protocol::Json => {
            let operation = json_protocol::operation::Operation::of(&request)?;
            json_protocol::perform(access, operation).await
        }
    }
}
