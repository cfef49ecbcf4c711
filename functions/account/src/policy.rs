//! What a session in the user's account may do: what one step needs for one job, and nothing else.

use cloudupload::target::Ec2Target;
use serde_json::{Value, json};

use crate::{
    preflight, route,
    tags::{self, JobTag},
};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `preflight`: tries what the role allows, and makes nothing.
    Preflight,
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
    /// `finish`, after a success: removes the route's target.
    RemoveTarget,
    /// `finish`, after a failure: removes everything that has the job's tag.
    RemoveAll,
}

impl Purpose {
    #[cfg(test)]
    pub(crate) const ALL: [Purpose; 8] = [
        Purpose::Preflight,
        Purpose::Open,
        Purpose::Write,
        Purpose::Seal,
        Purpose::Poll,
        Purpose::Register,
        Purpose::RemoveTarget,
        Purpose::RemoveAll,
    ];
}

/// The session policy: what the route needs for this, and what the AMI and its snapshot need, whatever the route. It allows
/// nothing that the role does not allow. AWS takes no more than 2,048 characters (API reference, AssumeRole, `Policy`).
pub(crate) fn of(purpose: Purpose, target: &Ec2Target, tag: &JobTag) -> Value {
    let scope = Scope { target, tag };
    let mut statements = route::permissions(purpose, &scope);
    statements.extend(match purpose {
        Purpose::Preflight => preflight::permissions(&scope),
        Purpose::Open => vec![scope.anything(&["ec2:DescribeImages"])],
        Purpose::Write | Purpose::Seal | Purpose::RemoveTarget => vec![],
        Purpose::Poll => vec![scope.create_tags()],
        Purpose::Register => vec![
            scope.anything(&["ec2:DescribeImages", "ec2:RegisterImage"]),
            scope.create_tags(),
        ],
        Purpose::RemoveAll => vec![
            scope.anything(&["ec2:DescribeImages"]),
            scope.create_tags(),
            scope.tagged(&["ec2:DeregisterImage", "ec2:DeleteSnapshot"]),
        ],
    });
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The job that the statements of a policy are about.
pub(crate) struct Scope<'a> {
    pub(crate) target: &'a Ec2Target,
    pub(crate) tag: &'a JobTag,
}

impl Scope<'_> {
    /// A snapshot in the target's region, of which the owner's account is no part (Service Authorization Reference,
    /// "Amazon Elastic Block Store").
    pub(crate) fn snapshot_arn(&self, id: &str) -> String {
        let partition = self.target.role.partition();
        format!("arn:{partition}:ec2:{}::snapshot/{id}", self.target.region)
    }

    /// Actions on one resource, wherever it is.
    pub(crate) fn resource(&self, actions: &[&str], arn: &str) -> Value {
        json!({ "Effect": "Allow", "Action": actions, "Resource": arn })
    }

    /// Actions on anything in the target's region.
    pub(crate) fn anything(&self, actions: &[&str]) -> Value {
        json!({
            "Effect": "Allow", "Action": actions, "Resource": "*",
            "Condition": { "StringEquals": { "aws:RequestedRegion": self.target.region.as_str() } }
        })
    }

    /// Giving the job's tag, and no other job's.
    pub(crate) fn create_tags(&self) -> Value {
        self.on_tag("aws:RequestTag", &["ec2:CreateTags"])
    }

    /// Actions on what has the job's tag.
    pub(crate) fn tagged(&self, actions: &[&str]) -> Value {
        self.on_tag("aws:ResourceTag", actions)
    }

    fn on_tag(&self, key: &str, actions: &[&str]) -> Value {
        json!({
            "Effect": "Allow", "Action": actions, "Resource": "*",
            "Condition": { "StringEquals": {
                "aws:RequestedRegion": self.target.region.as_str(),
                (format!("{key}/{}", tags::JOB)): self.tag.to_string()
            } }
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
            let removes = [Purpose::RemoveTarget, Purpose::RemoveAll].contains(&purpose);
            for action in ["s3:DeleteObject", "s3:AbortMultipartUpload"] {
                assert_eq!(policy.contains(action), removes, "{purpose:?}");
            }
            let removes_all = purpose == Purpose::RemoveAll;
            for action in ["Delete", "Deregister", "Cancel"] {
                let action = format!("ec2:{action}");
                assert_eq!(policy.contains(&action), removes_all, "{purpose:?}");
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
