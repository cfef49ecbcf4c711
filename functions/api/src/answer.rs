//! What goes back to the caller.

use cloudupload::{
    aws::Failure, names::BadName, obs::ObsError, store::StoreError, target::BadTarget,
};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
};

/// A page that goes back, with status 200.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Xml(String),
    /// Bytes of a log. A range of one may begin or end within a character.
    Log(Vec<u8>),
}

/// An error that goes back. Like OBS's own, it has `details` only where it was made with a status of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    pub summary: String,
    has_details: bool,
}

impl Problem {
    /// Something is wrong with a parameter or the body.
    pub fn bad(summary: impl ToString) -> Self {
        Self {
            status: 400,
            summary: summary.to_string(),
            has_details: false,
        }
    }

    pub fn of_status(status: u16, summary: impl ToString) -> Self {
        Self {
            status,
            summary: summary.to_string(),
            has_details: true,
        }
    }

    pub fn no_such_job() -> Self {
        Self::of_status(404, "no such job")
    }

    fn xml(&self) -> String {
        let Self {
            status, summary, ..
        } = self;
        let details = self.has_details.then(|| format!("{status} {summary}"));
        crate::xml::status(*status, summary, details.as_deref())
    }
}

impl From<BadName> for Problem {
    fn from(error: BadName) -> Self {
        Self::bad(error)
    }
}

impl From<BadTarget> for Problem {
    fn from(error: BadTarget) -> Self {
        Self::bad(error)
    }
}

impl From<ObsError> for Problem {
    /// What OBS does not have is not here either; with other trouble of OBS's this is a gateway in front of it.
    fn from(error: ObsError) -> Self {
        let status = match &error {
            ObsError::NoSuchFile(_) | ObsError::NoImage { .. } => 404,
            ObsError::ManyImages { .. } => 400,
            ObsError::Refused { status, .. } if matches!(status.as_u16(), 400 | 404) => {
                status.as_u16()
            }
            ObsError::TooSlow { .. } => 504,
            _ => 502,
        };
        Self::of_status(status, error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchJob(_) => Self::no_such_job(),
            error => Self::of_status(500, error),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::of_status(500, failure)
    }
}

/// The most that the body of an answer may take up, in bytes, as a string in Lambda's JSON. Lambda passes on 6 MB (Lambda
/// developer guide, "Lambda quotas", invocation payload); the rest of the answer has 4 KiB of them.
pub const LIMIT: usize = (6 << 20) - (4 << 10);

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

/// Makes of an answer what API Gateway passes on.
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
    response.is_base64_encoded = matches!(body, Body::Binary(_));
    response.body = Some(body);
    response
}

#[cfg(test)]
mod tests {
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
        let error = response(Err(Problem::bad("parameter 'filename' is missing")));
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
        assert!(serde_json::to_string(&page).unwrap().len() + LIMIT < 6 << 20);
    }
}
