//! Users of this service: they call with tokens of their own, act for themselves only, and have one role connected, which
//! their uploads take.

mod token;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::token::{BadToken, BadTokenName, NewToken, Token, TokenId, TokenName, TokenRecord};
use crate::{
    caller::SecretHash,
    clock::Timestamp,
    names::{User, checked_string},
    random,
    target::{ExternalId, Region, RoleArn},
    trial::RoleReport,
};

/// The most tokens that a user may have at a time.
pub const MAX_TOKENS: usize = 50;

/// The time in which a token's last use is written down once at most.
pub const USE_NOTED_EVERY: Duration = Duration::from_secs(300);

checked_string!(
    /// The name of a user of this service: 1 to 64 of `A-Z a-z 0-9 . _ -`. It is part of the user's tokens, and of paths.
    UserName, check_name => BadUserName
);

/// Why a name cannot be that of a user of this service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be the name of a user: it has 1 to 64 letters, digits, '.', '_' or '-'")]
pub struct BadUserName(String);

fn check_name(name: &str) -> Result<(), BadUserName> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // A client would take `.` and `..` out of a path.
    if (1..=64).contains(&name.len()) && name.chars().all(legal) && !matches!(name, "." | "..") {
        Ok(())
    } else {
        Err(BadUserName(name.chars().take(64).collect()))
    }
}

impl From<&UserName> for User {
    fn from(name: &UserName) -> Self {
        name.as_str()
            .parse()
            .expect("a user of this service has a name that OBS takes")
    }
}

checked_string!(
    /// What a user of this service is known by in the records of jobs: random, and never used again, so that who gets the name
    /// of a removed user does not get that user's jobs.
    UserId, check_id => BadUserId
);

/// Text that is no user's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the id of a user: it has 32 hex digits")]
pub struct BadUserId(String);

fn check_id(id: &str) -> Result<(), BadUserId> {
    match is_hex(id, 32) {
        true => Ok(()),
        false => Err(BadUserId(id.chars().take(64).collect())),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl UserId {
    fn random() -> Self {
        Self(random::hex::<16>())
    }
}

/// The record of a user of this service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRecord {
    pub name: UserName,
    pub id: UserId,
    pub created: Timestamp,
    /// The one external ID with which this user's role is ever assumed. Only this service chooses it, so that nobody can use
    /// a role that trusts this service for somebody else (IAM user guide, "The confused deputy problem").
    pub external_id: ExternalId,
    pub tokens: BTreeMap<TokenId, TokenRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ConnectedRole>,
}

/// A role that was assumed once with the user's external ID.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectedRole {
    pub arn: RoleArn,
    /// Where images go if a job does not say.
    pub region: Region,
    /// When it was assumed, and what it allowed then.
    pub connected: Timestamp,
    pub report: RoleReport,
}

impl UserRecord {
    /// A new user, with neither tokens nor role.
    pub fn new(name: UserName, now: Timestamp) -> Self {
        let external_id = random::hex::<16>().try_into();
        Self {
            name,
            id: UserId::random(),
            created: now,
            external_id: external_id.expect("STS takes hex digits"),
            tokens: BTreeMap::new(),
            role: None,
        }
    }

    /// The token with this secret, if it has not expired.
    pub fn token(&self, secret: &SecretHash, now: Timestamp) -> Option<(&TokenId, &TokenRecord)> {
        let mut tokens = self.tokens.iter();
        let token = tokens.find(|(_, token)| token.secret.matches(secret));
        token.filter(|(_, token)| !token.has_expired(now))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_fit_into_paths_and_tokens() {
        for name in ["tom", "Tom.M-1_x", &"a".repeat(64)] {
            assert_eq!(
                User::from(&name.parse::<UserName>().unwrap()).as_str(),
                name
            );
        }
        for name in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "a:b",
            "ü",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(name.parse::<UserName>().is_err(), "{name}");
        }
    }

    #[test]
    fn two_users_share_nothing() {
        let [one, other] =
            [(); 2].map(|()| UserRecord::new("tom".parse().unwrap(), Timestamp::now()));
        assert_ne!(one.id, other.id);
        assert_ne!(one.external_id, other.external_id);
        assert!(
            one.external_id.secret().len() >= 16,
            "as user-account.yaml demands"
        );
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let now = Timestamp::from_secs(1000);
        let mut user = UserRecord::new("tom".parse().unwrap(), now);
        let name: TokenName = "laptop".parse().unwrap();
        let token = NewToken::of(
            &user.name,
            name.clone(),
            now,
            Some(Timestamp::from_secs(1010)),
        );
        let secret = token.token.secret();
        user.tokens.insert(token.id.clone(), token.record);
        let found = |now| {
            user.token(&secret, Timestamp::from_secs(now))
                .map(|(id, _)| id)
        };
        assert_eq!(found(1009), Some(&token.id));
        assert_eq!(found(1010), None);
        assert_eq!(user.token(&SecretHash::of(b"guess"), now), None);
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let now = Timestamp::from_secs(1000);
        let mut user = UserRecord::new("tom".parse().unwrap(), now);
        let token = NewToken::of(&user.name, "laptop".parse().unwrap(), now, None);
        user.tokens.insert(token.id, token.record);
        user.role = Some(ConnectedRole {
            arn: "arn:aws:iam::123456789012:role/obs".parse().unwrap(),
            region: serde_json::from_value(json!("eu-central-1")).unwrap(),
            connected: now,
            report: RoleReport::default(),
        });
        let record = serde_json::to_value(&user).unwrap();
        assert_eq!(serde_json::from_value::<UserRecord>(record).unwrap(), user);
    }
}
