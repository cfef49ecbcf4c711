use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{names::Arch, target::BootMode};

/// How the AMI is to boot, and whether its instances get a TPM: `boot_mode` and `tpm_support`.
///
/// "To enable a Linux AMI for NitroTPM […] For --boot-mode, specify uefi" (EC2 User Guide, "Enable a Linux AMI for
/// NitroTPM"), so a TPM comes with that boot mode and no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum BootWish {
    /// As the disk tells, without a TPM.
    #[default]
    AsDisk,
    /// In this mode, without a TPM.
    Mode(BootMode),
    /// By UEFI, with a TPM 2.0.
    UefiWithTpm,
}

impl BootWish {
    pub(super) fn of(
        boot_mode: Option<BootMode>,
        tpm_support: Option<TpmSupport>,
    ) -> Result<Self, TpmNeedsUefi> {
        match (boot_mode, tpm_support.unwrap_or_default()) {
            (None, TpmSupport::None) => Ok(BootWish::AsDisk),
            (Some(mode), TpmSupport::None) => Ok(BootWish::Mode(mode)),
            (None | Some(BootMode::Uefi), TpmSupport::V2) => Ok(BootWish::UefiWithTpm),
            (Some(mode), TpmSupport::V2) => Err(TpmNeedsUefi(mode)),
        }
    }

    /// The AMI's boot mode, if the disk tells `disk`.
    pub fn mode(self, disk: BootMode) -> BootMode {
        match self {
            BootWish::AsDisk => disk,
            BootWish::Mode(mode) => mode,
            BootWish::UefiWithTpm => BootMode::Uefi,
        }
    }

    pub fn with_tpm(self) -> bool {
        self == BootWish::UefiWithTpm
    }

    /// Whether EC2 registers an AMI of that architecture so. "Graviton instance types: UEFI" (EC2 User Guide, "Instance
    /// launch behavior with Amazon EC2 boot modes").
    pub(super) fn check_arch(self, arch: Arch) -> Result<(), ArchNeedsUefi> {
        match (arch, self.mode(BootMode::Uefi)) {
            (Arch::X86_64, _) | (Arch::Aarch64, BootMode::Uefi) => Ok(()),
            (Arch::Aarch64, mode) => Err(ArchNeedsUefi { arch, mode }),
        }
    }
}

/// A TPM that EC2 would not give to instances that boot in this mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tpm_support 'v2.0' needs the boot_mode uefi, not {0}: change one, or leave one out")]
pub struct TpmNeedsUefi(BootMode);

/// A boot mode that no instance of this architecture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("boot_mode '{mode}' is not possible on {arch}: it boots by uefi only")]
pub struct ArchNeedsUefi {
    arch: Arch,
    mode: BootMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TpmSupport {
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "v2.0")]
    V2,
}

/// Text that names no kind of TPM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tpm_support '{0}' is unknown: give v2.0 or none, or leave it out")]
pub struct BadTpmSupport(String);

impl FromStr for TpmSupport {
    type Err = BadTpmSupport;

    fn from_str(text: &str) -> Result<Self, BadTpmSupport> {
        match text {
            "none" => Ok(TpmSupport::None),
            "v2.0" => Ok(TpmSupport::V2),
            _ => Err(BadTpmSupport(text.chars().take(64).collect())),
        }
    }
}

/// The wish as it is in a record.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot_mode: Option<BootMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tpm_support: Option<TpmSupport>,
}

impl TryFrom<Fields> for BootWish {
    type Error = TpmNeedsUefi;

    fn try_from(fields: Fields) -> Result<Self, TpmNeedsUefi> {
        Self::of(fields.boot_mode, fields.tpm_support)
    }
}

impl From<BootWish> for Fields {
    fn from(wish: BootWish) -> Self {
        let (boot_mode, tpm_support) = match wish {
            BootWish::AsDisk => (None, None),
            BootWish::Mode(mode) => (Some(mode), None),
            BootWish::UefiWithTpm => (Some(BootMode::Uefi), Some(TpmSupport::V2)),
        };
        Self {
            boot_mode,
            tpm_support,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tpm_comes_with_uefi_and_no_other_boot_mode() {
        let tpm = Some(TpmSupport::V2);
        for mode in [None, Some(BootMode::Uefi)] {
            assert_eq!(BootWish::of(mode, tpm), Ok(BootWish::UefiWithTpm));
        }
        for mode in [BootMode::LegacyBios, BootMode::UefiPreferred] {
            let error = BootWish::of(Some(mode), tpm).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "tpm_support 'v2.0' needs the boot_mode uefi, not {mode}: change one, or leave one out"
                )
            );
            assert_eq!(
                BootWish::of(Some(mode), Some(TpmSupport::None)),
                Ok(BootWish::Mode(mode))
            );
        }
    }

    #[test]
    fn a_wish_goes_before_what_the_disk_tells() {
        for disk in BootMode::ALL {
            assert_eq!(BootWish::AsDisk.mode(disk), disk);
            assert_eq!(BootWish::UefiWithTpm.mode(disk), BootMode::Uefi);
            for mode in BootMode::ALL {
                assert_eq!(BootWish::Mode(mode).mode(disk), mode);
            }
        }
    }

    #[test]
    fn aarch64_boots_by_uefi_only() {
        for wish in [
            BootWish::AsDisk,
            BootWish::Mode(BootMode::Uefi),
            BootWish::UefiWithTpm,
        ] {
            assert_eq!(wish.check_arch(Arch::Aarch64), Ok(()));
        }
        for mode in [BootMode::LegacyBios, BootMode::UefiPreferred] {
            assert_eq!(BootWish::Mode(mode).check_arch(Arch::X86_64), Ok(()));
            let error = BootWish::Mode(mode).check_arch(Arch::Aarch64).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("boot_mode '{mode}' is not possible on aarch64: it boots by uefi only")
            );
        }
    }
}
