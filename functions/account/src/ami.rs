//! The AMI: registered from the snapshot, under the job's name.

use aws_sdk_ec2::{
    Client,
    types::{
        ArchitectureValues, BlockDeviceMapping, BootModeValues, EbsBlockDevice, Filter, Image,
        ImdsSupportValues, ResourceType, VolumeType,
    },
};
use cloudupload::{
    aws::{self, Failure},
    image::partition::BootMode,
    job::Job,
    names::Arch,
    workflow::StepError,
};

use crate::tags;

/// Why there is no AMI.
#[derive(Debug, thiserror::Error)]
pub enum AmiError {
    #[error(
        "the AMI name '{name}' is taken by {image} in this account and region: choose another ami_name, or deregister \
         that image"
    )]
    NameTaken { name: String, image: String },
    #[error(transparent)]
    Aws(#[from] Failure),
}

impl From<AmiError> for StepError {
    fn from(error: AmiError) -> Self {
        match error {
            AmiError::Aws(failure) => failure.into(),
            error => StepError::because(error),
        }
    }
}

/// The AMI of one job.
#[derive(Clone, Debug)]
pub struct Ami<'a> {
    pub(crate) ec2: &'a Client,
    pub(crate) job: &'a Job,
    pub(crate) deployment: &'a str,
}

/// The root device's name, as ec2uploadimg gave it.
const ROOT: &str = "/dev/sda1";

impl Ami<'_> {
    fn name(&self) -> String {
        self.job.order.ec2.ami_name.to_string()
    }

    /// The image that has the job's AMI name, if any does.
    async fn namesake(&self) -> Result<Option<Image>, Failure> {
        let answer = self
            .ec2
            .describe_images()
            .owners("self")
            .filters(Filter::builder().name("name").values(self.name()).build())
            .send()
            .await
            .map_err(Failure::of("ec2:DescribeImages"))?;
        Ok(answer.images.unwrap_or_default().into_iter().next())
    }

    fn is_ours(&self, image: &Image) -> bool {
        tags::are_of(image.tags(), self.job.id, self.deployment)
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

    /// The id of the job's AMI, if it was registered.
    pub async fn find(&self) -> Result<Option<String>, Failure> {
        Ok(self
            .namesake()
            .await?
            .filter(|image| self.is_ours(image))
            .and_then(|image| image.image_id))
    }

    /// Tags the snapshot that the import made: neither ImportSnapshot nor RegisterImage does. Answers whether it is there.
    pub async fn tag_snapshot(&self, snapshot: &str) -> Result<bool, Failure> {
        let answer = self
            .ec2
            .create_tags()
            .resources(snapshot)
            .set_tags(Some(tags::of(self.job, self.deployment)))
            .send()
            .await
            .map_err(Failure::of("ec2:CreateTags"));
        aws::unless(&[NO_SNAPSHOT], answer).map(|tagged| tagged.is_some())
    }

    /// Registers the AMI and answers with its id. Registered twice, it is still one AMI: its name is unique in its
    /// account and region, and its tags tell whose it is.
    pub async fn register(&self, snapshot: &str, boot: BootMode) -> Result<String, AmiError> {
        let root = BlockDeviceMapping::builder()
            .device_name(ROOT)
            .ebs(
                EbsBlockDevice::builder()
                    .snapshot_id(snapshot)
                    .volume_type(VolumeType::Gp3)
                    .delete_on_termination(true)
                    .build(),
            )
            .build();
        let order = &self.job.order;
        let answer = self
            .ec2
            .register_image()
            .name(self.name())
            .description(tags::description(&format!(
                "{} from {}/{}",
                order.filename, order.project, order.package
            )))
            .architecture(match order.arch {
                Arch::X86_64 => ArchitectureValues::X8664,
                Arch::Aarch64 => ArchitectureValues::Arm64,
            })
            .boot_mode(match boot {
                BootMode::LegacyBios => BootModeValues::LegacyBios,
                BootMode::Uefi => BootModeValues::Uefi,
                BootMode::UefiPreferred => BootModeValues::UefiPreferred,
            })
            .virtualization_type("hvm")
            .ena_support(true)
            .imds_support(ImdsSupportValues::V20)
            .root_device_name(ROOT)
            .block_device_mappings(root)
            .tag_specifications(tags::specification(
                ResourceType::Image,
                self.job,
                self.deployment,
            ))
            .send()
            .await
            .map_err(Failure::of("ec2:RegisterImage"));
        let id = match answer {
            Err(failure) if failure.has_code("InvalidAMIName.Duplicate") => {
                match self.namesake().await? {
                    Some(image) if self.is_ours(&image) => image.image_id,
                    Some(image) => return Err(self.taken(image)),
                    None => return Err(failure.into()),
                }
            }
            answer => answer?.image_id,
        };
        Ok(id.ok_or_else(|| Failure::odd("ec2:RegisterImage", "the answer has no image id"))?)
    }

    /// Takes the AMI back. One that is not there is no error.
    pub async fn deregister(&self, image: &str) -> Result<(), Failure> {
        let answer = self
            .ec2
            .deregister_image()
            .image_id(image)
            .send()
            .await
            .map_err(Failure::of("ec2:DeregisterImage"));
        aws::unless(
            &["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"],
            answer,
        )
        .map(drop)
    }

    /// Deletes the snapshot, which has to have the job's tags. One that is not there is no error.
    pub async fn delete_snapshot(&self, snapshot: &str) -> Result<(), Failure> {
        let answer = self
            .ec2
            .delete_snapshot()
            .snapshot_id(snapshot)
            .send()
            .await
            .map_err(Failure::of("ec2:DeleteSnapshot"));
        aws::unless(&[NO_SNAPSHOT], answer).map(drop)
    }
}

const NO_SNAPSHOT: &str = "InvalidSnapshot.NotFound";
