use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A part of AWS with accounts and roles of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    Aws,
    AwsCn,
    AwsUsGov,
    AwsEusc,
}

impl Partition {
    /// Those that can be reached from the internet.
    pub const ALL: [Partition; 4] = [
        Partition::Aws,
        Partition::AwsCn,
        Partition::AwsUsGov,
        Partition::AwsEusc,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::AwsCn => "aws-cn",
            Partition::AwsUsGov => "aws-us-gov",
            Partition::AwsEusc => "aws-eusc",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|partition| partition.as_str() == name)
    }

    /// The partition that a region is in, told by the region's name alone: the service may run in a region that is newer
    /// than the table below.
    pub fn of_region(region: &str) -> Self {
        match region.split('-').next() {
            Some("cn") => Partition::AwsCn,
            Some("eusc") => Partition::AwsEusc,
            Some("us") if region.starts_with("us-gov-") => Partition::AwsUsGov,
            _ => Partition::Aws,
        }
    }

    /// The partition's regions, those included that an account has to opt into (`partitions.json` of the AWS SDKs, and
    /// AWS General Reference, "Regional endpoints").
    fn regions(self) -> &'static [&'static str] {
        match self {
            Partition::Aws => &[
                "af-south-1",
                "ap-east-1",
                "ap-east-2",
                "ap-northeast-1",
                "ap-northeast-2",
                "ap-northeast-3",
                "ap-south-1",
                "ap-south-2",
                "ap-southeast-1",
                "ap-southeast-2",
                "ap-southeast-3",
                "ap-southeast-4",
                "ap-southeast-5",
                "ap-southeast-6",
                "ap-southeast-7",
                "ca-central-1",
                "ca-west-1",
                "eu-central-1",
                "eu-central-2",
                "eu-north-1",
                "eu-south-1",
                "eu-south-2",
                "eu-west-1",
                "eu-west-2",
                "eu-west-3",
                "il-central-1",
                "me-central-1",
                "me-south-1",
                "mx-central-1",
                "sa-east-1",
                "us-east-1",
                "us-east-2",
                "us-west-1",
                "us-west-2",
            ],
            Partition::AwsCn => &["cn-north-1", "cn-northwest-1"],
            Partition::AwsUsGov => &["us-gov-east-1", "us-gov-west-1"],
            Partition::AwsEusc => &["eusc-de-east-1"],
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A region of AWS that is known to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    name: &'static str,
    partition: Partition,
}

/// Why a region is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRegion {
    #[error("region '{name}' is unknown: valid in the partition {partition} are {}", .partition.regions().join(", "))]
    Unknown { name: String, partition: Partition },
    #[error("region '{region}' is in the partition {}, but the role's ARN is in {role}: valid there are {}", .region.partition, .role.regions().join(", "))]
    OtherPartition { region: Region, role: Partition },
}

impl Region {
    pub fn as_str(self) -> &'static str {
        self.name
    }

    pub fn partition(self) -> Partition {
        self.partition
    }

    /// The region called `name`, if it is in the partition of the role that is used there.
    pub fn of_partition(name: &str, role: Partition) -> Result<Self, BadRegion> {
        match Self::named(name) {
            Some(region) if region.partition == role => Ok(region),
            Some(region) => Err(BadRegion::OtherPartition { region, role }),
            None => Err(BadRegion::Unknown {
                name: name.chars().take(64).collect(),
                partition: role,
            }),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Partition::ALL.into_iter().find_map(|partition| {
            let name = partition.regions().iter().find(|&&region| region == name)?;
            Some(Region { name, partition })
        })
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let partition = Partition::of_region(&name);
        Self::of_partition(&name, partition).map_err(D::Error::custom)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_is_known_in_its_partition_and_refused_in_others() {
        for partition in Partition::ALL {
            for &name in partition.regions() {
                let region = Region::of_partition(name, partition).unwrap();
                assert_eq!(region.partition(), partition);
                assert_eq!(Partition::of_region(name), partition);
                for other in Partition::ALL
                    .into_iter()
                    .filter(|&other| other != partition)
                {
                    assert!(
                        Region::of_partition(name, other).is_err(),
                        "{name} in {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn errors_list_what_is_valid() {
        let refused = |name, role| Region::of_partition(name, role).unwrap_err().to_string();
        assert_eq!(
            refused("us-gov-west-3", Partition::AwsUsGov),
            "region 'us-gov-west-3' is unknown: valid in the partition aws-us-gov are us-gov-east-1, us-gov-west-1"
        );
        assert_eq!(
            refused("us-east-1", Partition::AwsCn),
            "region 'us-east-1' is in the partition aws, but the role's ARN is in aws-cn: valid there are cn-north-1, \
             cn-northwest-1"
        );
        for name in ["", "mars-1", "US-EAST-1", "us-east-1 "] {
            assert!(
                refused(name, Partition::Aws).starts_with(&format!(
                    "region '{name}' is unknown: valid in the partition aws are af-south-1, "
                )),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_region_is_its_name_in_a_record() {
        let region = Region::of_partition("eu-west-1", Partition::Aws).unwrap();
        assert_eq!(serde_json::to_string(&region).unwrap(), r#""eu-west-1""#);
        assert_eq!(
            serde_json::from_str::<Region>(r#""eu-west-1""#).unwrap(),
            region
        );
        assert!(serde_json::from_str::<Region>(r#""mars-1""#).is_err());
    }
}
