//! What goes back to the caller.

use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
};

use super::problem::Problem;

/// What goes back with status 200.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Xml(String),
    /// A part of a log, in bytes: it may begin or end within a character.
    Log(Vec<u8>),
}

impl Answer {
    /// A part of a log, if it fits in an answer. One that begins or ends within a character goes in base64.
    pub fn log(part: Vec<u8>) -> Result<Self, Problem> {
        let length = match str::from_utf8(&part) {
            Ok(text) => json_length(text),
            Err(_) => part.len().div_ceil(3) * 4,
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

/// The response that API Gateway passes on.
pub fn response(answer: Result<Answer, Problem>) -> ApiGatewayV2httpResponse {
    let (status, content_type, body) = match answer {
        Ok(Answer::Xml(xml)) => (200, "text/xml", Body::Text(xml)),
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
    response.is_base64_encoded = matches!(body, Body::Binary(_));
    response.body = Some(body);
    response
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

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
