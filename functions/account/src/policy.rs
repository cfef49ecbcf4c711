//! What a session in the user's account may do: what one step needs for one job, and nothing else.

use cloudupload::target::Ec2Target;
use serde_json::{Value, json};

use crate::{
    route::{SERVICE_ROLE, bucket_name, object_key},
    tags::{self, JobTag},
};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `prepare`: opens the route's target, and looks whether the AMI's name is free.
    Open,
    /// `transfer`: writes one slice.
    Write,
    /// `seal`: closes the route's target, and begins to make a snapshot of it.
    Seal,
    /// `poll`: looks at the snapshot, and tags it.
    Poll,
    /// `register`: registers the AMI.
    Register,
    /// `finish`: removes what has the job's tag.
    Remove,
}

impl Purpose {
    #[cfg(test)]
    const ALL: [Purpose; 6] = [
        Purpose::Open,
        Purpose::Write,
        Purpose::Seal,
        Purpose::Poll,
        Purpose::Register,
        Purpose::Remove,
    ];
}

/// The session policy. It allows nothing that the role does not allow. AWS takes no more than 2,048 characters (API
/// reference, AssumeRole, `Policy`).
///
/// `s3:PutObject` is what all of a multipart upload needs but for its list of parts and its end by abortion (S3 user guide,
/// "Multipart upload API and permissions").
pub(crate) fn of(purpose: Purpose, target: &Ec2Target, tag: &JobTag) -> Value {
    let scope = Scope { target, tag };
    let statements = match purpose {
        Purpose::Open => vec![
            scope.bucket(&[
                "s3:CreateBucket",
                "s3:ListBucket",
                "s3:PutBucketPublicAccessBlock",
                "s3:GetLifecycleConfiguration",
                "s3:PutLifecycleConfiguration",
            ]),
            scope.object(&["s3:PutObject"]),
            scope.region(&["ec2:DescribeImages"]),
        ],
        Purpose::Write => vec![scope.object(&["s3:PutObject"])],
        Purpose::Seal => vec![
            // EC2 looks under this session whether the bucket is in its region, and whether it may read the object (VM
            // Import/Export user guide, "Required permissions for VM Import/Export").
            scope.bucket(&["s3:ListBucket", "s3:GetBucketLocation"]),
            scope.object(&[
                "s3:PutObject",
                "s3:ListMultipartUploadParts",
                "s3:GetObject",
            ]),
            scope.region(&["ec2:ImportSnapshot"]),
            scope.create_tags(),
            scope.pass_service_role(),
        ],
        Purpose::Poll => vec![
            scope.region(&["ec2:DescribeImportSnapshotTasks"]),
            scope.create_tags(),
        ],
        Purpose::Register => vec![
            scope.region(&["ec2:DescribeImages", "ec2:RegisterImage"]),
            scope.create_tags(),
        ],
        Purpose::Remove => vec![
            scope.bucket(&["s3:ListBucketMultipartUploads"]),
            scope.object(&["s3:DeleteObject", "s3:AbortMultipartUpload"]),
            scope.region(&["ec2:DescribeImportSnapshotTasks", "ec2:DescribeImages"]),
            scope.create_tags(),
            scope.tagged(&[
                "ec2:CancelImportTask",
                "ec2:DeregisterImage",
                "ec2:DeleteSnapshot",
            ]),
        ],
    };
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// What the statements of a job's policies are about.
struct Scope<'a> {
    target: &'a Ec2Target,
    tag: &'a JobTag,
}

impl Scope<'_> {
    fn bucket(&self, actions: &[&str]) -> Value {
        json!({ "Effect": "Allow", "Action": actions, "Resource": self.bucket_arn() })
    }

    /// The one object of the job.
    fn object(&self, actions: &[&str]) -> Value {
        let object = format!("{}/{}", self.bucket_arn(), object_key(self.tag));
        json!({ "Effect": "Allow", "Action": actions, "Resource": object })
    }

    fn bucket_arn(&self) -> String {
        let partition = self.target.role.partition();
        format!("arn:{partition}:s3:::{}", bucket_name(self.target))
    }

    /// Actions on anything in the target's region.
    fn region(&self, actions: &[&str]) -> Value {
        let region = self.target.region.as_str();
        json!({
            "Effect": "Allow", "Action": actions, "Resource": "*",
            "Condition": { "StringEquals": { "aws:RequestedRegion": region } }
        })
    }

    /// Giving the job's tag, and no other job's.
    fn create_tags(&self) -> Value {
        self.on_tag("aws:RequestTag", &["ec2:CreateTags"])
    }

    /// Actions on what has the job's tag.
    fn tagged(&self, actions: &[&str]) -> Value {
        self.on_tag("aws:ResourceTag", actions)
    }

    fn on_tag(&self, key: &str, actions: &[&str]) -> Value {
        let region = self.target.region.as_str();
        json!({
            "Effect": "Allow", "Action": actions, "Resource": "*",
            "Condition": { "StringEquals": {
                "aws:RequestedRegion": region,
                (format!("{key}/{}", tags::JOB)): self.tag.to_string()
            } }
        })
    }

    fn pass_service_role(&self) -> Value {
        let role = &self.target.role;
        let (partition, account) = (role.partition(), role.account());
        json!({
            "Effect": "Allow", "Action": "iam:PassRole",
            "Resource": format!("arn:{partition}:iam::{account}:role/{SERVICE_ROLE}"),
            "Condition": { "StringEquals": { "iam:PassedToService": "vmie.amazonaws.com" } }
        })
    }
}

#[cfg(test)]
mod tests {
    use cloudupload::job::JobId;

    use super::*;

    fn policy(purpose: Purpose) -> Value {
        let target = json!({
            "role": "arn:aws-us-gov:iam::123456789012:role/obs", "external_id": "id", "region": "us-gov-west-1",
            "ami_name": "leap",
        });
        let target = serde_json::from_value(target).unwrap();
        let job = JobId::new(JobId::MAX.into()).unwrap();
        let tag = JobTag::new("01234567-89ab-cdef-0123-456789abcdef", job);
        of(purpose, &target, &tag)
    }

    #[test]
    fn every_policy_is_one_that_sts_takes() {
        for purpose in Purpose::ALL {
            let policy = policy(purpose).to_string();
            assert!(
                policy.len() <= 2048,
                "{purpose:?}: {} characters",
                policy.len()
            );
        }
    }

    #[test]
    fn only_the_clean_up_removes() {
        for purpose in Purpose::ALL {
            let policy = policy(purpose).to_string();
            for action in ["Delete", "Deregister", "Cancel", "Abort"] {
                assert_eq!(
                    policy.contains(action),
                    purpose == Purpose::Remove,
                    "{purpose:?}"
                );
            }
        }
    }

    #[test]
    fn a_slice_is_written_into_one_object() {
        let object = "arn:aws-us-gov:s3:::obs-cloudupload-123456789012-us-gov-west-1/\
                      01234567-89ab-cdef-0123-456789abcdef/job-2147483647.raw";
        assert_eq!(
            policy(Purpose::Write)["Statement"],
            json!([{ "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": object }])
        );
    }
}
