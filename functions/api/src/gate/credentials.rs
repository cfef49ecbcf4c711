//! The caller's name and secret, out of the header `Authorization`.

use base64::{Engine, prelude::BASE64_STANDARD};
use cloudupload::caller::{CallerName, SecretHash};
use lambda_http::http::{HeaderMap, header::AUTHORIZATION};

use super::Refusal;

/// What a caller says of itself.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub name: CallerName,
    pub secret: SecretHash,
}

impl Credentials {
    /// Those in the headers; none where there is no header.
    pub fn of(headers: &HeaderMap) -> Option<Result<Self, Refusal>> {
        let header = headers.get(AUTHORIZATION)?;
        let read = header.to_str().ok().and_then(Self::parse);
        Some(read.ok_or(Refusal::WrongSecret))
    }

    /// `Basic` and name and secret in base64, with a `:` between them (RFC 7617, section 2).
    fn parse(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(encoded.trim_start()).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let (name, secret) = decoded.split_at(colon);
        Some(Self {
            name: str::from_utf8(name).ok()?.parse().ok()?,
            secret: SecretHash::of(&secret[1..]),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(header: &str) -> Option<Credentials> {
        Credentials::parse(header)
    }

    #[test]
    fn name_and_secret_are_what_curl_sends() {
        // curl -u obs:open:sesame
        for header in ["Basic b2JzOm9wZW46c2VzYW1l", "basic  b2JzOm9wZW46c2VzYW1l "] {
            let credentials = parse(header).unwrap();
            assert_eq!(credentials.name.as_str(), "obs");
            assert!(credentials.secret.matches(&SecretHash::of(b"open:sesame")));
        }
    }

    #[test]
    fn anything_else_is_no_credentials() {
        for header in [
            "",
            "Basic",
            "Bearer b2JzOng=",
            "Basic b2Jz",
            "Basic b2JzOng",
            "Basic :",
            "Basic \u{fc}",
            // No name.
            "Basic OnNlY3JldA==",
            // A name that none of ours has: "ö:x".
            "Basic w7Y6eA==",
        ] {
            assert!(parse(header).is_none(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_secret_comes_through(secret in prop::collection::vec(any::<u8>(), 0..80)) {
            let header = format!("Basic {}", BASE64_STANDARD.encode([b"obs:", &secret[..]].concat()));
            prop_assert!(parse(&header).unwrap().secret.matches(&SecretHash::of(&secret)));
        }
    }
}
