//! The probes as they go over the wire, and what their answers mean.

use cloudupload::{error::is_transient, job::Job, target::Route};
use fake_endpoint::{Answer, Call, Endpoint, dynamodb, ec2};
use serde_json::json;

use super::*;
use crate::testing::{OTHERS, session_at};

/// A job with a wish, if it has one.
fn job_for(wish: Option<Route>) -> Job {
    let mut record = dynamodb::record();
    if let Some(route) = wish {
        record["order"]["ec2"]["route"] = json!(route);
    }
    serde_json::from_value(record).unwrap()
}

/// The call's name, also for those of EBS, which have it in their path.
fn operation(call: &Call) -> &str {
    match call.path.as_str() {
        "/snapshots" => "StartSnapshot",
        path if path.starts_with("/snapshots/completion/") => "CompleteSnapshot",
        path if path.starts_with("/snapshots/") => "PutSnapshotBlock",
        _ => &call.name,
    }
}

const EBS: [&str; 3] = ["StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot"];

/// AWS's answer to a role that may do everything.
fn allowed(call: &Call) -> Answer {
    match operation(call) {
        "DescribeImages" => ec2::images(call, &[]),
        "HeadBucket" => Answer::ok(""),
        name if EBS.contains(&name) => call.refusal(
            404,
            "ResourceNotFoundException",
            "The snapshot does not exist.",
        ),
        _ => call.refusal(412, "DryRunOperation", "Request would have succeeded"),
    }
}

/// AWS's answer to a role without this permission.
fn denied(call: &Call) -> Answer {
    let message = "You are not authorized to perform this operation.";
    match operation(call) {
        name if EBS.contains(&name) => call.refusal(403, "AccessDeniedException", message),
        _ => call.refusal(403, "UnauthorizedOperation", message),
    }
}

/// An account whose role lacks the permissions for these calls.
fn account_without(refused: &'static [&'static str]) -> Endpoint {
    Endpoint::new(move |call| match refused.contains(&operation(call)) {
        true => denied(call),
        false => allowed(call),
    })
}

async fn preflight(
    endpoint: &Endpoint,
    wish: Option<Route>,
    copy: CopyRoute,
) -> Result<Choice, PreflightError> {
    let job = job_for(wish);
    session_at(endpoint, &job).preflight(copy).await
}

async fn choice_without(refused: &'static [&'static str]) -> Choice {
    let endpoint = account_without(refused);
    preflight(&endpoint, None, CopyRoute::Enabled)
        .await
        .unwrap()
}

async fn error_without(refused: &'static [&'static str]) -> PreflightError {
    let endpoint = account_without(refused);
    preflight(&endpoint, None, CopyRoute::Enabled)
        .await
        .unwrap_err()
}

/// What a role with no more than `AmazonEC2FullAccess` is refused.
const EC2_ONLY: &[&str] = &[
    "StartSnapshot",
    "PutSnapshotBlock",
    "CompleteSnapshot",
    "HeadBucket",
];

/// What a role of `infra/user-account.yaml`, as the release before had it, is refused.
const IMPORT_ONLY: &[&str] = &[
    "StartSnapshot",
    "PutSnapshotBlock",
    "CompleteSnapshot",
    "DescribeSnapshots",
    "CopySnapshot",
];

#[tokio::test]
async fn the_probes_make_nothing() {
    let endpoint = account_without(&[]);
    let choice = preflight(&endpoint, None, CopyRoute::Enabled)
        .await
        .unwrap();
    assert_eq!(choice.route, Route::Direct);
    let calls = endpoint.calls();
    let mut names: Vec<&str> = calls.iter().map(operation).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "CompleteSnapshot",
            "CopySnapshot",
            "CreateTags",
            "DescribeImages",
            "DescribeImportSnapshotTasks",
            "DescribeSnapshots",
            "DescribeSnapshots",
            "HeadBucket",
            "ImportSnapshot",
            "PutSnapshotBlock",
            "RegisterImage",
            "StartSnapshot",
        ]
    );
    for call in &calls {
        match operation(call) {
            "DescribeImages" => {}
            "HeadBucket" => assert_eq!(call.path, "/obs-cloudupload-123456789012-us-east-1/"),
            "StartSnapshot" => {
                let request = call.json();
                assert_eq!(request["ParentSnapshotId"], "snap-00000000000000000");
                assert_eq!(request["Timeout"], 10);
                let tags = request["Tags"].as_array().unwrap();
                assert!(tags.contains(&json!({"Key": "obs:job", "Value": "0a1b/job-1"})));
            }
            "PutSnapshotBlock" => {
                assert_eq!(call.path, "/snapshots/snap-00000000000000000/blocks/0");
                assert_eq!(call.body, vec![0; 524_288]);
                assert_eq!(
                    call.headers["x-amz-checksum"],
                    "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE="
                );
            }
            "CompleteSnapshot" => {
                assert_eq!(call.path, "/snapshots/completion/snap-00000000000000000");
            }
            _ => assert_eq!(call.parameter("DryRun"), "true", "{}", call.name),
        }
    }
}

#[tokio::test]
async fn each_missing_permission_rules_out_its_routes() {
    for (refused, route, missing) in [
        (&["StartSnapshot"], Route::Import, "ebs:StartSnapshot"),
        (&["PutSnapshotBlock"], Route::Import, "ebs:PutSnapshotBlock"),
        (&["CompleteSnapshot"], Route::Import, "ebs:CompleteSnapshot"),
        (
            &["DescribeSnapshots"],
            Route::Import,
            "ec2:DescribeSnapshots",
        ),
    ] {
        let choice = choice_without(refused).await;
        assert_eq!(choice.route, route, "{missing}");
        let lines = choice.lines();
        let faster = format!("With {missing} in the role, ");
        assert!(lines[1].starts_with(&faster), "{lines:?}");
    }
    let without_direct = |refused| choice_without(refused);
    let copy = without_direct(&["StartSnapshot", "ImportSnapshot"]).await;
    assert_eq!(copy.route, Route::Copy);
    let copy = without_direct(&["StartSnapshot", "DescribeImportSnapshotTasks"]).await;
    assert_eq!(copy.route, Route::Copy);
    let import = without_direct(&["StartSnapshot", "CopySnapshot"]).await;
    assert_eq!(import.route, Route::Import);
}

#[tokio::test]
async fn roles_that_users_have_are_given_the_route_that_works() {
    assert_eq!(choice_without(EC2_ONLY).await.route, Route::Copy);
    assert_eq!(choice_without(IMPORT_ONLY).await.route, Route::Import);
    assert_eq!(
        choice_without(&["HeadBucket", "ImportSnapshot", "CopySnapshot"])
            .await
            .route,
        Route::Direct
    );
}

#[tokio::test]
async fn what_every_upload_needs_is_named() {
    for (refused, missing) in [
        (&["RegisterImage"], "ec2:RegisterImage"),
        (&["CreateTags"], "ec2:CreateTags"),
        (&["DescribeImages"], "ec2:DescribeImages"),
    ] {
        let error = error_without(refused).await;
        assert!(matches!(
            error,
            PreflightError::Refusal(Refusal::Required(_))
        ));
        let text = error.to_string();
        let begin = format!("{missing} failed: UnauthorizedOperation: ");
        assert!(text.starts_with(&begin), "{text}");
        let remedy = format!("add {missing} to the role, or deploy infra/user-account.yaml");
        assert!(text.ends_with(&remedy), "{text}");
    }
}

#[tokio::test]
async fn a_role_that_allows_no_route_is_refused() {
    let text = error_without(&[
        "StartSnapshot",
        "ImportSnapshot",
        "HeadBucket",
        "CopySnapshot",
    ])
    .await
    .to_string();
    let needs = "direct needs ebs:StartSnapshot; import needs ec2:ImportSnapshot, s3:ListBucket; copy needs \
                 ec2:CopySnapshot.";
    assert!(text.contains(needs), "{text}");
}

#[tokio::test]
async fn a_route_that_is_switched_off_is_not_tried() {
    let endpoint = account_without(EC2_ONLY);
    let choice = preflight(&endpoint, None, CopyRoute::Disabled)
        .await
        .unwrap();
    assert_eq!(
        choice.route,
        Route::Import,
        "the bucket may not be there yet"
    );
    assert!(endpoint.calls_of("CopySnapshot").is_empty());
    let error = preflight(&endpoint, Some(Route::Copy), CopyRoute::Disabled)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        PreflightError::Refusal(Refusal::SwitchedOff(Route::Copy))
    ));
}

#[tokio::test]
async fn a_wish_is_met_or_refused() {
    let endpoint = account_without(EC2_ONLY);
    let copy = CopyRoute::Enabled;
    let choice = preflight(&endpoint, Some(Route::Copy), copy).await.unwrap();
    assert_eq!(choice.route, Route::Copy);
    let error = preflight(&endpoint, Some(Route::Direct), copy)
        .await
        .unwrap_err();
    let text = error.to_string();
    let missing = "add ebs:StartSnapshot, ebs:PutSnapshotBlock, ebs:CompleteSnapshot to the role";
    assert!(text.contains(missing), "{text}");
}

/// An import-only role, and a bucket of which S3 answers this.
async fn lines_with_bucket(status: u16) -> Vec<String> {
    let endpoint = Endpoint::new(move |call| match operation(call) {
        "HeadBucket" => call.refusal(status, "", ""),
        name if IMPORT_ONLY.contains(&name) => denied(call),
        _ => allowed(call),
    });
    let choice = preflight(&endpoint, None, CopyRoute::Enabled)
        .await
        .unwrap();
    assert_eq!(choice.route, Route::Import, "{status}");
    choice.lines()
}

#[tokio::test]
async fn a_bucket_that_is_not_there_yet_is_no_obstacle() {
    let bucket = "bucket obs-cloudupload-123456789012-us-east-1";
    let missing = lines_with_bucket(404).await;
    assert_eq!(
        missing[2],
        format!(
            "There is no {bucket} yet: whether the role may create it (s3:CreateBucket) cannot be tried"
        )
    );
    let hidden = lines_with_bucket(403).await;
    assert_eq!(
        hidden[2],
        format!(
            "The {bucket} is not there yet, or the role may not use it (s3:ListBucket, s3:CreateBucket): that cannot be \
             told without creating it"
        )
    );
    // Somewhere else, as S3 has it; `prepare` is told what is wrong with it.
    assert_eq!(lines_with_bucket(301).await.len(), 2);
}

#[tokio::test]
async fn any_other_error_of_ebs_comes_from_behind_the_check() {
    for (status, code) in [
        (400, "ValidationException"),
        (402, "ServiceQuotaExceededException"),
        (409, "ConflictException"),
    ] {
        let endpoint = Endpoint::new(move |call| match EBS.contains(&operation(call)) {
            true => call.refusal(status, code, "no"),
            false => allowed(call),
        });
        let choice = preflight(&endpoint, None, CopyRoute::Enabled)
            .await
            .unwrap();
        assert_eq!(choice.route, Route::Direct, "{code}");
    }
}

#[tokio::test]
async fn trouble_of_aws_is_worth_another_try() {
    for name in [
        "StartSnapshot",
        "RegisterImage",
        "HeadBucket",
        "DescribeImages",
    ] {
        let endpoint = Endpoint::new(move |call| match operation(call) == name {
            true => call.refusal(503, "ServiceUnavailable", "later"),
            false => allowed(call),
        });
        let error = preflight(&endpoint, None, CopyRoute::Enabled)
            .await
            .unwrap_err();
        assert!(is_transient(&error), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_region_that_is_not_enabled_is_told_with_what_to_do() {
    let message = "AWS was not able to validate the provided access credentials";
    let endpoint = Endpoint::new(move |call| match call.name.as_str() {
        "DescribeImages" => call.refusal(401, "AuthFailure", message),
        name => panic!("{name} is too early"),
    });
    let error = preflight(&endpoint, None, CopyRoute::Enabled)
        .await
        .unwrap_err();
    assert!(!is_transient(&error));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "ec2:DescribeImages failed: AuthFailure: {message}"
        )) && text
            .contains("The account 123456789012 does not accept its own credentials in us-east-1")
            && text.ends_with("or upload into another region"),
        "{text}"
    );
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_before_anything_is_tried() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "DescribeImages" => ec2::images(call, &[("ami-1", &[OTHERS])]),
        name => panic!("{name} is too early"),
    });
    let error = preflight(&endpoint, None, CopyRoute::Enabled)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        PreflightError::Ami(AmiError::NameTaken { .. })
    ));
}

#[test]
fn the_setting_is_one_of_two_words() {
    assert_eq!("enabled".parse(), Ok(CopyRoute::Enabled));
    assert_eq!("disabled".parse(), Ok(CopyRoute::Disabled));
    let error = "yes".parse::<CopyRoute>().unwrap_err();
    assert_eq!(error.to_string(), "'yes' is neither enabled nor disabled");
}
