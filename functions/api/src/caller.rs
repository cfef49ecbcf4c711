//! Who calls, and from where.

use std::{fmt, net::IpAddr};

use cloudupload::caller::{CallerName, Rights};
use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    tracing::{self, Span, field},
};

/// Where a request comes from, as API Gateway and the caller tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The caller's own id for the request, which OBS's frontend sends: the request is found by it in the logs of both.
    pub request_id: Option<String>,
    /// The address that the connection to API Gateway came from. It is not taken from `X-Forwarded-For`, into which a
    /// caller can write what it likes.
    pub source_ip: Option<IpAddr>,
}

impl Origin {
    pub fn of(event: &ApiGatewayV2httpRequest) -> Self {
        let request_id = event.headers.get("x-request-id");
        let source_ip = event.request_context.http.source_ip.as_deref();
        let source_ip = source_ip.and_then(|ip| ip.parse().ok());
        Self {
            request_id: request_id
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
            source_ip: source_ip.map(|ip: IpAddr| ip.to_canonical()),
        }
    }

    /// The span of a request: every line that the function logs meanwhile tells of the origin, and of the caller once
    /// that is known.
    pub fn span(&self) -> Span {
        tracing::info_span!(
            "request",
            request_id = self.request_id,
            source_ip = self.source_ip.map(field::display),
            caller = field::Empty,
        )
    }
}

impl fmt::Display for Origin {
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

/// Whoever was let in. Only [`Gate`](crate::gate::Gate) makes one outside of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// None for a caller without a secret, where those are allowed.
    pub name: Option<CallerName>,
    pub rights: Rights,
    pub origin: Origin,
}

impl Caller {
    /// The name in the logs.
    pub fn known_as(&self) -> &str {
        self.name
            .as_ref()
            .map_or(Self::WITHOUT_SECRET, CallerName::as_str)
    }

    /// No name of a caller: it has a space. The alarm `CallsWithoutSecret` in `infra/template.yaml` looks for it.
    const WITHOUT_SECRET: &str = "without secret";
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.known_as(), self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_event::{create_event, event};

    #[test]
    fn the_sample_event_tells_its_origin() {
        let origin = Origin::of(&create_event());
        assert_eq!(
            origin,
            Origin {
                request_id: Some("0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11".to_owned()),
                source_ip: Some([192, 0, 2, 1].into()),
            }
        );
        assert_eq!(
            origin.to_string(),
            "192.0.2.1, request 0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11"
        );
    }

    #[test]
    fn a_request_need_not_tell_where_it_comes_from() {
        let mut event = event("GET", "/cloudupload", "", b"");
        event.headers.clear();
        event.request_context.http.source_ip = Some("2001:db8::1".to_owned());
        assert_eq!(Origin::of(&event).to_string(), "2001:db8::1");
        event.request_context.http.source_ip = None;
        let origin = Origin::of(&event);
        assert_eq!(origin.to_string(), "an unknown address");
        let caller = Caller {
            name: None,
            rights: Rights::AllUsers,
            origin,
        };
        assert_eq!(caller.to_string(), "without secret at an unknown address");
    }
}
