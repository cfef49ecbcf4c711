//! Where an image goes: the JSON body of the create call, checked before anything is done with it.

mod account_region;
mod ami_name;
mod body;
mod boot_mode;
mod external_id;
mod region;
mod role;
mod route;
mod wishes;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::body::Body;
pub use self::{
    account_region::{AccountRegion, BadAccountRegion},
    ami_name::{AmiName, BadAmiName},
    body::BadBody,
    boot_mode::{BadBootMode, BootMode},
    external_id::{BadExternalId, ExternalId},
    region::{BadRegion, Partition, Region},
    role::{AccountId, BadAccountId, BadRole, RoleArn},
    route::{BadRoute, Route},
    wishes::{
        BadWish, BootWish, DirectNeedsKey, Encryption, ImdsSupport, KmsKey, RootDevice, UserTags,
        VolumeSize, VolumeTooSmall, Wishes,
    },
};
use crate::{
    names::{Arch, FileName, checked_string},
    user::{ConnectedRole, UserRecord},
};

/// Where in EC2 the image goes, under which role, and the AMI's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ec2Target {
    pub role: RoleArn,
    pub external_id: ExternalId,
    pub region: Region,
    pub ami_name: AmiName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_subnet_id: Option<SubnetId>,
    #[serde(flatten)]
    pub wishes: Wishes,
}

impl Ec2Target {
    /// How the snapshot is to be encrypted.
    pub fn encryption(&self) -> &Encryption {
        &self.wishes.encryption
    }

    /// The ARN of the key that is wished, if the body names a key and not an alias. An id means a key of the user's.
    pub fn kms_key_arn(&self) -> Option<String> {
        let key = self.encryption().key()?;
        key.arn(self.region, self.role.account())
    }

    /// Fails if the route cannot grant a wish.
    pub fn check_route(&self, route: Route) -> Result<(), DirectNeedsKey> {
        self.encryption().check_route(route)
    }

    /// Fails if a disk of so many bytes is larger than the volume that is wished.
    pub fn check_volume(&self, disk_bytes: u64) -> Result<(), VolumeTooSmall> {
        match self.wishes.volume_size {
            Some(size) => size.check(disk_bytes),
            None => Ok(()),
        }
    }
}

/// The keys that a create call of a user with a connected role may have beside those that name the image.
const WISHES: [&str; 13] = [
    "region",
    "ami_name",
    "vpc_subnet_id",
    "route",
    "boot_mode",
    "tpm_support",
    "imds_support",
    "ena_support",
    "root_device_name",
    "volume_size",
    "tags",
    "encrypted",
    "kms_key_id",
];

/// The body of a create call. [`of`](Self::of) makes a target of it once the file is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Ec2Params {
    role: RoleArn,
    external_id: ExternalId,
    region: Region,
    ami_name: Option<AmiName>,
    vpc_subnet_id: Option<SubnetId>,
    wishes: Wishes,
}

/// Where this service itself runs: roles of its own account are refused, and those of other partitions cannot be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIdentity {
    pub account: AccountId,
    pub partition: Partition,
}

impl ServiceIdentity {
    /// Refuses a role that this service cannot assume, or must not.
    pub fn check(&self, role: &RoleArn) -> Result<(), BadTarget> {
        if role.partition() != self.partition {
            return Err(BadTarget::OtherPartition {
                role: role.clone(),
                service: self.partition,
            });
        }
        if *role.account() == self.account {
            return Err(BadTarget::OwnAccount(role.clone()));
        }
        Ok(())
    }
}

checked_string!(
    /// A subnet such as `subnet-0a1b2c3d`. The uploader that started a helper instance needed it; it is kept in the record
    /// and not used.
    SubnetId, check_subnet => BadSubnet
);

/// Text that is no subnet's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("vpc_subnet_id '{0}' is illegal: expected an id such as subnet-0a1b2c3d, or nothing")]
pub struct BadSubnet(String);

fn check_subnet(text: &str) -> Result<(), BadSubnet> {
    match text.strip_prefix("subnet-") {
        Some(id)
            if (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            Ok(())
        }
        _ => Err(BadSubnet(text.chars().take(64).collect())),
    }
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    #[error("{0}")]
    Body(#[from] BadBody),
    /// OBS's frontend lets users upload who have not entered a role yet.
    #[error(
        "arn is missing: enter the ARN of your AWS role in OBS, on the page 'Cloud Upload', 'Configuration', 'EC2'"
    )]
    NoRole,
    #[error("{0}")]
    Role(#[from] BadRole),
    #[error("{0}")]
    ExternalId(#[from] BadExternalId),
    #[error("{0}")]
    Region(#[from] BadRegion),
    #[error("{0}")]
    AmiName(#[from] BadAmiName),
    #[error("{0}")]
    Subnet(#[from] BadSubnet),
    #[error("{0}")]
    Wish(#[from] BadWish),
    #[error(
        "arn '{0}' is a role of this service's own account: give a role of your own AWS account"
    )]
    OwnAccount(RoleArn),
    #[error("arn '{role}' is in the partition {}, but this service runs in {service} and cannot assume roles elsewhere", .role.partition())]
    OtherPartition { role: RoleArn, service: Partition },
    #[error(
        "the key '{0}' is not taken here: the role is the one that you have connected, and the user is you"
    )]
    NotYours(String),
    #[error("the key '{0}' is unknown: beside what names the image, known are {known}", known = WISHES.join(", "))]
    UnknownKey(String),
}

impl Ec2Params {
    /// Reads the body of a create call for an image of this architecture. Keys that mean nothing here are ignored;
    /// `null` and an empty string count as absent where a key may be absent.
    pub fn from_json(
        body: &[u8],
        arch: Arch,
        service: &ServiceIdentity,
    ) -> Result<Self, BadTarget> {
        let body = Body::from_json(body)?;
        let role: RoleArn = body
            .parsed::<_, BadTarget>("arn")?
            .ok_or(BadTarget::NoRole)?;
        service.check(&role)?;
        let external_id = body.required("external_id")?.parse()?;
        let region = Region::of_partition(body.required("region")?, role.partition())?;
        Ok(Self {
            external_id,
            region,
            ami_name: body.parsed::<_, BadTarget>("ami_name")?,
            vpc_subnet_id: body.parsed::<_, BadTarget>("vpc_subnet_id")?,
            wishes: Wishes::from_body(&body, arch, region)?,
            role,
        })
    }

    /// The same of a user of this service, by the role that the user has connected, and by no other. `None` if there is none.
    pub fn of_user(
        user: &UserRecord,
        wishes: Map<String, Value>,
        arch: Arch,
    ) -> Option<Result<Self, BadTarget>> {
        let role = user.role.as_ref()?;
        Some(Self::of_connected(user, role, wishes, arch))
    }

    /// The same with all that was wished of another job: `former` is its target, whose role and external ID do not count.
    pub fn of_user_again(user: &UserRecord, former: Ec2Target) -> Option<Result<Self, BadTarget>> {
        let role = user.role.as_ref()?;
        // A role in another partition may have been connected since.
        let region = Region::of_partition(former.region.as_str(), role.arn.partition());
        Some(region.map_err(BadTarget::from).map(|region| Self {
            role: role.arn.clone(),
            external_id: user.external_id.clone(),
            region,
            ami_name: Some(former.ami_name),
            vpc_subnet_id: former.vpc_subnet_id,
            wishes: former.wishes,
        }))
    }

    fn of_connected(
        user: &UserRecord,
        role: &ConnectedRole,
        wishes: Map<String, Value>,
        arch: Arch,
    ) -> Result<Self, BadTarget> {
        for key in wishes.keys() {
            match key.as_str() {
                "arn" | "external_id" | "user" => return Err(BadTarget::NotYours(key.clone())),
                key if WISHES.contains(&key) => {}
                _ => return Err(BadTarget::UnknownKey(key.chars().take(64).collect())),
            }
        }
        let body = Body::of(wishes);
        let region = match body.optional("region")? {
            Some(region) => Region::of_partition(region, role.arn.partition())?,
            None => role.region,
        };
        Ok(Self {
            role: role.arn.clone(),
            external_id: user.external_id.clone(),
            region,
            ami_name: body.parsed::<_, BadTarget>("ami_name")?,
            vpc_subnet_id: body.parsed::<_, BadTarget>("vpc_subnet_id")?,
            wishes: Wishes::from_body(&body, arch, region)?,
        })
    }

    /// The target for this file: it names the AMI if the body did not.
    pub fn of(self, file: &FileName) -> Ec2Target {
        Ec2Target {
            role: self.role,
            external_id: self.external_id,
            region: self.region,
            ami_name: self
                .ami_name
                .unwrap_or_else(|| AmiName::from_file_name(file)),
            vpc_subnet_id: self.vpc_subnet_id,
            wishes: self.wishes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{clock::Timestamp, trial::RoleReport};

    fn read(body: &str) -> Result<Ec2Params, BadTarget> {
        let service = ServiceIdentity {
            account: "999999999999".parse().unwrap(),
            partition: Partition::Aws,
        };
        Ec2Params::from_json(body.as_bytes(), Arch::X86_64, &service)
    }

    fn refused(change: &Value) -> String {
        let mut body = json!({
            "arn": "arn:aws:iam::123456789012:role/obs",
            "external_id": "secret-id",
            "region": "eu-central-1",
        });
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        let error = read(&body.to_string()).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        error
    }

    #[test]
    fn what_the_frontend_sends_is_read() {
        let params = read(
            r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"a:b/c","user_id":7,
                "region":"us-east-1","ami_name":"my image","vpc_subnet_id":"","new":[1]}"#,
        )
        .unwrap();
        let target = params.of(&"leap.raw.xz".parse().unwrap());
        assert_eq!(target.role.as_str(), "arn:aws:iam::123456789012:role/obs");
        assert_eq!(target.external_id.secret(), "a:b/c");
        assert_eq!(target.region.as_str(), "us-east-1");
        assert_eq!(target.ami_name.as_str(), "my image");
        assert_eq!(target.vpc_subnet_id, None);
        assert_eq!(target.wishes, Wishes::default());
    }

    #[test]
    fn what_the_wiki_sends_is_read() {
        for name in ["", r#","ami_name":"""#, r#","ami_name":null"#] {
            let params = read(&format!(
                r#"{{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"12","region":"us-east-1"{name}}}"#
            ))
            .unwrap();
            let target = params.of(&"leap-ec2.x86_64-15.6.raw.xz".parse().unwrap());
            assert_eq!(target.ami_name.as_str(), "leap-ec2.x86_64-15.6");
        }
    }

    #[test]
    fn a_target_comes_back_from_the_record_as_it_was() {
        let target = read(
            r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"x-1","region":"us-east-1",
                "vpc_subnet_id":"subnet-0a1b2c3d"}"#,
        )
        .unwrap()
        .of(&"a.raw".parse().unwrap());
        let record = serde_json::to_value(&target).unwrap();
        assert_eq!(
            record,
            json!({
                "role": "arn:aws:iam::123456789012:role/obs",
                "external_id": "x-1",
                "region": "us-east-1",
                "ami_name": "a.raw",
                "vpc_subnet_id": "subnet-0a1b2c3d",
            })
        );
        assert_eq!(serde_json::from_value::<Ec2Target>(record).unwrap(), target);
    }

    #[test]
    fn wishes_are_fields_of_the_record_and_their_checks_are_the_target_s() {
        let body = json!({
            "arn": "arn:aws:iam::123456789012:role/obs", "external_id": "x-1", "region": "us-east-1", "volume_size": 8,
            "kms_key_id": "1234abcd-12ab-34cd-56ef-1234567890ab",
        });
        let params = read(&body.to_string()).unwrap();
        let mut target = params.of(&"a.raw".parse().unwrap());
        let record = serde_json::to_value(&target).unwrap();
        assert_eq!(record["volume_size"], 8);
        assert_eq!(serde_json::from_value::<Ec2Target>(record).unwrap(), target);

        assert_eq!(
            target.kms_key_arn().as_deref(),
            Some("arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")
        );
        assert_eq!(target.check_volume(8 << 30), Ok(()));
        assert!(target.check_volume((8 << 30) + 1).is_err());
        assert_eq!(target.check_route(Route::Direct), Ok(()));

        target.wishes.encryption = Encryption::Key("alias/images".parse().unwrap());
        assert_eq!(target.kms_key_arn(), None);
        assert_eq!(
            target.check_route(Route::Direct).unwrap_err().to_string(),
            "kms_key_id 'alias/images' is an alias, which the route direct cannot use: give the key's ARN or id"
        );
        target.wishes = Wishes::default();
        assert_eq!(target.check_volume(u64::MAX), Ok(()));
        assert_eq!(target.kms_key_arn(), None);
    }

    /// A user whose role is connected, with these wishes.
    fn of_user(wishes: Value) -> Result<Ec2Target, BadTarget> {
        let mut user = UserRecord::new("tom".parse().unwrap(), Timestamp::from_secs(1));
        let Value::Object(wishes) = wishes else {
            panic!("{wishes} is no object");
        };
        assert!(Ec2Params::of_user(&user, wishes.clone(), Arch::X86_64).is_none());
        user.role = Some(ConnectedRole {
            arn: "arn:aws:iam::123456789012:role/obs".parse().unwrap(),
            region: Region::of_partition("eu-central-1", Partition::Aws).unwrap(),
            connected: Timestamp::from_secs(2),
            report: RoleReport::default(),
        });
        let params = Ec2Params::of_user(&user, wishes, Arch::X86_64).unwrap()?;
        let target = params.of(&"a.raw".parse().unwrap());
        assert_eq!(target.external_id, user.external_id);
        assert_eq!(target.role, user.role.unwrap().arn);
        Ok(target)
    }

    #[test]
    fn a_user_uploads_by_the_connected_role_and_no_other() {
        let target = of_user(json!({})).unwrap();
        assert_eq!(target.region.as_str(), "eu-central-1");
        let target =
            of_user(json!({"region": "us-east-1", "ami_name": "leap", "volume_size": 8})).unwrap();
        assert_eq!(target.region.as_str(), "us-east-1");
        assert_eq!(target.ami_name.as_str(), "leap");
        assert!(target.wishes.volume_size.is_some());
        for key in ["arn", "external_id", "user"] {
            let refused = of_user(json!({key: "arn:aws:iam::210987654321:role/other"}));
            assert!(matches!(refused, Err(BadTarget::NotYours(named)) if named == key));
        }
        let refused = of_user(json!({"aminame": "leap"})).unwrap_err().to_string();
        assert!(
            refused.starts_with("the key 'aminame' is unknown: "),
            "{refused}"
        );
        let refused = of_user(json!({"region": "cn-north-1"}));
        assert!(matches!(refused, Err(BadTarget::Region(_))));
    }

    #[test]
    fn another_job_s_wishes_are_repeated_under_the_role_of_now() {
        let wishes = json!({
            "region": "us-east-1", "ami_name": "leap", "vpc_subnet_id": "subnet-0a1b2c3d", "route": "direct",
            "boot_mode": "uefi", "tpm_support": "v2.0", "imds_support": "none", "ena_support": false,
            "root_device_name": "/dev/xvda", "volume_size": 8, "tags": {"Team": "images"}, "encrypted": true,
            "kms_key_id": "1234abcd-12ab-34cd-56ef-1234567890ab",
        });
        assert_eq!(wishes.as_object().unwrap().len(), WISHES.len());
        let former = of_user(wishes).unwrap();
        let mut user = UserRecord::new("tom".parse().unwrap(), Timestamp::from_secs(1));
        assert!(Ec2Params::of_user_again(&user, former.clone()).is_none());
        let mut connect = |role: &str, partition, region| {
            user.role = Some(ConnectedRole {
                arn: role.parse().unwrap(),
                region: Region::of_partition(region, partition).unwrap(),
                connected: Timestamp::from_secs(2),
                report: RoleReport::default(),
            });
            let params = Ec2Params::of_user_again(&user, former.clone()).unwrap();
            (user.external_id.clone(), params)
        };
        let role = "arn:aws:iam::123456789012:role/other";
        let (external_id, params) = connect(role, Partition::Aws, "eu-west-1");
        let target = params.unwrap().of(&"a.raw".parse().unwrap());
        let expected = Ec2Target {
            role: role.parse().unwrap(),
            external_id,
            ..former.clone()
        };
        assert_eq!(target, expected);
        let role = "arn:aws-cn:iam::123456789012:role/other";
        let (_, params) = connect(role, Partition::AwsCn, "cn-north-1");
        assert!(matches!(params, Err(BadTarget::Region(_))));
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused() {
        let example = r#"such as {"arn": "arn:aws:iam::123456789012:role/obs", "external_id": "...", "region": "us-east-1"}"#;
        for (body, reason) in [
            ("", "the body is empty: it must be JSON "),
            (" \n", "the body is empty: it must be JSON "),
            (
                "arn=x",
                "the body is not JSON (expected value at line 1 column 1): it must be JSON ",
            ),
            ("[]", "the body must be a JSON object "),
            ("\"secret\"", "the body must be a JSON object "),
        ] {
            let error = read(body).unwrap_err().to_string();
            assert_eq!(error, format!("{reason}{example}"));
        }
    }

    #[test]
    fn each_field_says_what_is_wrong_with_it() {
        for arn in [json!(null), json!("")] {
            assert_eq!(
                refused(&json!({"arn": arn})),
                "arn is missing: enter the ARN of your AWS role in OBS, on the page 'Cloud Upload', 'Configuration', \
                 'EC2'"
            );
        }
        assert!(refused(&json!({"external_id": null})).starts_with("external_id is missing: "));
        assert_eq!(refused(&json!({"region": 7})), "region must be a string");
        assert_eq!(
            refused(&json!({"ami_name": ["x"]})),
            "ami_name must be a string"
        );
        assert_eq!(
            refused(&json!({"external_id": ""})),
            "external_id is empty: give the external ID that the role's trust policy asks for"
        );
        assert_eq!(
            refused(&json!({"vpc_subnet_id": "vpc-1"})),
            "vpc_subnet_id 'vpc-1' is illegal: expected an id such as subnet-0a1b2c3d, or nothing"
        );
        assert_eq!(
            refused(&json!({"arn": "arn:aws:iam::999999999999:role/admin"})),
            "arn 'arn:aws:iam::999999999999:role/admin' is a role of this service's own account: give a role of your \
             own AWS account"
        );
        assert_eq!(
            refused(
                &json!({"arn": "arn:aws-cn:iam::123456789012:role/obs", "region": "cn-north-1"})
            ),
            "arn 'arn:aws-cn:iam::123456789012:role/obs' is in the partition aws-cn, but this service runs in aws and \
             cannot assume roles elsewhere"
        );
    }
}
