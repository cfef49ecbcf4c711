//! What goes back to the caller.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{
        HeaderMap, HeaderValue,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE,
        },
    },
};

use super::problem::Problem;

/// What goes back with status 200.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Xml(String),
    /// XML, compressed.
    GzippedXml(Vec<u8>),
    /// A part of a log, in bytes: it may begin or end within a character.
    Log(Vec<u8>),
}

/// How a list may be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The shortest that the caller accepts (RFC 9110, 12.5.3).
    pub fn accepted(headers: &HeaderMap) -> Self {
        let accepts_gzip = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|coding| {
                let mut parts = coding.split(';').map(str::trim);
                let is_gzip = parts
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
                let weight = parts.find_map(|part| part.strip_prefix("q="));
                is_gzip && weight.is_none_or(|q| q.parse().is_ok_and(|q: f32| q > 0.0))
            });
        match accepts_gzip {
            true => Encoding::Gzip,
            false => Encoding::Identity,
        }
    }
}

/// The length of a body that does not fit in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    pub length: usize,
}

impl Answer {
    /// XML, compressed, if it fits in an answer.
    pub fn gzip(xml: &str) -> Result<Self, TooLong> {
        let bytes = gzipped(xml).expect("writing into memory does not fail");
        match base64_length(bytes.len()) {
            length if length > MAX_BODY => Err(TooLong { length }),
            _ => Ok(Answer::GzippedXml(bytes)),
        }
    }

    /// A part of a log, if it fits in an answer. One that begins or ends within a character goes in base64.
    pub fn log(part: Vec<u8>) -> Result<Self, Problem> {
        let length = match str::from_utf8(&part) {
            Ok(text) => json_length(text),
            Err(_) => base64_length(part.len()),
        };
        if length > MAX_BODY {
            return Err(Problem::bad_request(format!(
                "{} bytes of log do not fit in one answer: ask for parts of at most {} bytes, with start= and end=",
                part.len(),
                MAX_BODY / 2
            )));
        }
        Ok(Answer::Log(part))
    }
}

/// The most bytes that the body of an answer may take up as a string in Lambda's JSON. Lambda passes on 6 MB (Lambda
/// developer guide, "Lambda quotas", invocation payload); the rest of the answer has 4 KiB of them.
pub const MAX_BODY: usize = (6 << 20) - (4 << 10);

/// Bytes that a text takes up as a string in JSON, without the quotes around it.
pub fn json_length(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

/// Bytes in base64, as which Lambda passes on a body that is not text.
fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// With the least effort: lists of jobs repeat themselves so much that more of it gains little.
pub fn gzipped(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// The response that API Gateway passes on.
pub fn response(answer: Result<Answer, Problem>) -> ApiGatewayV2httpResponse {
    let is_gzipped = matches!(answer, Ok(Answer::GzippedXml(_)));
    let (status, content_type, body) = match answer {
        Ok(Answer::Xml(xml)) => (200, "text/xml", Body::Text(xml)),
        Ok(Answer::GzippedXml(bytes)) => (200, "text/xml", Body::Binary(bytes)),
        Ok(Answer::Log(log)) => {
            let body = String::from_utf8(log)
                .map_or_else(|error| Body::Binary(error.into_bytes()), Body::Text);
            (200, "text/plain", body)
        }
        Err(problem) => (problem.status, "text/xml", Body::Text(problem.xml())),
    };
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = status.into();
    response
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if status == 401 {
        let challenge = HeaderValue::from_static("Basic realm=\"cloudupload\"");
        response.headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if is_gzipped {
        response
            .headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.is_base64_encoded = matches!(body, Body::Binary(_));
    response.body = Some(body);
    response
}

#[cfg(test)]
mod tests {
    use std::{io::Read, ops::Range};

    use flate2::read::GzDecoder;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_and_an_error_look_as_those_of_obs() {
        let page = response(Ok(Answer::Xml("<a />\n".to_owned())));
        assert_eq!(
            serde_json::to_value(page).unwrap(),
            json!({
                "statusCode": 200,
                "headers": {"content-type": "text/xml", "cache-control": "no-cache"},
                "multiValueHeaders": {},
                "body": "<a />\n",
                "isBase64Encoded": false,
                "cookies": [],
            })
        );
        let error = response(Err(Problem::no_such_job()));
        assert_eq!(error.status_code, 404);
        assert_eq!(error.headers[CONTENT_TYPE], "text/xml");
        let body = "<status code=\"404\">\n  <summary>no such job</summary>\n  <details>404 no such job</details>\n</status>\n";
        assert_eq!(error.body, Some(Body::Text(body.to_owned())));
        assert!(!error.headers.contains_key(WWW_AUTHENTICATE));
        let error = response(Err(Problem::with_status(401, "who calls?")));
        assert_eq!(
            error.headers[WWW_AUTHENTICATE],
            "Basic realm=\"cloudupload\""
        );
        let error = response(Err(Problem::bad_request("parameter 'filename' is missing")));
        let body = "<status code=\"400\">\n  <summary>parameter 'filename' is missing</summary>\n</status>\n";
        assert_eq!(error.body, Some(Body::Text(body.to_owned())));
    }

    #[test]
    fn xml_is_compressed_if_it_fits_then() {
        let answer = Answer::gzip("<a />\n").unwrap();
        let response = response(Ok(answer));
        assert_eq!(response.headers[CONTENT_TYPE], "text/xml");
        assert_eq!(response.headers[CONTENT_ENCODING], "gzip");
        assert!(response.is_base64_encoded);
        let Some(Body::Binary(bytes)) = response.body else {
            panic!("{:?} is not bytes", response.body);
        };
        let mut xml = String::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut xml)
            .unwrap();
        assert_eq!(xml, "<a />\n");
        let noise: String = (0..2 * MAX_BODY)
            .map(|_| fastrand::alphanumeric())
            .collect();
        assert!(Answer::gzip(&noise).unwrap_err().length > MAX_BODY);
    }

    #[test]
    fn a_list_is_compressed_for_whoever_accepts_it() {
        for (accepted, encoding) in [
            ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", Encoding::Gzip),
            ("deflate, GZIP", Encoding::Gzip),
            ("gzip; q=0.0, identity", Encoding::Identity),
            ("gzip;q=x", Encoding::Identity),
            ("xgzip", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let headers = [(ACCEPT_ENCODING, HeaderValue::from_static(accepted))];
            let headers = headers.into_iter().collect();
            assert_eq!(Encoding::accepted(&headers), encoding, "{accepted}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn a_part_of_a_log_keeps_its_bytes() {
        let whole = response(Ok(Answer::Log("ü\n".into())));
        assert_eq!(whole.headers[CONTENT_TYPE], "text/plain");
        assert_eq!(
            (whole.body, whole.is_base64_encoded),
            (Some(Body::Text("ü\n".to_owned())), false)
        );
        let part = response(Ok(Answer::Log(vec![0xbc, b'\n'])));
        let part = serde_json::to_value(part).unwrap();
        assert_eq!(
            (&part["body"], &part["isBase64Encoded"]),
            (&json!("vAo="), &json!(true))
        );
    }

    #[test]
    fn a_part_of_a_log_fits_in_an_answer_or_is_refused() {
        let log = "ü\n".repeat(MAX_BODY / 4);
        let part = |log: &str, range: Range<usize>| Answer::log(log.as_bytes()[range].to_owned());
        assert_eq!(part(&log, 0..3), Ok(Answer::Log("ü\n".into())));
        assert_eq!(part(&log, 1..3), Ok(Answer::Log(vec![0xbc, b'\n'])));
        let log = "\n".repeat(MAX_BODY);
        assert!(part(&log, 0..MAX_BODY / 2).is_ok());
        let summary = format!(
            "{MAX_BODY} bytes of log do not fit in one answer: ask for parts of at most {} bytes, with start= and end=",
            MAX_BODY / 2
        );
        assert_eq!(part(&log, 0..MAX_BODY), Err(Problem::bad_request(summary)));
        let log = "ü".repeat(MAX_BODY / 2);
        assert!(part(&log, 0..MAX_BODY).is_ok());
        assert!(part(&log, 1..MAX_BODY - 1).is_err());
    }

    #[test]
    fn the_length_in_json_is_the_length_in_json() {
        let text: String = (0..0x100).filter_map(char::from_u32).collect();
        assert_eq!(
            json_length(&text),
            serde_json::to_string(&text).unwrap().len() - 2
        );
    }

    #[test]
    fn the_limit_leaves_room_for_the_rest_of_the_answer() {
        let page = response(Ok(Answer::Xml(String::new())));
        assert!(serde_json::to_string(&page).unwrap().len() + MAX_BODY < 6 << 20);
    }
}
