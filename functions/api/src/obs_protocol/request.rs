//! What a caller requests, out of API Gateway's event.

use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    http::{Method, header::CONTENT_TYPE},
};

use super::{answer::Encoding, parameters::Parameters, problem::Problem};

/// The parts of a request that mean something here.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// The path as API Gateway hands it over: decoded as a whole, which is how OBS reads it too. It must not be decoded
    /// again, or what is still an escape in it (`%2F`) would become a separator.
    ///
    /// That `rawPath` of an HTTP API is decoded is not in the developer guide ("Create AWS Lambda proxy integrations for
    /// HTTP APIs", payload format 2.0). It was captured on AWS (<https://github.com/hotsock/voker/pull/8>): `%2F` and
    /// `%252F` both arrive as `/`, `%2525` as `%`, and `a%3Fb` as `a`.
    pub path: String,
    /// As it was sent.
    query: String,
    /// Whether the body is parameters.
    is_form: bool,
    is_json: bool,
    pub body: Vec<u8>,
    /// How a list may be encoded.
    pub encoding: Encoding,
}

impl From<ApiGatewayV2httpRequest> for Request {
    fn from(event: ApiGatewayV2httpRequest) -> Self {
        let content_type = event.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next());
        let is = |name: &str| media_type.is_some_and(|own| own.trim().eq_ignore_ascii_case(name));
        Self {
            encoding: Encoding::accepted(&event.headers),
            is_form: is("application/x-www-form-urlencoded"),
            is_json: is("application/json"),
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
    /// The parameters in the query string.
    pub fn query(&self) -> Result<Parameters, Problem> {
        Parameters::parse(&self.query)
    }

    /// The parameters in the query string and, behind them, those of a form in the body.
    pub fn parameters(&self) -> Result<Parameters, Problem> {
        if !(self.is_form && self.method == Method::POST) {
            return self.query();
        }
        self.query_and_body()
    }

    /// The parameters in the query string and, behind them, those in the body, which is a form whatever its type.
    pub fn query_and_body(&self) -> Result<Parameters, Problem> {
        let form = String::from_utf8_lossy(&self.body);
        Parameters::parse(&format!("{}&{}", self.query, form.trim_end()))
    }

    /// Whether the body is called JSON.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether this is a job as OBS's source server sends it: XML without a query, but for `push`, which is ours.
    pub fn is_job_skeleton(&self) -> bool {
        let has_query = !self.query.is_empty() && !self.query.starts_with("push=");
        !has_query && self.body.trim_ascii_start().starts_with(b"<")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_event::{create_event, event};

    fn request(method: &str, target: &str, content_type: &str, body: &[u8]) -> Request {
        event(method, target, content_type, body).into()
    }

    #[test]
    fn the_sample_event_is_a_create_call() {
        let request = Request::from(create_event());
        assert_eq!(
            (&request.method, request.path.as_str()),
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
    fn a_path_is_taken_as_it_comes() {
        for path in ["/cloudupload/1%2F_log", "/%FF", "/100%", "/a+b c/ü", ""] {
            assert_eq!(request("GET", path, "", b"").path, path);
        }
    }
}
