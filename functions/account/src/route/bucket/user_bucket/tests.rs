use cloudupload::error::StepError;
use fake_endpoint::{Answer, Call, Endpoint};

use super::*;

const NAME: &str = "obs-cloudupload-123456789012-us-east-1";

fn bucket_at(endpoint: &Endpoint, region: &str) -> UserBucket {
    UserBucket {
        s3: Client::new(&endpoint.config()),
        name: NAME.to_owned(),
        region: region.to_owned(),
        owner: "123456789012".to_owned(),
    }
}

/// S3 with these errors: a call's name, and a status and code.
fn refusing(errors: &'static [(&'static str, u16, &'static str)]) -> Endpoint {
    Endpoint::new(move |call| match refusal(call, errors) {
        Some(refusal) => refusal,
        None if call.name == LOOK => Answer::ok("<LifecycleConfiguration/>"),
        None => Answer::ok(""),
    })
}

fn refusal(call: &Call, errors: &[(&str, u16, &str)]) -> Option<Answer> {
    let (_, status, code) = errors.iter().find(|(name, ..)| *name == call.name)?;
    Some(call.refusal(*status, code, "no"))
}

/// The same, each error once: after it, the call succeeds.
fn refusing_once(errors: &'static [(&'static str, u16, &'static str)]) -> Endpoint {
    let mut left = errors.to_vec();
    Endpoint::new(move |call| {
        let refusal = refusal(call, &left);
        left.retain(|(name, ..)| *name != call.name);
        refusal.unwrap_or_else(|| match call.name.as_str() {
            LOOK => Answer::ok("<LifecycleConfiguration/>"),
            _ => Answer::ok(""),
        })
    })
}

const NO_LIFECYCLE: (&str, u16, &str) = (LOOK, 404, "NoSuchLifecycleConfiguration");

async fn ensure(endpoint: &Endpoint) -> Result<bool, UserBucketError> {
    bucket_at(endpoint, "us-east-1").ensure().await
}

const FIND: &str = "HeadBucket";
const CREATE: &str = "CreateBucket";
const LOOK: &str = "GetLifecycleConfiguration";
const SET_UP: [&str; 2] = ["PutBucketPublicAccessBlock", "PutLifecycleConfiguration"];

#[tokio::test]
async fn a_bucket_with_a_lifecycle_is_left_as_it_is() {
    let endpoint = refusing(&[]);
    assert!(!ensure(&endpoint).await.unwrap());
    assert_eq!(endpoint.names(), [FIND, LOOK]);
    for call in endpoint.calls() {
        assert_eq!(call.headers["x-amz-expected-bucket-owner"], "123456789012");
    }
}

#[tokio::test]
async fn a_bucket_without_a_lifecycle_is_set_up() {
    let endpoint = refusing(&[(LOOK, 404, "NoSuchLifecycleConfiguration")]);
    assert!(!ensure(&endpoint).await.unwrap());
    assert_eq!(endpoint.names(), [FIND, LOOK, SET_UP[0], SET_UP[1]]);
}

/// Whether S3 says that it is not there, or does not say.
#[tokio::test]
async fn a_bucket_that_is_not_there_is_made_and_set_up() {
    for (errors, found) in [
        (
            &[(FIND, 404, "NotFound"), NO_LIFECYCLE],
            &[FIND, CREATE][..],
        ),
        (
            &[(FIND, 403, "Forbidden"), NO_LIFECYCLE],
            &[FIND, CREATE, FIND],
        ),
    ] {
        let endpoint = refusing_once(errors);
        assert!(ensure(&endpoint).await.unwrap());
        let names = [found, &[LOOK, SET_UP[0], SET_UP[1]]].concat();
        assert_eq!(endpoint.names(), names);
        let calls = endpoint.calls();
        let [access, lifecycle] =
            [2, 1].map(|last| String::from_utf8_lossy(&calls[names.len() - last].body));
        assert_eq!(access.matches(">true<").count(), 4, "{access}");
        assert!(
            lifecycle.contains("<Expiration><Days>5</Days></Expiration>")
                && lifecycle.contains("<DaysAfterInitiation>5</DaysAfterInitiation>"),
            "{lifecycle}"
        );
    }
}

#[tokio::test]
async fn a_bucket_is_made_in_its_region() {
    for (region, constraint) in [("us-east-1", None), ("eu-central-1", Some("eu-central-1"))] {
        let endpoint = refusing(&[(FIND, 404, "NotFound")]);
        bucket_at(&endpoint, region).ensure().await.unwrap();
        let body = String::from_utf8(endpoint.calls()[1].body.clone()).unwrap();
        let found = body
            .split_once("<LocationConstraint>")
            .map(|(_, rest)| rest);
        let found = found
            .and_then(|rest| rest.split_once('<'))
            .map(|(region, _)| region);
        assert_eq!(found, constraint, "{body}");
    }
}

#[tokio::test]
async fn a_bucket_that_another_job_makes_in_the_same_moment_is_fine() {
    let endpoint = refusing_once(&[
        (FIND, 404, "NotFound"),
        (CREATE, 409, "BucketAlreadyOwnedByYou"),
    ]);
    assert!(!ensure(&endpoint).await.unwrap());
    assert_eq!(endpoint.names(), [FIND, CREATE, LOOK]);
}

#[tokio::test]
async fn a_bucket_of_the_user_that_the_role_may_not_see_is_told_with_the_permissions() {
    let endpoint = refusing(&[
        (FIND, 403, "Forbidden"),
        (CREATE, 409, "BucketAlreadyOwnedByYou"),
    ]);
    let error = ensure(&endpoint).await.unwrap_err();
    assert!(
        error.to_string().contains("the role lacks s3:ListBucket"),
        "{error}"
    );
    assert!(matches!(StepError::from(error), StepError::Failed(_)));
    assert_eq!(endpoint.names(), [FIND, CREATE, FIND]);
}

/// In us-east-1, CreateBucket of one's own bucket is no error.
#[tokio::test]
async fn the_lifecycle_of_a_bucket_that_was_there_stays() {
    let endpoint = refusing_once(&[(FIND, 403, "Forbidden")]);
    assert!(ensure(&endpoint).await.unwrap());
    assert_eq!(endpoint.names(), [FIND, CREATE, FIND, LOOK]);
}

#[tokio::test]
async fn a_bucket_of_another_account_is_told_as_that() {
    for errors in [
        &[
            (FIND, 404, "NotFound"),
            (CREATE, 409, "BucketAlreadyExists"),
        ],
        &[
            (FIND, 403, "Forbidden"),
            (CREATE, 409, "BucketAlreadyExists"),
        ],
    ] {
        let endpoint = refusing(errors);
        let error = ensure(&endpoint).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the bucket {NAME} cannot be used (s3:CreateBucket failed: BucketAlreadyExists: no): it \
                 belongs to another account than 123456789012, and bucket names are given once. Upload into another \
                 region"
            )
        );
        assert_eq!(endpoint.names(), [FIND, CREATE]);
        assert!(matches!(StepError::from(error), StepError::Failed(_)));
    }
}

#[tokio::test]
async fn a_bucket_that_may_be_neither_seen_nor_made_is_told_with_the_permissions() {
    let endpoint = refusing(&[(FIND, 403, "Forbidden"), (CREATE, 403, "AccessDenied")]);
    let error = ensure(&endpoint).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the bucket {NAME} cannot be used (s3:HeadBucket failed: Forbidden: HTTP status 403): the role lacks \
             s3:ListBucket or s3:CreateBucket on it. Take the policy from infra/user-account.yaml"
        )
    );
}

#[tokio::test]
async fn a_bucket_that_may_not_be_made_names_the_call() {
    let endpoint = refusing(&[(FIND, 404, "NotFound"), (CREATE, 403, "AccessDenied")]);
    let error = ensure(&endpoint).await.unwrap_err().to_string();
    assert!(
        error.starts_with("s3:CreateBucket failed: AccessDenied: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_bucket_that_is_not_known_everywhere_is_worth_another_try() {
    for errors in [
        &[(FIND, 404, "NotFound"), (LOOK, 404, "NoSuchBucket")][..],
        // A permission that hangs on the bucket's account.
        &[(FIND, 404, "NotFound"), (LOOK, 403, "AccessDenied")],
        // Another job made it.
        &[
            (FIND, 404, "NotFound"),
            (CREATE, 409, "BucketAlreadyOwnedByYou"),
            (LOOK, 404, "NoSuchBucket"),
        ],
        &[
            (FIND, 404, "NotFound"),
            NO_LIFECYCLE,
            ("PutBucketPublicAccessBlock", 404, "NoSuchBucket"),
        ],
    ] {
        let error = ensure(&refusing(errors)).await.unwrap_err();
        assert!(
            matches!(StepError::from(error), StepError::Transient(_)),
            "{errors:?}"
        );
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_on_a_known_bucket_is_final() {
    let endpoint = refusing(&[(LOOK, 403, "AccessDenied")]);
    let error = ensure(&endpoint).await.unwrap_err();
    assert!(matches!(StepError::from(error), StepError::Failed(_)));
}
