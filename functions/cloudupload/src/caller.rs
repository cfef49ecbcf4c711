//! Who may call the API: names, secrets and rights of callers.

use std::fmt;

use constant_time_eq::constant_time_eq_32;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    job::Owner,
    names::{User, checked_string},
};

checked_string!(
    /// The name by which a caller is known: 1 to 64 of `A-Z a-z 0-9 . _ -`, such as `obs`. HTTP Basic has it for a user name.
    CallerName, check_name => BadCallerName
);

/// Why a name cannot be a caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be the name of a caller: it has 1 to 64 letters, digits, '.', '_' or '-'")]
pub struct BadCallerName(String);

fn check_name(name: &str) -> Result<(), BadCallerName> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&name.len()) && name.chars().all(legal) {
        Ok(())
    } else {
        Err(BadCallerName(name.to_owned()))
    }
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// Create, see and kill the jobs of all users.
    AllUsers,
    /// Those of one user of OBS.
    OneUser(User),
    /// Make and remove users of this service and their tokens. It has no part in jobs.
    AdministerUsers,
}

impl Rights {
    /// Whether the jobs of that owner may be created, seen and killed.
    pub fn cover(&self, owner: &Owner) -> bool {
        match (self, owner) {
            (Rights::AllUsers, _) => true,
            (Rights::OneUser(own), Owner::Obs(user)) => own == user,
            (Rights::OneUser(_), Owner::Account(_)) | (Rights::AdministerUsers, _) => false,
        }
    }
}

/// The SHA-256 of a secret. Secrets are random and long, so that nobody finds one by its hash.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether both are of the same secret, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time_eq_32(&self.0, &other.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hex::encode(hash.0)
    }
}

impl TryFrom<String> for SecretHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)?;
        Ok(Self(hash))
    }
}

/// A caller of the table of callers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallerRecord {
    pub name: CallerName,
    pub rights: Rights,
    /// Each of these counts: while a secret is replaced, there are two.
    pub secrets: Vec<SecretHash>,
}

impl CallerRecord {
    pub fn has(&self, secret: &SecretHash) -> bool {
        self.secrets.iter().any(|own| own.matches(secret))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["obs", "ci.build-7_x", &"a".repeat(64)] {
            assert_eq!(
                name.parse::<CallerName>().map(|name| name.to_string()),
                Ok(name.to_owned())
            );
        }
        for name in ["", "a b", "a:b", "ü", "a\n", &"a".repeat(65)] {
            assert!(name.parse::<CallerName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_record_is_read_as_the_operators_guide_writes_it() {
        let record = json!({
            "name": "ci",
            "rights": {"one_user": "tom"},
            "secrets": ["2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"],
        });
        let caller: CallerRecord = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(caller.rights, Rights::OneUser("tom".parse().unwrap()));
        assert!(caller.has(&SecretHash::of(b"secret")));
        assert!(!caller.has(&SecretHash::of(b"Secret")));
        assert!(!format!("{caller:?}").contains("2bb8"));
        assert_eq!(serde_json::to_value(caller).unwrap(), record);
        let all: Rights = serde_json::from_value(json!("all_users")).unwrap();
        assert_eq!(all, Rights::AllUsers);
    }

    #[test]
    fn rights_are_for_all_or_for_one() {
        let [tom, tim] = ["tom", "tim"].map(|user| Owner::Obs(user.parse().unwrap()));
        let account = Owner::Account("000102030405060708090a0b0c0d0e0f".parse().unwrap());
        let only_tom = Rights::OneUser("tom".parse().unwrap());
        assert!(only_tom.cover(&tom));
        for (rights, covers) in [
            (only_tom, false),
            (Rights::AllUsers, true),
            (Rights::AdministerUsers, false),
        ] {
            for owner in [&tim, &account] {
                assert_eq!(rights.cover(owner), covers, "{rights:?}, {owner}");
            }
        }
    }
}
