use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether instances of the AMI demand version 2 of the instance metadata service, unless account or launch say
/// otherwise: `imds_support`. RegisterImage has one value, `v2.0`; to ask for nothing, it is left out (EC2 User Guide,
/// "Configure instance metadata options for new instances").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImdsSupport {
    #[default]
    #[serde(rename = "v2.0")]
    V2,
    #[serde(rename = "none")]
    None,
}

/// Text that says nothing of the instance metadata service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "imds_support '{0}' is unknown: give v2.0, which is the default, or none, with which instances answer IMDSv1 too"
)]
pub struct BadImdsSupport(String);

impl FromStr for ImdsSupport {
    type Err = BadImdsSupport;

    fn from_str(text: &str) -> Result<Self, BadImdsSupport> {
        match text {
            "v2.0" => Ok(ImdsSupport::V2),
            "none" => Ok(ImdsSupport::None),
            _ => Err(BadImdsSupport(text.chars().take(64).collect())),
        }
    }
}
