//! An account in a region, which is what AWS's quotas are for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AccountId, BadAccountId, BadRegion, Partition, Region};

/// An account in a region: `123456789012/eu-central-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountRegion {
    pub account: AccountId,
    pub region: Region,
}

/// Text that is no account in a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccountRegion {
    #[error("'{0}' is no account in a region: expected one such as 123456789012/eu-central-1")]
    NoSlash(String),
    #[error("{0}")]
    Account(#[from] BadAccountId),
    #[error("{0}")]
    Region(#[from] BadRegion),
}

impl fmt::Display for AccountRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

impl FromStr for AccountRegion {
    type Err = BadAccountRegion;

    fn from_str(text: &str) -> Result<Self, BadAccountRegion> {
        let Some((account, region)) = text.split_once('/') else {
            return Err(BadAccountRegion::NoSlash(text.to_owned()));
        };
        Ok(Self {
            account: account.parse()?,
            region: Region::of_partition(region, Partition::of_region(region))?,
        })
    }
}

impl TryFrom<String> for AccountRegion {
    type Error = BadAccountRegion;

    fn try_from(text: String) -> Result<Self, BadAccountRegion> {
        text.parse()
    }
}

impl From<AccountRegion> for String {
    fn from(place: AccountRegion) -> String {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_text_in_a_record() {
        let text = r#""123456789012/us-gov-west-1""#;
        let place: AccountRegion = serde_json::from_str(text).unwrap();
        assert_eq!(place.account.as_str(), "123456789012");
        assert_eq!(place.region.as_str(), "us-gov-west-1");
        assert_eq!(serde_json::to_string(&place).unwrap(), text);
    }

    #[test]
    fn other_text_is_refused() {
        for (text, error) in [
            (
                "123456789012",
                "'123456789012' is no account in a region: expected one such as 123456789012/eu-central-1",
            ),
            (
                "12345/eu-west-1",
                "'12345' is no AWS account id: it has 12 digits",
            ),
        ] {
            let refused = text.parse::<AccountRegion>().unwrap_err();
            assert_eq!(refused.to_string(), error);
        }
        let refused = "123456789012/mars-1".parse::<AccountRegion>().unwrap_err();
        assert!(matches!(refused, BadAccountRegion::Region(_)));
    }
}
