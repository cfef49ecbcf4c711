use serde::{Deserialize, Serialize};

/// How an AMI is to boot, in the words of `RegisterImage` (EC2 User Guide, "Instance launch behavior with Amazon EC2
/// boot modes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootMode {
    LegacyBios,
    Uefi,
    UefiPreferred,
}
