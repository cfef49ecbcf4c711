//! The caller's name and secret, out of the header `Authorization`.

use base64::{Engine, prelude::BASE64_STANDARD};
use cloudupload::{
    caller::{CallerName, SecretHash},
    user::Token,
};
use lambda_http::http::{HeaderMap, header::AUTHORIZATION};

use super::Refusal;

/// What a caller says of itself.
#[derive(Clone, Debug)]
pub enum Credentials {
    Secret {
        name: CallerName,
        secret: SecretHash,
    },
    Token(Token),
}

impl Credentials {
    /// Those in the headers; none where there is no header.
    pub fn of(headers: &HeaderMap) -> Option<Result<Self, Refusal>> {
        let header = headers.get(AUTHORIZATION)?;
        let header = header.to_str().map_err(|_| Refusal::WrongSecret);
        Some(header.and_then(Self::parse))
    }

    fn parse(header: &str) -> Result<Self, Refusal> {
        let (scheme, rest) = header.trim().split_once(' ').ok_or(Refusal::WrongSecret)?;
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("basic") {
            return Self::basic(rest).unwrap_or(Err(Refusal::WrongSecret));
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            let token = rest.parse().map_err(|_| Refusal::WrongToken)?;
            return Ok(Self::Token(token));
        }
        Err(Refusal::WrongSecret)
    }

    /// Name and secret in base64, with a `:` between them (RFC 7617, section 2). A secret that is a token has to be one of the
    /// user who is named.
    fn basic(encoded: &str) -> Option<Result<Self, Refusal>> {
        let decoded = BASE64_STANDARD.decode(encoded).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let (name, secret) = (&decoded[..colon], &decoded[colon + 1..]);
        let name = str::from_utf8(name).ok()?;
        if Token::looks_like(secret) {
            let token = str::from_utf8(secret)
                .ok()
                .and_then(|text| text.parse().ok());
            let token = token.filter(|token: &Token| token.user().as_str() == name);
            return Some(token.map(Self::Token).ok_or(Refusal::WrongToken));
        }
        Some(Ok(Self::Secret {
            name: name.parse().ok()?,
            secret: SecretHash::of(secret),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(header: &str) -> Result<Credentials, Refusal> {
        Credentials::parse(header)
    }

    /// Name and secret.
    fn secret(header: &str) -> (CallerName, SecretHash) {
        match parse(header) {
            Ok(Credentials::Secret { name, secret }) => (name, secret),
            other => panic!("{other:?}"),
        }
    }

    const TOKEN: &str =
        "cloudup_tom_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_token_comes_as_bearer_or_as_the_user_s_password() {
        let basic = |name: &str, secret: &str| {
            let pair = BASE64_STANDARD.encode(format!("{name}:{secret}"));
            format!("Basic {pair}")
        };
        for header in [
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN} "),
            basic("tom", TOKEN),
        ] {
            match parse(&header) {
                Ok(Credentials::Token(token)) => assert_eq!(token.reveal(), TOKEN),
                other => panic!("{header}: {other:?}"),
            }
        }
        for header in [
            "Bearer ".to_owned() + &TOKEN[1..],
            "Bearer x".to_owned(),
            basic("tim", TOKEN),
            basic("tom", &TOKEN[..20]),
        ] {
            assert!(
                matches!(parse(&header), Err(Refusal::WrongToken)),
                "{header}"
            );
        }
    }

    #[test]
    fn name_and_secret_are_what_curl_sends() {
        // curl -u obs:open:sesame
        for header in ["Basic b2JzOm9wZW46c2VzYW1l", "basic  b2JzOm9wZW46c2VzYW1l "] {
            let (name, secret) = secret(header);
            assert_eq!(name.as_str(), "obs");
            assert!(secret.matches(&SecretHash::of(b"open:sesame")));
        }
    }

    #[test]
    fn anything_else_is_no_credentials() {
        for header in [
            "",
            "Basic",
            "Digest b2JzOng=",
            "Basic b2Jz",
            "Basic b2JzOng",
            "Basic :",
            "Basic \u{fc}",
            // No name.
            "Basic OnNlY3JldA==",
            // A name that none of ours has: "ö:x".
            "Basic w7Y6eA==",
        ] {
            assert!(
                matches!(parse(header), Err(Refusal::WrongSecret)),
                "{header}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_secret_comes_through(sent in prop::collection::vec(any::<u8>(), 0..80)) {
            let header = format!("Basic {}", BASE64_STANDARD.encode([b"obs:", &sent[..]].concat()));
            prop_assert!(secret(&header).1.matches(&SecretHash::of(&sent)));
        }
    }
}
