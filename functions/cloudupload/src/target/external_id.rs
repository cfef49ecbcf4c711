use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The external ID that the role's trust policy asks for. With it and the role's ARN, anybody can have images put into
/// the user's account, so it shows itself in no log: there is no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExternalId(String);

/// Why an external ID is refused; it does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExternalId {
    #[error("external_id is empty: give the external ID that the role's trust policy asks for")]
    Empty,
    #[error(
        "external_id is illegal: it has 2 to 1224 characters: letters, digits and any of +=,.@:/_-"
    )]
    Illegal,
}

impl ExternalId {
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ExternalId {
    type Error = BadExternalId;

    /// As STS has it: 2 to 1224 of `[\w+=,.@:\/-]` (STS API reference, AssumeRole, `ExternalId`).
    fn try_from(text: String) -> Result<Self, BadExternalId> {
        if text.is_empty() {
            Err(BadExternalId::Empty)
        } else if (2..=1224).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
        {
            Ok(Self(text))
        } else {
            Err(BadExternalId::Illegal)
        }
    }
}

impl FromStr for ExternalId {
    type Err = BadExternalId;

    fn from_str(text: &str) -> Result<Self, BadExternalId> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sts_takes_is_taken() {
        for id in ["ab", "Aa0_+=,.@:/-", &"x".repeat(1224)] {
            assert_eq!(id.parse::<ExternalId>().unwrap().secret(), id);
        }
    }

    #[test]
    fn what_sts_refuses_is_refused() {
        assert_eq!("".parse::<ExternalId>(), Err(BadExternalId::Empty));
        for id in ["a", " ab", "a b", "a\n", "ab!", "äö", &"x".repeat(1225)] {
            assert_eq!(
                id.parse::<ExternalId>(),
                Err(BadExternalId::Illegal),
                "{id:?}"
            );
        }
    }

    #[test]
    fn it_does_not_show_itself() {
        let id: ExternalId = "top-secret".parse().unwrap();
        assert_eq!(format!("{id:?}"), "ExternalId(hidden)");
        let error = serde_json::from_str::<ExternalId>(r#""top secret""#).unwrap_err();
        assert!(!error.to_string().contains("top"), "{error}");
    }
}
