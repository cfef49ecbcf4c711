//! Who calls. A caller is made of API Gateway's event here, and nowhere else.

use std::{fmt, net::IpAddr};

use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    tracing::{self, Span, field},
};

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The caller's own id for the request, which OBS's frontend sends: the request is found by it in the logs of both.
    pub request_id: Option<String>,
    /// The address that the connection to API Gateway came from. It is not taken from `X-Forwarded-For`, into which a
    /// caller can write what it likes.
    pub source_ip: Option<IpAddr>,
}

impl Caller {
    pub fn of(event: &ApiGatewayV2httpRequest) -> Self {
        let request_id = event.headers.get("x-request-id");
        let source_ip = event.request_context.http.source_ip.as_deref();
        Self {
            request_id: request_id
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
            source_ip: source_ip.and_then(|ip| ip.parse().ok()),
        }
    }

    /// The span of a request: every line that the function logs meanwhile names the caller.
    pub fn span(&self) -> Span {
        tracing::info_span!(
            "request",
            request_id = self.request_id,
            source_ip = self.source_ip.map(field::display),
        )
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source_ip {
            Some(ip) => write!(f, "{ip}")?,
            None => f.write_str("an unknown address")?,
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_event::{create_event, event};

    #[test]
    fn the_sample_event_names_its_caller() {
        let caller = Caller::of(&create_event());
        assert_eq!(
            caller,
            Caller {
                request_id: Some("0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11".to_owned()),
                source_ip: Some([192, 0, 2, 1].into()),
            }
        );
        assert_eq!(
            caller.to_string(),
            "192.0.2.1, request 0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11"
        );
    }

    #[test]
    fn a_caller_need_not_say_anything_of_itself() {
        let mut event = event("GET", "/cloudupload", "", b"");
        event.headers.clear();
        event.request_context.http.source_ip = Some("2001:db8::1".to_owned());
        assert_eq!(Caller::of(&event).to_string(), "2001:db8::1");
        event.request_context.http.source_ip = None;
        assert_eq!(Caller::of(&event).to_string(), "an unknown address");
    }
}
