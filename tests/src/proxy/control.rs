//! The requests by which tests control the proxy, below `/_faults`.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{
    counts::CallCounts,
    rules::{Rule, RuleId, Rules},
};

/// No bucket can have this name, and no other service has such a path.
pub const ROOT: &str = "/_faults/";

type Answer = Result<Value, (StatusCode, String)>;

pub async fn answer(
    rules: &Rules,
    counts: &CallCounts,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (status, body) = match handle(rules, counts, request).await {
        Ok(body) => (StatusCode::OK, body),
        Err((status, error)) => (status, json!({ "error": error })),
    };
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        "application/json".parse().expect("a header value"),
    );
    answer
}

async fn handle(rules: &Rules, counts: &CallCounts, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let words: Vec<&str> = path.split('/').collect();
    match (&head.method, words.as_slice()) {
        (&Method::POST, ["rules"]) => {
            let body = body
                .collect()
                .await
                .map_err(|error| bad(error.to_string()))?
                .to_bytes();
            let rule: Rule =
                serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
            Ok(json!({ "rule": rules.add(rule) }))
        }
        (&Method::DELETE, ["rules"]) => Ok(json!({ "removed": rules.remove(None) })),
        (&Method::DELETE, ["rules", id]) => {
            let removed = rules.remove(Some(rule(id)?));
            Ok(json!({ "removed": removed }))
        }
        (&Method::GET, ["rules", id]) => {
            let status = rules.status(rule(id)?).ok_or_else(|| unknown(id))?;
            Ok(json!(status))
        }
        (&Method::POST, ["rules", id, "release"]) => match rules.release(rule(id)?) {
            true => Ok(json!({})),
            false => Err(unknown(id)),
        },
        (&Method::GET, ["calls"]) => {
            let job = head
                .uri
                .query()
                .and_then(|query| query.strip_prefix("job="));
            Ok(json!(counts.list(job)))
        }
        (method, _) => Err((
            StatusCode::NOT_FOUND,
            format!("no such request: {method} {}", head.uri),
        )),
    }
}

fn rule(id: &str) -> Result<RuleId, (StatusCode, String)> {
    id.parse().map(RuleId).map_err(|_| unknown(id))
}

fn unknown(id: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("no rule {id}"))
}

fn bad(error: String) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error)
}
