use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The user's own tags for AMI and snapshot: `tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct UserTags(BTreeMap<String, String>);

/// Tags of one resource (EC2 User Guide, "Tag restrictions").
const MAX_TAGS: usize = 50;

/// Tags that the user may add to the six that the uploader itself gives: `Name`, and five that begin with [`OURS`].
const MAX_USERS: usize = MAX_TAGS - 6;

/// Characters of a key and of a value. EC2 takes 127 and 256 (API reference, Tag), and StartSnapshot 127 and 255 (API
/// reference of the EBS direct APIs, Tag). A job's tags have to suit every route.
const MAX_KEY: usize = 127;
const MAX_VALUE: usize = 255;

/// Reserved by EC2, in any case.
const AWS: &str = "aws:";

/// The uploader's own: it finds what it made by them.
const OURS: &str = "obs:";

/// Why tags are refused. A key is repeated only as far as it may be long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTags {
    #[error(r#"tags must be an object of strings such as {{"Team": "images"}}"#)]
    NotAnObject,
    #[error("the tag '{0}' must have a string for its value")]
    NotAString(String),
    #[error("there are {0} tags: beside the uploader's own, EC2 takes at most {MAX_USERS}")]
    TooMany(usize),
    #[error("a tag has no key: a key has 1 to {MAX_KEY} characters")]
    NoKey,
    #[error("the tag '{key}…' has a key of {length} characters: at most {MAX_KEY} are possible")]
    LongKey { key: String, length: usize },
    #[error("the tag '{key}' has a value of {length} characters: at most {MAX_VALUE} are possible")]
    LongValue { key: String, length: usize },
    #[error("the tag '{0}' is reserved: keys that begin with {AWS} are those of AWS")]
    ReservedByAws(String),
    #[error("the tag '{0}' is reserved: keys that begin with {OURS} are the uploader's own")]
    ReservedByUs(String),
    #[error("the tag {0:?} has a control character, which a tag cannot have")]
    Control(String),
}

impl UserTags {
    /// The key of the tag by which the console names things. It is the AMI's name unless the user gives another.
    pub const NAME: &str = "Name";

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn name(&self) -> Option<&str> {
        self.0.get(Self::NAME).map(String::as_str)
    }

    pub(super) fn from_json(tags: &Value) -> Result<Self, BadTags> {
        let tags = match tags {
            Value::Object(tags) => tags,
            Value::String(text) if text.is_empty() => return Ok(Self::default()),
            _ => return Err(BadTags::NotAnObject),
        };
        let tags = tags.iter().map(|(key, value)| match value {
            Value::String(value) => Ok((key.clone(), value.clone())),
            _ => Err(BadTags::NotAString(key.chars().take(MAX_KEY).collect())),
        });
        tags.collect::<Result<BTreeMap<_, _>, _>>()?.try_into()
    }
}

impl TryFrom<BTreeMap<String, String>> for UserTags {
    type Error = BadTags;

    fn try_from(tags: BTreeMap<String, String>) -> Result<Self, BadTags> {
        let added = tags.keys().filter(|&key| key != Self::NAME).count();
        if added > MAX_USERS {
            return Err(BadTags::TooMany(added));
        }
        for (key, value) in &tags {
            check(key, value)?;
        }
        Ok(Self(tags))
    }
}

fn check(key: &str, value: &str) -> Result<(), BadTags> {
    let (key_length, value_length) = (key.chars().count(), value.chars().count());
    if key.is_empty() {
        return Err(BadTags::NoKey);
    }
    if key_length > MAX_KEY {
        return Err(BadTags::LongKey {
            key: key.chars().take(MAX_KEY).collect(),
            length: key_length,
        });
    }
    let key = key.to_owned();
    if key.to_ascii_lowercase().starts_with(AWS) {
        Err(BadTags::ReservedByAws(key))
    } else if key.starts_with(OURS) {
        Err(BadTags::ReservedByUs(key))
    } else if key.contains(char::is_control) || value.contains(char::is_control) {
        Err(BadTags::Control(key))
    } else if value_length > MAX_VALUE {
        Err(BadTags::LongValue {
            key,
            length: value_length,
        })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};
    use serde_json::json;

    use super::*;

    fn refused(tags: &Value) -> String {
        UserTags::from_json(tags).unwrap_err().to_string()
    }

    #[test]
    fn tags_are_those_that_ec2_takes() {
        let tags = json!({
            "Team": "images", "Name": "my image", "cost:center": "", "OBS:x": "y", "Größe": "日本",
            "k".repeat(127): "v".repeat(255),
        });
        let tags = UserTags::from_json(&tags).unwrap();
        assert_eq!(tags.name(), Some("my image"));
        assert_eq!(tags.iter().count(), 6);
        for none in [json!({}), json!("")] {
            assert_eq!(UserTags::from_json(&none), Ok(UserTags::default()));
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (tags, reason) in [
            (
                json!("Team=images"),
                r#"tags must be an object of strings such as {"Team": "images"}"#,
            ),
            (
                json!([{"Key": "a", "Value": "b"}]),
                r#"tags must be an object of strings such as {"Team": "images"}"#,
            ),
            (
                json!({"Build": 7}),
                "the tag 'Build' must have a string for its value",
            ),
            (
                json!({"": "x"}),
                "a tag has no key: a key has 1 to 127 characters",
            ),
            (
                json!({"aws:x": "y"}),
                "the tag 'aws:x' is reserved: keys that begin with aws: are those of AWS",
            ),
            (
                json!({"AWS:x": "y"}),
                "the tag 'AWS:x' is reserved: keys that begin with aws: are those of AWS",
            ),
            (
                json!({"obs:job": "y"}),
                "the tag 'obs:job' is reserved: keys that begin with obs: are the uploader's own",
            ),
            (
                json!({"a\nb": "y"}),
                r#"the tag "a\nb" has a control character, which a tag cannot have"#,
            ),
            (
                json!({"a": "\0"}),
                r#"the tag "a" has a control character, which a tag cannot have"#,
            ),
            (
                json!({"a": "v".repeat(256)}),
                "the tag 'a' has a value of 256 characters: at most 255 are possible",
            ),
        ] {
            assert_eq!(refused(&tags), reason);
        }
        let key = "k".repeat(128);
        assert_eq!(
            refused(&json!({ key: "x" })),
            format!(
                "the tag '{}…' has a key of 128 characters: at most 127 are possible",
                "k".repeat(127)
            )
        );
    }

    #[test]
    fn there_is_room_for_the_uploader_s_own_tags() {
        let tags = |count: usize| -> BTreeMap<String, String> {
            let tags = (0..count).map(|n| (format!("k{n}"), String::new()));
            tags.chain([(UserTags::NAME.to_owned(), "x".to_owned())])
                .collect()
        };
        assert!(UserTags::try_from(tags(44)).is_ok());
        assert_eq!(
            UserTags::try_from(tags(45)).unwrap_err().to_string(),
            "there are 45 tags: beside the uploader's own, EC2 takes at most 44"
        );
    }

    proptest! {
        /// A record is read by the same rules as a body.
        #[test]
        fn tags_come_back_from_the_record_as_they_were(tags in btree_map("\\PC{0,130}", "\\PC{0,260}", 0..4)) {
            if let Ok(tags) = UserTags::from_json(&json!(tags)) {
                let record = serde_json::to_value(&tags).unwrap();
                prop_assert_eq!(serde_json::from_value::<UserTags>(record).unwrap(), tags);
            }
        }
    }
}
