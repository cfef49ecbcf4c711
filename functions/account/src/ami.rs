//! The AMI: registered from the snapshot, under the job's name, and deregistered again.

#[cfg(test)]
mod tests;

use aws_sdk_ec2::types::{
    ArchitectureValues, BlockDeviceMapping, BootModeValues, EbsBlockDevice, Filter, Image,
    ImdsSupportValues, ResourceType, TpmSupportValues, VolumeType,
};
use cloudupload::{
    aws::{self, Failure},
    job::{AmiId, SnapshotId},
    names::Arch,
    target::{BootMode, ImdsSupport, VolumeSize, Wishes},
};

use crate::{Session, tags};

/// Why there is no AMI.
#[derive(Debug, thiserror::Error)]
pub enum AmiError {
    #[error(
        "the AMI name '{name}' is taken by {image} in this account and region: choose another ami_name, or deregister \
         that image"
    )]
    NameTaken { name: String, image: String },
    #[error("{0}")]
    Aws(#[from] Failure),
}

/// The AMI of one job.
#[derive(Clone, Copy, Debug)]
pub struct Ami<'a> {
    pub(crate) session: &'a Session<'a>,
}

/// The one value that there is: with it, instances get enhanced networking by Intel's 82599 (EC2 API reference,
/// RegisterImage, `SriovNetSupport`). Other publishers of Linux images set it.
const SRIOV: &str = "simple";

/// EC2's code for a name that is taken.
const DUPLICATE: &str = "InvalidAMIName.Duplicate";

impl Ami<'_> {
    fn name(&self) -> String {
        self.session.job.request.ec2.ami_name.to_string()
    }

    /// The image that has the job's AMI name, if any does. A disabled one keeps its name too.
    async fn namesake(&self) -> Result<Option<Image>, Failure> {
        let filter = Filter::builder().name("name").values(self.name());
        let images = self.own_images(filter.build()).await?;
        Ok(images.into_iter().next())
    }

    /// The images of this account that are made of the snapshot, disabled ones included.
    pub(crate) async fn made_of(&self, snapshot: &SnapshotId) -> Result<Vec<Image>, Failure> {
        let filter = Filter::builder()
            .name("block-device-mapping.snapshot-id")
            .values(snapshot.as_str());
        self.own_images(filter.build()).await
    }

    async fn own_images(&self, filter: Filter) -> Result<Vec<Image>, Failure> {
        let answer = self
            .session
            .ec2
            .describe_images()
            .owners("self")
            .include_disabled(true)
            .filters(filter)
            .send()
            .await
            .map_err(Failure::of("ec2:DescribeImages"))?;
        Ok(answer.images.unwrap_or_default())
    }

    pub(crate) fn is_ours(&self, image: &Image) -> bool {
        self.session.tag.is_in(image.tags())
    }

    /// Fails if the job's AMI name is taken, before a byte is moved.
    pub async fn check_name(&self) -> Result<(), AmiError> {
        match self.namesake().await? {
            Some(image) if !self.is_ours(&image) => Err(self.taken(image)),
            _ => Ok(()),
        }
    }

    fn taken(&self, image: Image) -> AmiError {
        AmiError::NameTaken {
            name: self.name(),
            image: image.image_id.unwrap_or_default(),
        }
    }

    /// Registers the AMI, which boots as the disk tells unless the user wishes otherwise. Idempotent: its name is unique
    /// in its account and region, and its tags tell whose it is.
    pub async fn register(&self, snapshot: &SnapshotId, disk: BootMode) -> Result<AmiId, AmiError> {
        let Session { job, tag, ec2, .. } = self.session;
        let request = &job.request;
        let wishes = &request.ec2.wishes;
        let answer = ec2
            .register_image()
            .name(self.name())
            .description(tags::origin(job))
            .architecture(match request.arch {
                Arch::X86_64 => ArchitectureValues::X8664,
                Arch::Aarch64 => ArchitectureValues::Arm64,
            })
            .boot_mode(match wishes.boot.mode(disk) {
                BootMode::LegacyBios => BootModeValues::LegacyBios,
                BootMode::Uefi => BootModeValues::Uefi,
                BootMode::UefiPreferred => BootModeValues::UefiPreferred,
            })
            .set_tpm_support(wishes.boot.with_tpm().then_some(TpmSupportValues::V20))
            .virtualization_type("hvm")
            .ena_support(wishes.ena_support)
            .sriov_net_support(SRIOV)
            .set_imds_support(match wishes.imds_support {
                ImdsSupport::V2 => Some(ImdsSupportValues::V20),
                ImdsSupport::None => None,
            })
            .root_device_name(wishes.root_device.as_str())
            .block_device_mappings(root_volume(wishes, snapshot))
            .tag_specifications(tags::specification(ResourceType::Image, job, tag))
            .send()
            .await
            .map_err(Failure::of("ec2:RegisterImage"));
        let id = match answer {
            Err(failure) if failure.has_code(DUPLICATE) => {
                match self.namesake().await? {
                    Some(image) if self.is_ours(&image) => image.image_id,
                    Some(image) => return Err(self.taken(image)),
                    // DescribeImages lags: it may be ours, of a call whose answer was lost.
                    None => return Err(failure.transient_on(&[DUPLICATE]).into()),
                }
            }
            answer => answer?.image_id,
        };
        let id = id.unwrap_or_default();
        let id = id.parse();
        Ok(id.map_err(|bad| Failure::unexpected("ec2:RegisterImage", format!("{bad}")))?)
    }

    /// Deregisters the job's AMI. Idempotent.
    pub async fn remove(&self) -> Result<(), Failure> {
        let image = self.namesake().await?;
        let Some(image) = image.filter(|image| self.is_ours(image)) else {
            return Ok(());
        };
        let answer = self
            .session
            .ec2
            .deregister_image()
            .set_image_id(image.image_id)
            .send()
            .await
            .map_err(Failure::of("ec2:DeregisterImage"));
        aws::ok_on_codes(
            &["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"],
            answer,
        )
        .map(drop)
    }
}

/// The volume that instances boot from. EC2 refuses one that is smaller than its snapshot, and that it be encrypted
/// otherwise (API reference, EbsBlockDevice).
fn root_volume(wishes: &Wishes, snapshot: &SnapshotId) -> BlockDeviceMapping {
    let size = wishes.volume_size.map(VolumeSize::gib);
    let volume = EbsBlockDevice::builder()
        .snapshot_id(snapshot.as_str())
        .set_volume_size(size)
        .volume_type(VolumeType::Gp3)
        .delete_on_termination(true)
        .build();
    BlockDeviceMapping::builder()
        .device_name(wishes.root_device.as_str())
        .ebs(volume)
        .build()
}
