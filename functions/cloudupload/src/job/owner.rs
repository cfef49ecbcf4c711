//! The owner of a job.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    names::{BadName, User},
    user::{BadUserId, UserId},
};

/// The owner of a job. A user of OBS and a user of this service may have the same name, and be two people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Owner {
    /// A user of OBS, as a caller named them.
    Obs(User),
    /// A user of this service.
    Account(UserId),
}

/// Text that names no owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOwner {
    #[error("'{0}' is no owner of a job: it begins with 'obs:' or 'account:'")]
    Kind(String),
    #[error("{0}")]
    User(#[from] BadName),
    #[error("{0}")]
    Account(#[from] BadUserId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Obs(user) => write!(f, "obs:{user}"),
            Owner::Account(id) => write!(f, "account:{id}"),
        }
    }
}

impl FromStr for Owner {
    type Err = BadOwner;

    fn from_str(text: &str) -> Result<Self, BadOwner> {
        match text.split_once(':') {
            Some(("obs", user)) => Ok(Owner::Obs(user.parse()?)),
            Some(("account", id)) => Ok(Owner::Account(id.parse()?)),
            _ => Err(BadOwner::Kind(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Owner {
    type Error = BadOwner;

    fn try_from(text: String) -> Result<Self, BadOwner> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> String {
        owner.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_comes_back_from_its_text() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let account = format!("account:{id}");
        for (text, owner) in [
            ("obs:a:b", Owner::Obs("a:b".parse().unwrap())),
            (account.as_str(), Owner::Account(id.parse().unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(owner.clone()));
            assert_eq!(owner.to_string(), text);
        }
        for text in ["", "tom", "obs:", "account:tom", "token:tom"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
