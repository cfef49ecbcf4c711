//! API Gateway's events, for tests.

use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpRequest};
use serde_json::json;

/// A request as API Gateway passes it on. The target is the path, decoded, and behind a `?` the query string as it was
/// sent.
pub fn event(
    method: &str,
    target: &str,
    content_type: &str,
    body: &[u8],
) -> ApiGatewayV2httpRequest {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = Body::Binary(body.to_owned());
    serde_json::from_value(json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": content_type, "x-request-id": "r-1"},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}},
        "body": body,
        "isBase64Encoded": true,
    }))
    .unwrap()
}

/// The sample of `events/`: a create call.
pub fn create_event() -> ApiGatewayV2httpRequest {
    serde_json::from_str(include_str!("../../../events/api.json")).unwrap()
}
