//! What AWS does not know yet, and what an account has switched off.

use serde_json::json;
use tests::{Fault, FaultClient, Route, Rule, Stack, function, until};

const TEN_YEARS: u32 = 3600 * 24 * 3650;

/// One after the other: each changes the account of all uploads.
#[tokio::test]
async fn what_aws_knows_late_is_waited_for_and_what_is_switched_off_is_said() {
    let stack = Stack::new().await;
    a_service_role_that_is_new(&stack).await;
    an_ami_that_is_not_listed_yet(&stack).await;
    a_name_that_a_disabled_ami_has(&stack).await;
    a_region_that_the_account_has_not_enabled(&stack).await;
    a_region_without_sts(&stack).await;
}

async fn a_service_role_that_is_new(stack: &Stack) {
    let settings = json!({"new_roles_unknown_seconds": TEN_YEARS});
    let settings = stack.set_account(settings).await;
    let upload = stack.built_disk("new-role").await.via(Route::Import);
    let job = stack.create(&upload).await;
    until("a log that tells of the role", || {
        stack.logs(job.id(), "VM Import does not know the role")
    })
    .await;
    drop(settings);
    stack.success(job.id()).await;
}

/// The answer of RegisterImage is lost, so that it is repeated; the name is taken, by an AMI that nobody can see.
async fn an_ami_that_is_not_listed_yet(stack: &Stack) {
    let settings = json!({"new_images_unlisted_seconds": TEN_YEARS});
    let settings = stack.set_account(settings).await;
    let lost = Rule {
        function: Some(function::REGISTER.to_owned()),
        times: Some(1),
        ..Rule::new("ec2:RegisterImage", Fault::DropAnswer)
    };
    let lost = FaultClient::from_env().add(lost).await;
    let upload = stack.built_disk("unlisted").await;
    let job = stack.create(&upload).await;
    until("a log that tells of the name", || {
        stack.logs(job.id(), "InvalidAMIName.Duplicate")
    })
    .await;
    assert_eq!(lost.hits().await, 1);
    drop(settings);
    let job = stack.success(job.id()).await;
    assert!(stack.leftovers(&job).await.is_empty());
}

async fn a_name_that_a_disabled_ami_has(stack: &Stack) {
    let upload = stack.built_disk("disabled").await;
    let first = stack.create(&upload).await;
    let first = stack.success(first.id()).await;
    let disable = stack.ec2.disable_image().image_id(first.details());
    disable.send().await.expect("an AMI can be disabled");
    let second = stack.create(&upload).await;
    let second = stack.failure(second.id()).await;
    let details = second.details();
    assert!(details.contains("is taken"), "{details}");
    assert!(details.contains(first.details()), "{details}");
    let log = stack.log(second.id()).await;
    assert!(
        !log.contains("slices"),
        "before the image is looked at: {log}"
    );
}

async fn a_region_that_the_account_has_not_enabled(stack: &Stack) {
    let settings = json!({"disabled_regions": [stack.region]});
    let settings = stack.set_account(settings).await;
    let upload = stack.built_disk("not-enabled").await;
    let job = stack.create(&upload).await;
    let job = stack.end(job.id()).await;
    drop(settings);
    assert_eq!(job.state(), "failed");
    let details = job.details();
    assert!(
        details.contains("ec2:DescribeImages failed: AuthFailure"),
        "{details}"
    );
    assert!(stack.leftovers(&job).await.is_empty());
}

/// The functions call STS in the region that they run in.
async fn a_region_without_sts(stack: &Stack) {
    let own_region = tests::env_var("AWS_REGION");
    let settings = json!({"sts_inactive_regions": [own_region]});
    let settings = stack.set_account(settings).await;
    let upload = stack.built_disk("without-sts").await;
    let job = stack.create(&upload).await;
    let job = stack.end(job.id()).await;
    drop(settings);
    assert_eq!(job.state(), "failed");
    let details = job.details();
    assert!(details.contains("RegionDisabledException"), "{details}");
    assert!(details.contains("switched off in the region"), "{details}");
    assert!(stack.leftovers(&job).await.is_empty());
}
