use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::target::{AccountId, Partition, Region, Route};

/// Whether the snapshot is encrypted: `encrypted` and `kms_key_id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum Encryption {
    /// As the account has it: not, unless it encrypts by default.
    #[default]
    Default,
    /// By the account's default key for EBS.
    Encrypted,
    /// By this key.
    Key(KmsKey),
}

impl Encryption {
    pub(super) fn of(
        encrypted: Option<bool>,
        key: Option<KmsKey>,
    ) -> Result<Self, KeyButUnencrypted> {
        match (encrypted, key) {
            (None | Some(false), None) => Ok(Encryption::Default),
            (Some(true), None) => Ok(Encryption::Encrypted),
            (None | Some(true), Some(key)) => Ok(Encryption::Key(key)),
            (Some(false), Some(_)) => Err(KeyButUnencrypted),
        }
    }

    /// Whether the user wishes encryption, whatever the account does by default.
    pub fn is_wished(&self) -> bool {
        *self != Encryption::Default
    }

    /// The key that is wished.
    pub fn key(&self) -> Option<&KmsKey> {
        match self {
            Encryption::Key(key) => Some(key),
            Encryption::Default | Encryption::Encrypted => None,
        }
    }

    /// Whether the route can encrypt like that.
    pub(in crate::target) fn check_route(&self, route: Route) -> Result<(), DirectNeedsKey> {
        match (route, self.key()) {
            (Route::Direct, Some(key)) if key.is_alias() => Err(DirectNeedsKey(key.clone())),
            _ => Ok(()),
        }
    }
}

/// A key beside the wish to use none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kms_key_id contradicts 'encrypted': false. Leave one out")]
pub struct KeyButUnencrypted;

/// An alias where AWS takes the key's ARN only (API reference of the EBS direct APIs, StartSnapshot, `KmsKeyArn`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "kms_key_id '{0}' is an alias, which the route direct cannot use: give the key's ARN or id"
)]
pub struct DirectNeedsKey(KmsKey);

/// A KMS key in one of the forms that EC2 takes: id, ARN, alias, ARN of an alias (EC2 API reference, CopySnapshot,
/// `KmsKeyId`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KmsKey {
    text: String,
    /// Where the key is, if the text is an ARN.
    region: Option<Region>,
    names: Names,
}

/// What the text, or the last part of the ARN, names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Key,
    Alias,
}

/// Why text names no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKmsKey {
    #[error(
        "kms_key_id '{0}' is illegal: expected the id of a key such as 1234abcd-12ab-34cd-56ef-1234567890ab, an alias \
         such as alias/images, or the ARN of either"
    )]
    Illegal(String),
    #[error(
        "kms_key_id '{key}' is in the region {region}, but the image goes to {target}: give a key of that region"
    )]
    OtherRegion {
        key: KmsKey,
        region: Region,
        target: Region,
    },
}

impl KmsKey {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key's ARN, where an id means a key of this account and region. An alias does not tell it.
    pub fn arn(&self, region: Region, account: &AccountId) -> Option<String> {
        match (self.names, self.region) {
            (Names::Alias, _) => None,
            (Names::Key, Some(_)) => Some(self.text.clone()),
            (Names::Key, None) => {
                let (partition, id) = (region.partition(), &self.text);
                Some(format!("arn:{partition}:kms:{region}:{account}:key/{id}"))
            }
        }
    }

    fn is_alias(&self) -> bool {
        self.names == Names::Alias
    }

    /// Fails if the key is known to be elsewhere: EBS uses keys of the snapshot's region only.
    pub(super) fn check_region(&self, target: Region) -> Result<(), BadKmsKey> {
        match self.region {
            Some(region) if region != target => Err(BadKmsKey::OtherRegion {
                key: self.clone(),
                region,
                target,
            }),
            _ => Ok(()),
        }
    }
}

impl TryFrom<String> for KmsKey {
    type Error = BadKmsKey;

    fn try_from(text: String) -> Result<Self, BadKmsKey> {
        let parts = match text.starts_with("arn:") {
            true => of_arn(&text),
            false => names(&text, "").map(|names| (None, names)),
        };
        match parts {
            Some((region, names)) => Ok(Self {
                text,
                region,
                names,
            }),
            None => Err(BadKmsKey::Illegal(text.chars().take(400).collect())),
        }
    }
}

impl FromStr for KmsKey {
    type Err = BadKmsKey;

    fn from_str(text: &str) -> Result<Self, BadKmsKey> {
        Self::try_from(text.to_owned())
    }
}

impl From<KmsKey> for String {
    fn from(key: KmsKey) -> String {
        key.text
    }
}

impl fmt::Display for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads `arn:<partition>:kms:<region>:<account>:key/<id>` or `…:alias/<name>`.
fn of_arn(arn: &str) -> Option<(Option<Region>, Names)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
        return None;
    };
    account.parse::<AccountId>().ok()?;
    let region = Region::of_partition(region, Partition::named(partition)?).ok()?;
    Some((Some(region), names(resource, "key/")?))
}

/// What `<prefix><id>` or `alias/<name>` names.
fn names(text: &str, prefix: &str) -> Option<Names> {
    if text.strip_prefix(prefix).is_some_and(is_key_id) {
        Some(Names::Key)
    } else if is_alias(text) {
        Some(Names::Alias)
    } else {
        None
    }
}

/// A UUID, or `mrk-` and 32 hex digits (KMS developer guide, "Key identifiers (KeyId)").
fn is_key_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    match groups.as_slice() {
        ["mrk", id] => is_hex(id, 32),
        &[a, b, c, d, e] => [(a, 8), (b, 4), (c, 4), (d, 4), (e, 12)]
            .into_iter()
            .all(|(group, length)| is_hex(group, length)),
        _ => false,
    }
}

/// `alias/` and a name, 256 characters at most: letters, digits and any of `/_-` (KMS API reference, CreateAlias).
fn is_alias(text: &str) -> bool {
    let name = text.strip_prefix("alias/").unwrap_or_default();
    !name.is_empty()
        && text.len() <= 256
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b))
}

/// The wish as it is in a record.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<KmsKey>,
}

impl TryFrom<Fields> for Encryption {
    type Error = KeyButUnencrypted;

    fn try_from(fields: Fields) -> Result<Self, KeyButUnencrypted> {
        Self::of(fields.encrypted, fields.kms_key_id)
    }
}

impl From<Encryption> for Fields {
    fn from(encryption: Encryption) -> Self {
        Self {
            encrypted: encryption.is_wished().then_some(true),
            kms_key_id: match encryption {
                Encryption::Key(key) => Some(key),
                Encryption::Default | Encryption::Encrypted => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn region(name: &str) -> Region {
        Region::of_partition(name, Partition::of_region(name)).unwrap()
    }

    fn key(text: &str) -> KmsKey {
        text.parse().expect(text)
    }

    #[test]
    fn a_key_alone_implies_encryption() {
        let wished = |encrypted, key| Encryption::of(encrypted, key);
        assert_eq!(wished(None, None), Ok(Encryption::Default));
        assert_eq!(wished(Some(false), None), Ok(Encryption::Default));
        assert_eq!(wished(Some(true), None), Ok(Encryption::Encrypted));
        for encrypted in [None, Some(true)] {
            let wished = wished(encrypted, Some(key(ID))).unwrap();
            assert!(wished.is_wished());
            assert_eq!(wished.key(), Some(&key(ID)));
        }
        assert_eq!(
            wished(Some(false), Some(key(ID))).unwrap_err().to_string(),
            "kms_key_id contradicts 'encrypted': false. Leave one out"
        );
    }

    #[test]
    fn a_key_has_the_forms_that_ec2_takes() {
        let account: AccountId = "123456789012".parse().unwrap();
        for (text, arn) in [
            (
                ID,
                Some(
                    "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                ),
            ),
            (
                "mrk-1234abcd12ab34cd56ef1234567890ab",
                Some(
                    "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
                ),
            ),
            (
                "arn:aws:kms:eu-central-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                Some(
                    "arn:aws:kms:eu-central-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                ),
            ),
            ("alias/images", None),
            ("alias/aws/ebs", None),
            ("arn:aws:kms:eu-central-1:123456789012:alias/images", None),
        ] {
            let key = key(text);
            assert_eq!(key.arn(region("eu-central-1"), &account).as_deref(), arn);
            assert_eq!(key.check_region(region("eu-central-1")), Ok(()));
            let direct = Encryption::Key(key.clone()).check_route(Route::Direct);
            assert_eq!(direct.is_ok(), arn.is_some(), "{text}");
            for route in [Route::Import, Route::Copy] {
                assert_eq!(Encryption::Key(key.clone()).check_route(route), Ok(()));
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "images",
            "alias/",
            "alias/a b",
            "alias/ä",
            "key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "1234abcd-12ab-34cd-56ef-1234567890a",
            "1234abcd-12ab-34cd-56ef-1234567890ag",
            "1234abcd12ab34cd56ef1234567890ab",
            "mrk-1234",
            "arn:aws:kms:eu-central-1:123456789012:1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-central-1:1234:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:mars-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws-cn:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:iam::123456789012:role/obs",
            &format!("alias/{}", "x".repeat(251)),
        ] {
            let error = text.parse::<KmsKey>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "kms_key_id '{text}' is illegal: expected the id of a key such as \
                     1234abcd-12ab-34cd-56ef-1234567890ab, an alias such as alias/images, or the ARN of either"
                )
            );
        }
    }

    #[test]
    fn a_key_is_in_the_region_that_the_image_goes_to() {
        for (arn, elsewhere) in [
            (
                "arn:aws:kms:eu-central-1:123456789012:alias/images",
                "eu-central-1",
            ),
            (
                "arn:aws-cn:kms:cn-north-1:123456789012:alias/images",
                "cn-north-1",
            ),
        ] {
            assert_eq!(
                key(arn)
                    .check_region(region("us-east-1"))
                    .unwrap_err()
                    .to_string(),
                format!(
                    "kms_key_id '{arn}' is in the region {elsewhere}, but the image goes to us-east-1: give a key of \
                     that region"
                )
            );
        }
    }

    proptest! {
        #[test]
        fn a_key_comes_back_from_the_record_as_it_was(
            text in "alias/[a-zA-Z0-9/_-]{1,20}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}"
        ) {
            for text in [text.clone(), format!("arn:aws:kms:us-east-1:123456789012:{}", resource(&text))] {
                let encryption = Encryption::Key(key(&text));
                let record = serde_json::to_value(&encryption).unwrap();
                prop_assert_eq!(&record["kms_key_id"], &text);
                prop_assert_eq!(serde_json::from_value::<Encryption>(record).unwrap(), encryption);
            }
        }
    }

    fn resource(text: &str) -> String {
        match text.starts_with("alias/") {
            true => text.to_owned(),
            false => format!("key/{text}"),
        }
    }
}
