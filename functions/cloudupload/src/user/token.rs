//! Tokens: with one, a caller is a user of this service.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{UserName, is_hex};
use crate::{caller::SecretHash, clock::Timestamp, names::checked_string, random};

/// What every token begins with, so that people and scanners for secrets know one when they see it.
const PREFIX: &str = "cloudup_";

/// Hex digits of the secret: 256 bits.
const SECRET_DIGITS: usize = 64;

/// A token, as its owner has it: `cloudup_<user>_<64 hex digits>`. It has the user's name, so that one read of the user's
/// record tells all about it. It shows itself in no log: there is no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    user: UserName,
    secret: String,
}

/// Text that is no token. It does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a token: it looks like {PREFIX}tom_, with {SECRET_DIGITS} hex digits behind it"
)]
pub struct BadToken;

impl Token {
    fn random(user: UserName) -> Self {
        Self {
            user,
            secret: random::hex::<{ SECRET_DIGITS / 2 }>(),
        }
    }

    /// Whether a secret is meant to be a token, and not that of a caller.
    pub fn looks_like(text: &[u8]) -> bool {
        text.starts_with(PREFIX.as_bytes())
    }

    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// The hash by which the record knows it.
    pub fn secret(&self) -> SecretHash {
        SecretHash::of(self.reveal().as_bytes())
    }

    /// The whole token, for its owner.
    pub fn reveal(&self) -> String {
        let Self { user, secret } = self;
        format!("{PREFIX}{user}_{secret}")
    }
}

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(BadToken)?;
        // A user's name may have a `_` too.
        let (user, secret) = rest.rsplit_once('_').ok_or(BadToken)?;
        if !is_hex(secret, SECRET_DIGITS) {
            return Err(BadToken);
        }
        Ok(Self {
            user: user.parse().map_err(|_| BadToken)?,
            secret: secret.to_owned(),
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({PREFIX}{}_…)", self.user)
    }
}

checked_string!(
    /// What a token is known by to its user and in the logs: 16 hex digits. It is no secret.
    TokenId, check_id => BadTokenId
);

/// Text that is no token's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the id of a token: it has 16 hex digits")]
pub struct BadTokenId(String);

fn check_id(id: &str) -> Result<(), BadTokenId> {
    match is_hex(id, 16) {
        true => Ok(()),
        false => Err(BadTokenId(id.chars().take(64).collect())),
    }
}

checked_string!(
    /// What a user calls a token, such as `laptop`: one line of 1 to 64 characters.
    TokenName, check_token_name => BadTokenName
);

/// Text that cannot be a token's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a token is one line of 1 to 64 characters, such as 'laptop'")]
pub struct BadTokenName;

fn check_token_name(name: &str) -> Result<(), BadTokenName> {
    let characters = name.chars().count();
    match (1..=64).contains(&characters) && !name.contains(char::is_control) {
        true => Ok(()),
        false => Err(BadTokenName),
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRecord {
    pub name: TokenName,
    pub secret: SecretHash,
    pub created: Timestamp,
    /// From when on it is not good any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was used last, give or take [`USE_NOTED_EVERY`](super::USE_NOTED_EVERY).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

impl PartialEq for TokenRecord {
    fn eq(&self, other: &Self) -> bool {
        let facts = |token: &Self| (token.name.clone(), token.created, token.expires, token.used);
        self.secret.matches(&other.secret) && facts(self) == facts(other)
    }
}

impl TokenRecord {
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// A token on the day that it is made: the only time that anybody sees it.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub id: TokenId,
    pub token: Token,
    pub record: TokenRecord,
}

impl NewToken {
    pub fn of(
        user: &UserName,
        name: TokenName,
        now: Timestamp,
        expires: Option<Timestamp>,
    ) -> Self {
        let token = Token::random(user.clone());
        Self {
            id: TokenId(random::hex::<8>()),
            record: TokenRecord {
                name,
                secret: token.secret(),
                created: now,
                expires,
                used: None,
            },
            token,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_token_tells_its_user_and_hides_its_secret() {
        let text = format!("cloudup_tom_m_{SECRET}");
        let token: Token = text.parse().unwrap();
        assert_eq!(token.user().as_str(), "tom_m");
        assert_eq!(token.reveal(), text);
        assert!(token.secret().matches(&SecretHash::of(text.as_bytes())));
        assert_eq!(format!("{token:?}"), "Token(cloudup_tom_m_…)");
        assert!(Token::looks_like(text.as_bytes()));
    }

    #[test]
    fn other_text_is_no_token() {
        for text in [
            "",
            "cloudup_",
            SECRET,
            &format!("cloudup_{SECRET}"),
            &format!("cloudup__{SECRET}"),
            &format!("cloudup_a b_{SECRET}"),
            &format!("cloudup_tom_{}", &SECRET[1..]),
            &format!("cloudup_tom_{}", SECRET.to_uppercase()),
            &format!("ghp_tom_{SECRET}"),
            &format!("cloudup_tom_{SECRET} "),
        ] {
            assert_eq!(text.parse::<Token>(), Err(BadToken), "{text}");
        }
    }

    #[test]
    fn a_new_token_is_one_and_has_256_bits() {
        let user: UserName = "tom".parse().unwrap();
        let [one, other] = [(); 2]
            .map(|()| NewToken::of(&user, "laptop".parse().unwrap(), Timestamp::now(), None));
        assert_ne!(one.token, other.token);
        assert_ne!(one.id, other.id);
        assert_eq!(one.token.reveal().parse::<Token>(), Ok(one.token));
        assert!(one.record.secret.matches(&one.record.secret));
        assert_eq!(SECRET_DIGITS * 4, 256);
    }

    #[test]
    fn names_of_tokens_are_one_line() {
        for name in ["laptop", "CI, on the büild host", &"ü".repeat(64)] {
            assert!(name.parse::<TokenName>().is_ok(), "{name}");
        }
        for name in ["", "a\nb", &"a".repeat(65)] {
            assert!(name.parse::<TokenName>().is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_token_is_read_as_it_was_made(user in "[A-Za-z0-9._-]{1,64}") {
            prop_assume!(user != "." && user != "..");
            let user: UserName = user.parse().unwrap();
            let token = Token::random(user);
            prop_assert_eq!(token.reveal().parse::<Token>(), Ok(token));
        }
    }
}
