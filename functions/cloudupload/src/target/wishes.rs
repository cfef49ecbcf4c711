//! What the user may wish beyond the upload itself. Each wish is a key of the body, and absent from the record if it is
//! not wished; the release before reads and writes records without any.

mod boot;
mod encryption;
mod imds;
mod root_device;
mod tags;
mod volume_size;

use serde::{Deserialize, Serialize};

pub use self::{
    boot::{ArchNeedsUefi, BadTpmSupport, BootWish, TpmNeedsUefi},
    encryption::{BadKmsKey, DirectNeedsKey, Encryption, KeyButUnencrypted, KmsKey},
    imds::{BadImdsSupport, ImdsSupport},
    root_device::{BadRootDevice, RootDevice},
    tags::{BadTags, UserTags},
    volume_size::{BadVolumeSize, VolumeSize, VolumeTooSmall},
};
use super::{
    BadBootMode, BadRoute, Region, Route,
    body::{BadBody, Body},
};
use crate::names::Arch;

/// The wishes of one job. The default is that of a body without any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// The route to take, instead of the best one that is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    #[serde(flatten)]
    pub boot: BootWish,
    #[serde(skip_serializing_if = "is_default")]
    pub imds_support: ImdsSupport,
    /// Whether instances get enhanced networking by the Elastic Network Adapter.
    #[serde(skip_serializing_if = "is_true")]
    pub ena_support: bool,
    #[serde(rename = "root_device_name", skip_serializing_if = "is_default")]
    pub root_device: RootDevice,
    /// The size of the root volume, instead of the snapshot's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<VolumeSize>,
    #[serde(skip_serializing_if = "is_default")]
    pub tags: UserTags,
    #[serde(flatten)]
    pub encryption: Encryption,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            route: None,
            boot: BootWish::default(),
            imds_support: ImdsSupport::default(),
            ena_support: true,
            root_device: RootDevice::default(),
            volume_size: None,
            tags: UserTags::default(),
            encryption: Encryption::default(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}

/// Why a wish is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadWish {
    #[error("{0}")]
    Body(#[from] BadBody),
    #[error("{0}")]
    Route(#[from] BadRoute),
    #[error("{0}")]
    BootMode(#[from] BadBootMode),
    #[error("{0}")]
    Arch(#[from] ArchNeedsUefi),
    #[error("{0}")]
    TpmSupport(#[from] BadTpmSupport),
    #[error("{0}")]
    Tpm(#[from] TpmNeedsUefi),
    #[error("{0}")]
    ImdsSupport(#[from] BadImdsSupport),
    #[error("{0}")]
    RootDevice(#[from] BadRootDevice),
    #[error("{0}")]
    VolumeSize(#[from] BadVolumeSize),
    #[error("{0}")]
    Tags(#[from] BadTags),
    #[error("{0}")]
    KmsKey(#[from] BadKmsKey),
    #[error("{0}")]
    Encryption(#[from] KeyButUnencrypted),
    #[error("{0}")]
    Direct(#[from] DirectNeedsKey),
}

impl Wishes {
    /// The wishes in a body, for an image of this architecture that goes to this region.
    pub(super) fn from_body(body: &Body, arch: Arch, region: Region) -> Result<Self, BadWish> {
        let default = Self::default();
        let volume_size = body.number("volume_size")?;
        let wishes = Self {
            route: body.parsed::<_, BadWish>("route")?,
            boot: BootWish::of(
                body.parsed::<_, BadWish>("boot_mode")?,
                body.parsed::<_, BadWish>("tpm_support")?,
            )?,
            imds_support: body
                .parsed::<_, BadWish>("imds_support")?
                .unwrap_or_default(),
            ena_support: body.boolean("ena_support")?.unwrap_or(default.ena_support),
            root_device: body
                .parsed::<_, BadWish>("root_device_name")?
                .unwrap_or_default(),
            volume_size: volume_size.map(VolumeSize::try_from).transpose()?,
            tags: match body.value("tags") {
                Some(tags) => UserTags::from_json(tags)?,
                None => default.tags,
            },
            encryption: Encryption::of(
                body.boolean("encrypted")?,
                body.parsed::<_, BadWish>("kms_key_id")?,
            )?,
        };
        wishes.boot.check_arch(arch)?;
        if let Some(key) = wishes.encryption.key() {
            key.check_region(region)?;
        }
        if let Some(route) = wishes.route {
            wishes.encryption.check_route(route)?;
        }
        Ok(wishes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::target::{BootMode, Partition};

    fn read(body: &Value, arch: Arch) -> Result<Wishes, BadWish> {
        let body = Body::from_json(body.to_string().as_bytes()).unwrap();
        let region = Region::of_partition("eu-central-1", Partition::Aws).unwrap();
        Wishes::from_body(&body, arch, region)
    }

    const KEY: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// All wishes, none of which is the default.
    fn all() -> Value {
        json!({
            "route": "copy", "boot_mode": "uefi", "tpm_support": "v2.0", "imds_support": "none", "ena_support": false,
            "root_device_name": "/dev/xvda", "volume_size": 20, "tags": {"Team": "images"}, "encrypted": true,
            "kms_key_id": KEY,
        })
    }

    #[test]
    fn every_wish_is_read_and_comes_back_from_the_record() {
        let wishes = read(&all(), Arch::X86_64).unwrap();
        assert_eq!(
            wishes,
            Wishes {
                route: Some(Route::Copy),
                boot: BootWish::UefiWithTpm,
                imds_support: ImdsSupport::None,
                ena_support: false,
                root_device: "/dev/xvda".parse().unwrap(),
                volume_size: Some(VolumeSize::try_from(20).unwrap()),
                tags: UserTags::from_json(&json!({"Team": "images"})).unwrap(),
                encryption: Encryption::Key(KEY.parse().unwrap()),
            }
        );
        assert_eq!(serde_json::to_value(&wishes).unwrap(), all());
        let item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue> =
            serde_dynamo::to_item(&wishes).unwrap();
        assert_eq!(serde_dynamo::from_item::<_, Wishes>(item).unwrap(), wishes);
    }

    #[test]
    fn a_record_has_what_is_wished_and_nothing_else() {
        let default = json!({
            "route": "", "boot_mode": null, "tpm_support": "none", "imds_support": "v2.0", "ena_support": "true",
            "root_device_name": "/dev/sda1", "volume_size": "", "tags": {}, "encrypted": "false", "kms_key_id": "",
        });
        for body in [json!({}), default] {
            for arch in Arch::ALL {
                let wishes = read(&body, arch).unwrap();
                assert_eq!(wishes, Wishes::default());
                assert_eq!(serde_json::to_value(&wishes).unwrap(), json!({}));
            }
        }
        for (body, record) in [
            (json!({"volume_size": "20"}), json!({"volume_size": 20})),
            (json!({"boot_mode": "uefi"}), json!({"boot_mode": "uefi"})),
            (json!({"encrypted": "true"}), json!({"encrypted": true})),
            (
                json!({"kms_key_id": "alias/x"}),
                json!({"encrypted": true, "kms_key_id": "alias/x"}),
            ),
        ] {
            let wishes = read(&body, Arch::X86_64).unwrap();
            assert_eq!(serde_json::to_value(&wishes).unwrap(), record);
        }
    }

    #[test]
    fn each_wish_says_what_is_wrong_with_it() {
        for (body, reason) in [
            (json!({"route": "fast"}), "route 'fast' is unknown: "),
            (json!({"route": 1}), "route must be a string"),
            (
                json!({"boot_mode": "bios"}),
                "boot_mode 'bios' is unknown: ",
            ),
            (
                json!({"tpm_support": "v1.2"}),
                "tpm_support 'v1.2' is unknown: give v2.0 or none, ",
            ),
            (
                json!({"tpm_support": "v2.0", "boot_mode": "uefi-preferred"}),
                "tpm_support 'v2.0' needs the boot_mode uefi, ",
            ),
            (
                json!({"imds_support": "optional"}),
                "imds_support 'optional' is unknown: give v2.0, ",
            ),
            (
                json!({"ena_support": "no"}),
                "ena_support must be true or false",
            ),
            (
                json!({"root_device_name": "sda"}),
                "root_device_name 'sda' is illegal: ",
            ),
            (json!({"volume_size": 0}), "volume_size 0 is out of range: "),
            (
                json!({"volume_size": "20GB"}),
                "volume_size must be a whole number",
            ),
            (json!({"tags": ["x"]}), "tags must be an object of strings "),
            (json!({"encrypted": 1}), "encrypted must be true or false"),
            (json!({"kms_key_id": "x"}), "kms_key_id 'x' is illegal: "),
            (
                json!({"kms_key_id": KEY.replace("eu-", "us-").replace("central-1", "east-1")}),
                "kms_key_id 'arn:aws:kms:us-east-1:",
            ),
            (
                json!({"kms_key_id": "alias/x", "encrypted": false}),
                "kms_key_id contradicts 'encrypted': false",
            ),
            (
                json!({"kms_key_id": "alias/x", "route": "direct"}),
                "kms_key_id 'alias/x' is an alias, which the route direct cannot use: ",
            ),
        ] {
            let error = read(&body, Arch::X86_64).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{body}: {error}");
        }
    }

    #[test]
    fn the_architecture_decides_which_boot_modes_are_possible() {
        for mode in BootMode::ALL {
            let body = json!({ "boot_mode": mode.as_str() });
            assert!(read(&body, Arch::X86_64).is_ok());
            assert_eq!(read(&body, Arch::Aarch64).is_ok(), mode == BootMode::Uefi);
        }
        let tpm = read(&json!({"tpm_support": "v2.0"}), Arch::Aarch64).unwrap();
        assert_eq!(tpm.boot, BootWish::UefiWithTpm);
    }
}
