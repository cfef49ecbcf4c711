//! A session under the role that a job names.

use aws_config::SdkConfig;
use aws_sdk_ec2::config::{Credentials, Region};
use aws_sdk_sts::error::ProvideErrorMetadata;
use cloudupload::{
    aws::{self, Failure, Retries},
    job::Job,
    workflow::StepError,
};
use serde_json::{Value, json};

use crate::{
    ami::Ami,
    bucket::Bucket,
    import::{self, Import},
    tags,
};

/// Why there is no session in the user's account.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// STS does not say which of these it is, so that nobody can probe for roles.
    #[error(
        "{failure}. The role {role} cannot be assumed: it does not exist, it does not trust this service, or the \
         external ID is another one than in the role's trust policy. Deploy infra/user-account.yaml with the external ID \
         that OBS shows, and give OBS the role ARN that it puts out"
    )]
    Refused { role: String, failure: Failure },
    #[error(transparent)]
    Aws(#[from] Failure),
    #[error("sts:AssumeRole of {role} answered without credentials")]
    NoCredentials { role: String },
}

impl From<SessionError> for StepError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Aws(failure) => failure.into(),
            error => StepError::because(error),
        }
    }
}

/// How long the credentials of a session hold, in seconds: what OBS's uploader asked for, and longer than any function
/// runs.
const SECONDS: i32 = 1800;

/// The session's name, as OBS's uploader gave it: users have it in their trust policies and CloudTrail queries.
const NAME: &str = "obs";

/// Clients that work in the user's account, in the target's region.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    job: &'a Job,
    deployment: &'a str,
    config: SdkConfig,
    ec2: aws_sdk_ec2::Client,
    s3: aws_sdk_s3::Client,
}

impl<'a> Session<'a> {
    /// Assumes the role of the job's target. The session may do no more than this job's work, whatever the role allows.
    pub async fn assume(
        config: &SdkConfig,
        job: &'a Job,
        deployment: &'a str,
    ) -> Result<Self, SessionError> {
        let target = &job.order.ec2;
        let answer = aws_sdk_sts::Client::new(config)
            .assume_role()
            .role_arn(target.role.to_string())
            .external_id(target.external_id.secret())
            .role_session_name(NAME)
            .duration_seconds(SECONDS)
            .policy(policy(job, deployment).to_string())
            .send()
            .await;
        let role = target.role.to_string();
        let answer = answer.map_err(|error| match error.code() {
            Some("AccessDenied") => SessionError::Refused {
                role: role.clone(),
                failure: Failure::of("sts:AssumeRole")(error),
            },
            _ => Failure::of("sts:AssumeRole")(error).into(),
        })?;
        let given = answer
            .credentials
            .ok_or(SessionError::NoCredentials { role })?;
        let credentials = Credentials::builder()
            .provider_name("AssumeRole")
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .build();
        let config = config
            .to_builder()
            .region(Region::new(target.region.to_string()))
            .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(
                credentials,
            ))
            .build();
        Ok(Self {
            ec2: aws_sdk_ec2::Client::new(&config),
            s3: aws::s3(&config),
            config,
            job,
            deployment,
        })
    }

    /// The bucket for disks on their way.
    pub fn bucket(&self) -> Bucket {
        let target = &self.job.order.ec2;
        Bucket {
            s3: self.s3.clone(),
            name: Bucket::name_for(target),
            region: target.region.to_string(),
            owner: target.role.account().to_string(),
            key: Bucket::key_for(self.job.id, self.deployment),
        }
    }

    /// The same bucket, its client's retries counted.
    pub fn bucket_counting(&self, retries: &Retries) -> Bucket {
        let config = aws::s3_config(&self.config).interceptor(retries.clone());
        Bucket {
            s3: aws_sdk_s3::Client::from_conf(config.build()),
            ..self.bucket()
        }
    }

    /// The import of the job's disk.
    pub fn import(&self) -> Import<'_> {
        Import {
            ec2: &self.ec2,
            job: self.job,
            deployment: self.deployment,
        }
    }

    /// The job's AMI.
    pub fn ami(&self) -> Ami<'_> {
        Ami {
            ec2: &self.ec2,
            job: self.job,
            deployment: self.deployment,
        }
    }
}

/// What the session may do at most: remove only what has the job's tag, and give only that tag. AWS takes no more than 2,048
/// characters (API reference, AssumeRole, `Policy`).
fn policy(job: &Job, deployment: &str) -> Value {
    let target = &job.order.ec2;
    let (partition, account) = (target.role.partition(), target.role.account());
    let (bucket, key) = (
        Bucket::name_for(target),
        Bucket::key_for(job.id, deployment),
    );
    let region = target.region.to_string();
    let own = tags::job_value(job.id, deployment);
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:CreateBucket", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation",
                    "s3:PutBucketPublicAccessBlock", "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"
                ],
                "Resource": format!("arn:{partition}:s3:::{bucket}")
            },
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts"
                ],
                "Resource": format!("arn:{partition}:s3:::{bucket}/{key}")
            },
            {
                "Effect": "Allow",
                "Action": [
                    "ec2:ImportSnapshot", "ec2:DescribeImportSnapshotTasks", "ec2:DescribeImages", "ec2:RegisterImage"
                ],
                "Resource": "*",
                "Condition": { "StringEquals": { "aws:RequestedRegion": region } }
            },
            {
                "Effect": "Allow",
                "Action": "ec2:CreateTags",
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "aws:RequestedRegion": region,
                        (format!("aws:RequestTag/{}", tags::JOB)): own
                    }
                }
            },
            {
                "Effect": "Allow",
                "Action": ["ec2:CancelImportTask", "ec2:DeregisterImage", "ec2:DeleteSnapshot"],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "aws:RequestedRegion": region,
                        (format!("aws:ResourceTag/{}", tags::JOB)): own
                    }
                }
            },
            {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": format!("arn:{partition}:iam::{account}:role/{}", import::SERVICE_ROLE),
                "Condition": { "StringEquals": { "iam:PassedToService": "vmie.amazonaws.com" } }
            }
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_policy_is_one_that_sts_takes() {
        let job = json!({
            "id": "2147483647", "state": "uploading", "details": "", "created": 0,
            "order": {
                "user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images",
                "package": "leap-ec2", "arch": "x86_64", "filename": "leap.raw.xz", "size": 1,
                "ec2": {
                    "role": "arn:aws-us-gov:iam::123456789012:role/obs", "external_id": "id",
                    "region": "us-gov-west-1", "ami_name": "leap",
                },
            },
            "work": {},
        });
        let job: Job = serde_json::from_value(job).unwrap();
        let policy = policy(&job, "01234567-89ab-cdef-0123-456789abcdef").to_string();
        assert!(policy.len() <= 2048, "{} characters", policy.len());
    }
}
