//! The bucket itself: found, or made on first use.

#[cfg(test)]
mod tests;

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
    multipart::Location,
};

use super::NO_SUCH_BUCKET;

/// Why the bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserBucketError {
    #[error(
        "the bucket {name} cannot be used ({failure}): the role lacks s3:ListBucket or s3:CreateBucket on it. Take the \
         policy from infra/user-account.yaml"
    )]
    Forbidden { name: String, failure: Failure },
    #[error(
        "the bucket {name} cannot be used ({failure}): it belongs to another account than {owner}, and bucket names are \
         given once. Upload into another region"
    )]
    Taken {
        name: String,
        owner: String,
        failure: Failure,
    },
    #[error("{0}")]
    Aws(#[from] Failure),
}

/// The bucket in the user's account, in the target's region.
#[derive(Clone, Debug)]
pub(super) struct UserBucket {
    pub(super) s3: Client,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) owner: String,
}

/// S3's codes for a refusal. HEAD requests have only the status (API reference, HeadBucket).
const DENIED: [&str; 2] = ["Forbidden", "AccessDenied"];

fn is_denied(failure: &Failure) -> bool {
    failure.has_any_code(&DENIED)
}

/// Days after which the bucket's lifecycle removes what every clean-up missed: more than the slowest import may take
/// ([`super::import_budget`]).
const EXPIRE_DAYS: i32 = 5;

impl UserBucket {
    /// Makes the bucket if it is not there, private, with a lifecycle that expires what is forgotten. Answers whether
    /// it was made. A bucket that is there and has a lifecycle is left as its owner set it up.
    pub(super) async fn ensure(&self) -> Result<bool, UserBucketError> {
        let made = self.find_or_create().await?;
        // A bucket that was made a moment ago may not be known everywhere, and then the permissions that hang on its owner
        // do not hold.
        let not_known_yet: &[&str] = match made {
            true => &[NO_SUCH_BUCKET, "AccessDenied"],
            false => &[NO_SUCH_BUCKET],
        };
        let set_up = async {
            match self.has_lifecycle().await? {
                true => Ok(()),
                false => self.set_up().await,
            }
        };
        set_up
            .await
            .map_err(|failure: Failure| failure.transient_on(not_known_yet))?;
        Ok(made)
    }

    /// S3 answers 403 also for a missing bucket if the permission has the condition `aws:ResourceAccount`. Only
    /// CreateBucket tells whether the bucket is missing or somebody else's.
    async fn find_or_create(&self) -> Result<bool, UserBucketError> {
        let denied = match self.head().await {
            Ok(()) => return Ok(false),
            Err(failure) if failure.has_code("NotFound") => None,
            Err(failure) if is_denied(&failure) => Some(failure),
            Err(failure) => return Err(failure.into()),
        };
        let made = match (self.create().await, &denied) {
            (Err(failure), _) if failure.has_code("BucketAlreadyExists") => {
                return Err(self.taken(failure));
            }
            (Err(refused), Some(denied)) if is_denied(&refused) => {
                return Err(self.forbidden(denied.clone()));
            }
            (made, _) => made?,
        };
        if denied.is_some() {
            self.require_access(made).await?;
        }
        Ok(made)
    }

    /// The bucket is there now. One that may still not be seen is the user's, and the role lacks a permission; but one that
    /// was made just now may not be known everywhere. (In us-east-1, CreateBucket of one's own bucket is no error: API
    /// reference, CreateBucket.)
    async fn require_access(&self, made: bool) -> Result<(), UserBucketError> {
        match self.head().await {
            Err(failure) if made => Err(failure.transient_on(&DENIED).into()),
            Err(failure) if is_denied(&failure) => Err(self.forbidden(failure)),
            found => Ok(found?),
        }
    }

    fn taken(&self, failure: Failure) -> UserBucketError {
        UserBucketError::Taken {
            name: self.name.clone(),
            owner: self.owner.clone(),
            failure,
        }
    }

    fn forbidden(&self, failure: Failure) -> UserBucketError {
        UserBucketError::Forbidden {
            name: self.name.clone(),
            failure,
        }
    }

    /// An object in the bucket.
    pub(super) fn object(&self, key: String) -> Location {
        Location {
            s3: self.s3.clone(),
            bucket: self.name.clone(),
            key,
            owner: self.owner.clone(),
        }
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

    /// Answers whether the bucket was made now.
    async fn create(&self) -> Result<bool, Failure> {
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
        let made = aws::ok_on_codes(&["BucketAlreadyOwnedByYou"], answer)?;
        Ok(made.is_some())
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
        let found = aws::ok_on_codes(&["NoSuchLifecycleConfiguration"], answer)?;
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
}
