use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Partition;
use crate::names::checked_string;

checked_string!(
    /// An AWS account: 12 digits.
    AccountId, check_account => BadAccountId
);

/// Text that is no account id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no AWS account id: it has 12 digits")]
pub struct BadAccountId(String);

fn check_account(text: &str) -> Result<(), BadAccountId> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(())
    } else {
        Err(BadAccountId(text.to_owned()))
    }
}

/// The ARN of an IAM role: `arn:<partition>:iam::<account>:role/<path/name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn {
    text: String,
    partition: Partition,
    account: AccountId,
}

/// Why text is no role's ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRole {
    #[error("arn is empty: expected arn:<partition>:iam::<12 digits>:role/<name>")]
    Empty,
    #[error(
        "arn '{0}' is not the ARN of an IAM role: expected arn:<partition>:iam::<12 digits>:role/<name>"
    )]
    NotARole(String),
    #[error("arn '{arn}' is in an unknown partition: valid are {valid}", valid = Partition::ALL.map(Partition::as_str).join(", "))]
    UnknownPartition { arn: String },
    #[error("arn '{arn}' is not the ARN of an IAM role: {account}")]
    Account { arn: String, account: BadAccountId },
    #[error(
        "arn '{0}' has an illegal role name or path: a name has 1 to 64 characters, letters, digits and any of _+=,.@-"
    )]
    Name(String),
}

impl RoleArn {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn partition(&self) -> Partition {
        self.partition
    }

    pub fn account(&self) -> &AccountId {
        &self.account
    }
}

impl TryFrom<String> for RoleArn {
    type Error = BadRole;

    fn try_from(text: String) -> Result<Self, BadRole> {
        if text.is_empty() {
            return Err(BadRole::Empty);
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return Err(BadRole::NotARole(shortened(&text)));
        };
        let Some(path_and_name) = resource.strip_prefix("role/") else {
            return Err(BadRole::NotARole(shortened(&text)));
        };
        let Some(partition) = Partition::named(partition) else {
            return Err(BadRole::UnknownPartition {
                arn: shortened(&text),
            });
        };
        let account = account.parse().map_err(|account| BadRole::Account {
            arn: shortened(&text),
            account,
        })?;
        if !is_path_and_name(path_and_name) {
            return Err(BadRole::Name(shortened(&text)));
        }
        Ok(Self {
            partition,
            account,
            text,
        })
    }
}

/// The name has 1 to 64 of `[\w+=,.@-]`, the path in front of it up to 512 of any visible ASCII (IAM API reference,
/// CreateRole, `RoleName` and `Path`).
fn is_path_and_name(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').unwrap_or(("", text));
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
        // The slashes at its ends count too.
        && path.len() <= 510
        && path.bytes().all(|b| b.is_ascii_graphic())
}

/// What was sent may be megabytes long; an error repeats as much of it as an ARN can have.
fn shortened(text: &str) -> String {
    const MAX: usize = 700;
    text.chars().take(MAX).collect()
}

impl FromStr for RoleArn {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        Self::try_from(text.to_owned())
    }
}

impl From<RoleArn> for String {
    fn from(role: RoleArn) -> String {
        role.text
    }
}

impl std::fmt::Display for RoleArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_role_tells_account_and_partition() {
        for (arn, partition) in [
            ("arn:aws:iam::123456789012:role/obs", Partition::Aws),
            (
                "arn:aws-cn:iam::123456789012:role/a/b:c/Obs+=,.@-_1",
                Partition::AwsCn,
            ),
            (
                "arn:aws-us-gov:iam::123456789012:role/x",
                Partition::AwsUsGov,
            ),
            ("arn:aws-eusc:iam::123456789012:role/x", Partition::AwsEusc),
        ] {
            let role: RoleArn = arn.parse().unwrap();
            assert_eq!(role.as_str(), arn);
            assert_eq!(role.partition(), partition);
            assert_eq!(role.account().as_str(), "123456789012");
        }
    }

    #[test]
    fn what_is_no_role_is_refused() {
        let refused = |arn: &str| arn.parse::<RoleArn>().unwrap_err().to_string();
        for arn in [
            "obs",
            "arn:aws:iam::123456789012:user/tom",
            "arn:aws:iam::123456789012:role",
            "arn:aws:sts::123456789012:assumed-role/obs/x",
            "arn:aws:iam:us-east-1:123456789012:role/obs",
            " arn:aws:iam::123456789012:role/obs",
        ] {
            assert_eq!(
                refused(arn),
                format!(
                    "arn '{arn}' is not the ARN of an IAM role: expected arn:<partition>:iam::<12 digits>:role/<name>"
                )
            );
        }
        assert_eq!(
            refused(""),
            "arn is empty: expected arn:<partition>:iam::<12 digits>:role/<name>"
        );
        assert_eq!(
            refused("arn:azure:iam::123456789012:role/obs"),
            "arn 'arn:azure:iam::123456789012:role/obs' is in an unknown partition: valid are aws, aws-cn, aws-us-gov, \
             aws-eusc"
        );
        assert_eq!(
            refused("arn:aws:iam::12345:role/obs"),
            "arn 'arn:aws:iam::12345:role/obs' is not the ARN of an IAM role: '12345' is no AWS account id: it has 12 \
             digits"
        );
        for arn in [
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role/path/",
            "arn:aws:iam::123456789012:role/a\n",
            "arn:aws:iam::123456789012:role/p\u{7f}/a",
            &format!("arn:aws:iam::123456789012:role/{}", "x".repeat(65)),
        ] {
            assert_eq!(
                refused(arn),
                format!(
                    "arn '{arn}' has an illegal role name or path: a name has 1 to 64 characters, letters, digits and \
                     any of _+=,.@-"
                )
            );
        }
    }
}
