//! What a caller asks, out of API Gateway's event.

use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    http::{HeaderMap, Method, header::CONTENT_TYPE},
};
use percent_encoding::percent_decode_str;

use crate::{answer::Problem, query::Parameters};

/// A request with what of it means something here.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    path: String,
    query: String,
    /// Whether the body is parameters.
    is_form: bool,
    pub body: Vec<u8>,
    /// The caller's id for the request, to find it in both logs.
    pub id: String,
}

impl From<ApiGatewayV2httpRequest> for Request {
    fn from(event: ApiGatewayV2httpRequest) -> Self {
        let header = |headers: &HeaderMap, name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let content_type = header(&event.headers, CONTENT_TYPE.as_str());
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Self {
            is_form: media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded"),
            id: header(&event.headers, "x-request-id"),
            method: event.request_context.http.method,
            path: event.raw_path.unwrap_or_default(),
            query: event.raw_query_string.unwrap_or_default(),
            body: event
                .body
                .map(|body| Body::from_maybe_encoded(event.is_base64_encoded, &body).to_vec())
                .unwrap_or_default(),
        }
    }
}

impl Request {
    /// The path, decoded as OBS does: as a whole, before it is split.
    pub fn path(&self) -> Result<String, Problem> {
        percent_decode_str(&self.path)
            .decode_utf8()
            .map(Into::into)
            .map_err(|_| Problem::of_status(400, "path is not utf-8"))
    }

    /// The parameters in the query string.
    pub fn query(&self) -> Result<Parameters, Problem> {
        Parameters::parse(&self.query)
    }

    /// The parameters in the query string and, behind them, those of a form in the body.
    pub fn parameters(&self) -> Result<Parameters, Problem> {
        if !(self.is_form && self.method == Method::POST) {
            return self.query();
        }
        let form = String::from_utf8_lossy(&self.body);
        Parameters::parse(&format!("{}&{}", self.query, form.trim_end()))
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A request as API Gateway would pass it on; the target is a path and, behind a `?`, a query string.
    pub fn request(method: &str, target: &str, content_type: &str, body: &[u8]) -> Request {
        event(method, target, content_type, body).into()
    }

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
            "requestContext": {"http": {"method": method, "path": path}},
            "body": body,
            "isBase64Encoded": true,
        }))
        .unwrap()
    }

    #[test]
    fn the_sample_event_is_a_create_call() {
        let event = include_str!("../../../events/api.json");
        let event: ApiGatewayV2httpRequest = serde_json::from_str(event).unwrap();
        let request = Request::from(event);
        assert_eq!(
            (&request.method, request.path().unwrap().as_str()),
            (&Method::POST, "/cloudupload")
        );
        assert_eq!(
            request.query().unwrap().get("project"),
            Some("Cloud:Images")
        );
        assert!(request.body.starts_with(br#"{"arn""#));
        assert!(!request.is_form);
    }

    #[test]
    fn a_form_is_read_behind_the_query() {
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        let parameters = request("POST", "/cloudupload/1?a=1", form, b"cmd=kill&a=2\n")
            .parameters()
            .unwrap();
        assert_eq!(parameters.get("cmd"), Some("kill"));
        assert_eq!(parameters.all("a").collect::<Vec<_>>(), ["1", "2"]);
        for (method, content_type) in [("GET", form), ("POST", "text/plain"), ("POST", "")] {
            let request = request(method, "/cloudupload/1", content_type, b"cmd=kill");
            assert_eq!(request.parameters().unwrap(), Parameters::default());
        }
    }

    #[test]
    fn a_path_is_decoded() {
        let path = |target| request("GET", target, "", b"").path();
        assert_eq!(
            path("/cloudupload/1%2F_log").unwrap(),
            "/cloudupload/1/_log"
        );
        assert_eq!(
            path("/%FF").unwrap_err(),
            Problem::of_status(400, "path is not utf-8")
        );
    }
}
