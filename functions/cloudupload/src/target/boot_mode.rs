use std::{fmt, str::FromStr};

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

impl BootMode {
    pub const ALL: [BootMode; 3] = [
        BootMode::LegacyBios,
        BootMode::Uefi,
        BootMode::UefiPreferred,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            BootMode::LegacyBios => "legacy-bios",
            BootMode::Uefi => "uefi",
            BootMode::UefiPreferred => "uefi-preferred",
        }
    }
}

impl fmt::Display for BootMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no boot mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("boot_mode '{0}' is unknown: give legacy-bios, uefi or uefi-preferred, or leave it out")]
pub struct BadBootMode(String);

impl FromStr for BootMode {
    type Err = BadBootMode;

    fn from_str(text: &str) -> Result<Self, BadBootMode> {
        let mode = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        mode.ok_or_else(|| BadBootMode(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_the_same_name_in_the_body_and_in_the_record() {
        for mode in BootMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        assert_eq!(
            "bios".parse::<BootMode>().unwrap_err().to_string(),
            "boot_mode 'bios' is unknown: give legacy-bios, uefi or uefi-preferred, or leave it out"
        );
    }
}
