//! What a session in the user's account may do: what one step needs for one job, and nothing else.

use cloudupload::{job::Job, target::Ec2Target};
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
    /// `deregister`: removes the AMI, and the snapshot under it.
    RemoveAmi,
}

impl Purpose {
    #[cfg(test)]
    pub(crate) const ALL: [Purpose; 9] = [
        Purpose::Preflight,
        Purpose::Open,
        Purpose::Write,
        Purpose::Seal,
        Purpose::Poll,
        Purpose::Register,
        Purpose::RemoveTarget,
        Purpose::RemoveAll,
        Purpose::RemoveAmi,
    ];
}

/// The session policy: what the route needs for this, and what the AMI and its snapshot need, whatever the route. It allows
/// nothing that the role does not allow. AWS takes no more than 2,048 characters (API reference, AssumeRole, `Policy`).
pub(crate) fn of(purpose: Purpose, job: &Job, tag: &JobTag) -> Value {
    let target = &job.request.ec2;
    let scope = Scope { job, target, tag };
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
        Purpose::RemoveAmi => vec![
            scope.anything(&["ec2:DescribeImages"]),
            scope.tagged(&["ec2:DeregisterImage", "ec2:DeleteSnapshot"]),
        ],
    });
    if statements.is_empty() {
        // STS takes no policy without a statement.
        statements.push(json!({ "Effect": "Deny", "Action": "*", "Resource": "*" }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The job that the statements of a policy are about.
pub(crate) struct Scope<'a> {
    pub(crate) job: &'a Job,
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

    /// What EBS asks of the caller for a snapshot that is encrypted with a key of the account, on which the role and the
    /// key's own policy have the last word (EBS user guide, "IAM permissions for EBS direct APIs" and "Requirements for
    /// Amazon EBS encryption").
    pub(crate) fn keys(&self) -> Value {
        let (partition, region) = (self.target.role.partition(), self.target.region);
        json!({
            "Effect": "Allow",
            "Action": ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Resource": format!("arn:{partition}:kms:{region}:*:key/*")
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
    use cloudupload::{job::JobId, target::Route};

    use super::*;
    use crate::testing;

    fn policy(route: Route, purpose: Purpose) -> Value {
        let mut job = testing::job();
        job.id = JobId::new(JobId::MAX.into()).unwrap();
        job.artifacts.route = Some(route);
        job.artifacts.blocks.block_snapshot = Some("snap-0123456789abcdef0".parse().unwrap());
        let target = json!({
            "role": "arn:aws-us-gov:iam::123456789012:role/obs", "external_id": "id", "region": "us-gov-west-1",
            "ami_name": "leap",
        });
        job.request.ec2 = serde_json::from_value(target).unwrap();
        let tag = JobTag::new("01234567-89ab-cdef-0123-456789abcdef", job.id);
        of(purpose, &job, &tag)
    }

    fn all() -> impl Iterator<Item = (Route, Purpose, String)> {
        let purposes = |route| Purpose::ALL.map(|purpose| (route, purpose));
        let all = Route::ALL.into_iter().flat_map(purposes);
        all.map(|(route, purpose)| (route, purpose, policy(route, purpose).to_string()))
    }

    #[test]
    fn every_policy_is_one_that_sts_takes() {
        for (route, purpose, policy) in all() {
            assert!(
                policy.len() <= 2048,
                "{route}, {purpose:?}: {} characters",
                policy.len()
            );
        }
    }

    #[test]
    fn only_clean_up_and_deregister_remove() {
        for (route, purpose, policy) in all() {
            let removes_all = purpose == Purpose::RemoveAll;
            let removes_ami = removes_all || purpose == Purpose::RemoveAmi;
            let removes = removes_all || purpose == Purpose::RemoveTarget;
            for action in ["s3:DeleteObject", "s3:AbortMultipartUpload"] {
                let expected = removes && route == Route::Import;
                assert_eq!(policy.contains(action), expected, "{route}, {purpose:?}");
            }
            let cancels = removes_all && route == Route::Import;
            for (action, expected) in [("ec2:Deregister", removes_ami), ("ec2:Cancel", cancels)] {
                assert_eq!(policy.contains(action), expected, "{route}, {purpose:?}");
            }
            let expected = removes_ami || (removes && route == Route::Copy);
            assert_eq!(
                policy.contains("ec2:Delete"),
                expected,
                "{route}, {purpose:?}"
            );
        }
    }

    /// Who may tag may make anything a thing of the job.
    #[test]
    fn what_deregister_removes_has_the_job_s_tag_already() {
        for route in Route::ALL {
            let policy = policy(route, Purpose::RemoveAmi);
            let [look, remove] = policy["Statement"].as_array().unwrap().as_slice() else {
                panic!("{policy}");
            };
            assert_eq!(look["Action"], json!(["ec2:DescribeImages"]));
            assert_eq!(
                remove["Condition"]["StringEquals"]["aws:ResourceTag/obs:job"],
                "01234567-89ab-cdef-0123-456789abcdef/job-2147483647"
            );
        }
    }

    #[test]
    fn a_slice_is_written_into_one_object() {
        let object = "arn:aws-us-gov:s3:::obs-cloudupload-123456789012-us-gov-west-1/\
                      01234567-89ab-cdef-0123-456789abcdef/job-2147483647.raw";
        assert_eq!(
            policy(Route::Import, Purpose::Write)["Statement"],
            json!([{ "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": object }])
        );
    }
    #[test]
    fn blocks_are_written_into_one_snapshot() {
        let snapshot = "arn:aws-us-gov:ec2:us-gov-west-1::snapshot/snap-0123456789abcdef0";
        assert_eq!(
            policy(Route::Direct, Purpose::Write)["Statement"][0],
            json!({ "Effect": "Allow", "Action": ["ebs:PutSnapshotBlock"], "Resource": snapshot })
        );
    }

    /// STS takes no policy without a statement.
    #[test]
    fn a_step_that_needs_nothing_may_do_nothing() {
        let nothing = json!([{ "Effect": "Deny", "Action": "*", "Resource": "*" }]);
        assert_eq!(policy(Route::Copy, Purpose::Write)["Statement"], nothing);
        assert_eq!(policy(Route::Copy, Purpose::Seal)["Statement"], nothing);
    }
}
