//! The bucket in the user's account, in the target's region, through which a disk goes on its way into a snapshot.

use aws_sdk_s3::{
    Client,
    types::{
        AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
        CreateBucketConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
        LifecycleRuleFilter, PublicAccessBlockConfiguration,
    },
};
use cloudupload::{
    aws::{self, Failure},
    job::JobId,
    multipart::Location,
    target::Ec2Target,
    workflow::StepError,
};

/// Why the bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error(
        "the bucket {name} cannot be used ({failure}): either it belongs to another account than {owner}, or the role \
         lacks s3:ListBucket on it. Take the policy from infra/user-account.yaml"
    )]
    Forbidden {
        name: String,
        owner: String,
        failure: Failure,
    },
    #[error(transparent)]
    Aws(#[from] Failure),
}

impl From<BucketError> for StepError {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::Aws(failure) => failure.into(),
            error => StepError::because(error),
        }
    }
}

/// The bucket, seen under the user's role.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub(crate) s3: Client,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) owner: String,
    /// Of the job's disk.
    pub(crate) key: String,
}

/// Days after which the bucket's lifecycle removes what every clean-up missed: more than the slowest import may take
/// (`check`).
const EXPIRE_DAYS: i32 = 5;

impl Bucket {
    /// One bucket an account and region. A user's policies can name it beforehand.
    pub(crate) fn name_for(target: &Ec2Target) -> String {
        format!(
            "obs-cloudupload-{}-{}",
            target.role.account(),
            target.region
        )
    }

    pub(crate) fn key_for(job: JobId, deployment: &str) -> String {
        format!("{deployment}/job-{job}.raw")
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the bucket if it is not there, private, with a lifecycle that expires what is forgotten. Answers whether
    /// it was made. A bucket that is there and has a lifecycle is taken as its owner set it up.
    pub async fn ensure(&self) -> Result<bool, BucketError> {
        let made = match self.head().await {
            Ok(()) => false,
            Err(failure) if failure.has_code("NotFound") => {
                self.create().await?;
                true
            }
            Err(failure) if failure.has_code("Forbidden") || failure.has_code("AccessDenied") => {
                return Err(BucketError::Forbidden {
                    name: self.name.clone(),
                    owner: self.owner.clone(),
                    failure,
                });
            }
            Err(failure) => return Err(failure.into()),
        };
        if made || !self.has_lifecycle().await? {
            // A bucket that was made a moment ago may not be known everywhere.
            self.set_up().await.map_err(|failure| Failure {
                passing: failure.passing || failure.has_code("NoSuchBucket"),
                ..failure
            })?;
        }
        Ok(made)
    }

    async fn head(&self) -> Result<(), Failure> {
        self.s3
            .head_bucket()
            .bucket(&self.name)
            .expected_bucket_owner(&self.owner)
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("s3:HeadBucket"))
    }

    async fn create(&self) -> Result<(), Failure> {
        // us-east-1 is the one region that is no location constraint (API reference, CreateBucket).
        let configuration = (self.region != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.region.as_str()))
                .build()
        });
        let answer = self
            .s3
            .create_bucket()
            .bucket(&self.name)
            .set_create_bucket_configuration(configuration)
            .send()
            .await
            .map_err(Failure::of("s3:CreateBucket"));
        aws::unless(&["BucketAlreadyOwnedByYou"], answer).map(drop)
    }

    async fn has_lifecycle(&self) -> Result<bool, Failure> {
        let answer = self
            .s3
            .get_bucket_lifecycle_configuration()
            .bucket(&self.name)
            .expected_bucket_owner(&self.owner)
            .send()
            .await
            .map_err(Failure::of("s3:GetLifecycleConfiguration"));
        let found = aws::unless(&["NoSuchLifecycleConfiguration"], answer)?;
        Ok(found.is_some())
    }

    async fn set_up(&self) -> Result<(), Failure> {
        self.s3
            .put_public_access_block()
            .bucket(&self.name)
            .expected_bucket_owner(&self.owner)
            .public_access_block_configuration(
                PublicAccessBlockConfiguration::builder()
                    .block_public_acls(true)
                    .ignore_public_acls(true)
                    .block_public_policy(true)
                    .restrict_public_buckets(true)
                    .build(),
            )
            .send()
            .await
            .map_err(Failure::of("s3:PutBucketPublicAccessBlock"))?;
        let rule = LifecycleRule::builder()
            .id("forgotten")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("").build())
            .expiration(LifecycleExpiration::builder().days(EXPIRE_DAYS).build())
            .abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder()
                    .days_after_initiation(EXPIRE_DAYS)
                    .build(),
            )
            .build()
            .expect("status, the only field that must be there, is set");
        self.s3
            .put_bucket_lifecycle_configuration()
            .bucket(&self.name)
            .expected_bucket_owner(&self.owner)
            .lifecycle_configuration(
                BucketLifecycleConfiguration::builder()
                    .rules(rule)
                    .build()
                    .expect("rules, the only field that must be there, is set"),
            )
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("s3:PutLifecycleConfiguration"))
    }

    /// Where the job's disk is to be.
    pub fn disk(&self) -> Location {
        Location {
            s3: self.s3.clone(),
            bucket: self.name.clone(),
            key: self.key.clone(),
            owner: self.owner.clone(),
        }
    }
}
