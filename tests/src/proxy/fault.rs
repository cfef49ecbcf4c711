//! What can go wrong with a call, and how AWS reports it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Refused, as there are too many calls.
    Throttle,
    /// Refused, as the service itself fails.
    ServerError,
    /// Refused, as a permission is missing.
    AccessDenied,
    /// The call takes effect, and its answer never comes; the connection stays open.
    Timeout,
    /// The call takes effect, and the connection ends without an answer.
    DropAnswer,
    /// The call takes effect, and its caller dies before it has the answer.
    Kill,
    /// The caller dies, and nothing is forwarded.
    KillBefore,
    /// The call waits until it is released, for 120 s at most, and is then forwarded.
    Hold,
}

impl Fault {
    /// Whether it kills the caller, which has to be known then.
    pub fn is_deadly(self) -> bool {
        matches!(self, Self::Kill | Self::KillBefore)
    }

    /// The HTTP status, code and message by which the service refuses a call. None if the fault is no refusal.
    fn refusal(self, service: &str) -> Option<(u16, &'static str, &'static str)> {
        Some(match (self, service) {
            // Error responses (Amazon S3 API reference).
            (Self::Throttle, "s3") => (503, "SlowDown", "Please reduce your request rate."),
            (Self::ServerError, "s3") => (
                500,
                "InternalError",
                "We encountered an internal error. Please try again.",
            ),
            (Self::AccessDenied, "s3") => (403, "AccessDenied", "Access Denied"),
            // Error codes for the Amazon EC2 API; the 503 is seen: jclouds/legacy-jclouds 1214.
            (Self::Throttle, "ec2") => (503, "RequestLimitExceeded", "Request limit exceeded."),
            (Self::ServerError, "ec2") => (500, "InternalError", "An internal error has occurred"),
            (Self::AccessDenied, "ec2") => (
                403,
                "UnauthorizedOperation",
                "You are not authorized to perform this operation.",
            ),
            // Common errors (AWS STS API reference); the throttling is seen: jlevers/selling-partner-api 278.
            (Self::Throttle, "sts") => (400, "Throttling", "Rate exceeded"),
            (Self::AccessDenied, "sts") => (403, "AccessDenied", DENIED),
            // Error handling with DynamoDB (Amazon DynamoDB developer guide).
            (Self::Throttle, "dynamodb") => (
                400,
                "ProvisionedThroughputExceededException",
                "The level of configured provisioned throughput for the table was exceeded.",
            ),
            (Self::ServerError, "dynamodb") => {
                (500, "InternalServerError", "Internal server error")
            }
            // Invoke (AWS Lambda API reference).
            (Self::Throttle, "lambda") => (429, "TooManyRequestsException", "Rate Exceeded."),
            (Self::ServerError, "lambda") => {
                (500, "ServiceException", "An internal error has occurred.")
            }
            (Self::AccessDenied, "lambda") => (403, "AccessDeniedException", DENIED),
            // Common errors (API references of Step Functions and CloudWatch Logs).
            (Self::Throttle, _) => (400, "ThrottlingException", "Rate exceeded"),
            (Self::ServerError, _) => (500, "InternalFailure", "An internal error has occurred."),
            (Self::AccessDenied, _) => (400, "AccessDeniedException", DENIED),
            (Self::Timeout | Self::DropAnswer | Self::Kill | Self::KillBefore | Self::Hold, _) => {
                return None;
            }
        })
    }

    /// The refusal in the service's protocol.
    pub fn answer(self, service: &str) -> Option<Response<Full<Bytes>>> {
        let (status, code, message) = self.refusal(service)?;
        let (kind, body) = match service {
            "s3" => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                     <RequestId>{REQUEST}</RequestId></Error>"
                ),
            ),
            "ec2" => (
                "text/xml;charset=UTF-8",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
                     <Message>{message}</Message></Error></Errors><RequestID>{REQUEST}</RequestID></Response>"
                ),
            ),
            "sts" => (
                "text/xml",
                format!(
                    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{}</Type>\
                     <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>",
                    if status < 500 { "Sender" } else { "Receiver" }
                ),
            ),
            "lambda" => (
                "application/json",
                json!({ "message": message }).to_string(),
            ),
            _ => {
                let named = match service {
                    "dynamodb" => format!("com.amazonaws.dynamodb.v20120810#{code}"),
                    _ => code.to_owned(),
                };
                let body = json!({ "__type": named, "message": message });
                ("application/x-amz-json-1.0", body.to_string())
            }
        };
        let mut answer = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, kind)
            .header("x-amzn-requestid", REQUEST);
        if service == "lambda" {
            answer = answer.header("x-amzn-errortype", code);
        }
        Some(
            answer
                .body(Full::from(body))
                .expect("codes are header values"),
        )
    }
}

const DENIED: &str = "You do not have sufficient access to perform this action.";
/// The request id of every refusal, which tells it from the emulator's own refusals in a log.
const REQUEST: &str = "fault-proxy";

#[cfg(test)]
mod tests {
    use super::*;

    /// The other services' answers are read by their SDKs, in `proxy::tests`.
    #[test]
    fn lambda_has_the_code_in_a_header() {
        for (fault, status, code) in [
            (Fault::Throttle, 429, "TooManyRequestsException"),
            (Fault::ServerError, 500, "ServiceException"),
            (Fault::AccessDenied, 403, "AccessDeniedException"),
        ] {
            let answer = fault.answer("lambda").expect("it is a refusal");
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["x-amzn-errortype"], code);
        }
        assert!(Fault::Timeout.answer("lambda").is_none());
    }
}
