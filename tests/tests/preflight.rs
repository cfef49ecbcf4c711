//! Before a file is fetched from OBS, the uploader finds out what the role allows.

use tests::{Fault, FaultClient, Route, Rule, Stack, env_var, function, until};

#[tokio::test]
async fn the_route_follows_from_what_the_role_allows() {
    let stack = Stack::new().await;
    for (role, route) in [
        ("USER_ROLE_ARN", "Route direct: the role allows it"),
        (
            "USER_EC2_ROLE_ARN",
            "Route copy: the first of direct, import and copy",
        ),
    ] {
        let mut upload = stack.built_disk(&format!("preflight-{role}")).await;
        upload.body["arn"] = env_var(role).into();
        let id = stack.create(&upload).await.id();
        until("a log that tells the route", || stack.logs(id, route)).await;
        let job = stack.end(id).await;
        assert!(stack.leftovers(&job).await.is_empty());
        let log = stack.log(id).await;
        assert!(log.find(route) < log.find("Receiving "), "{log}");
    }
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_told_before_the_file_is_fetched() {
    let stack = Stack::new().await;
    let mut upload = stack.built_disk("preflight-external-id").await;
    upload.body["external_id"] = "another".into();
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    assert!(job.details().contains("cannot be assumed"), "{job:?}");
    let log = stack.log(job.id()).await;
    assert!(!log.contains("Receiving "), "{log}");
}

/// As it would be if AWS looked for the snapshot before it looks for the permission, so that the trial tells nothing.
#[tokio::test]
async fn a_route_that_is_refused_after_all_is_followed_by_the_next() {
    let stack = Stack::new().await;
    let faults = FaultClient::from_env();
    let no_start = |package: &str| Rule {
        text: Some(package.to_owned()),
        ..Rule::of_function(function::PREPARE, "ebs:StartSnapshot", Fault::AccessDenied).for_all()
    };
    let refused = faults.add(no_start("preflight-second")).await;
    let upload = stack.built_disk("preflight-second").await;
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    assert!(stack.leftovers(&job).await.is_empty());
    assert_eq!(refused.hits().await, 1);
    let log = stack.log(job.id()).await;
    let next = "Route import: ebs:StartSnapshot failed: AccessDeniedException";
    assert!(log.contains(next), "{log}");

    // Who asks for a route gets that one or none.
    let _refused = faults.add(no_start("preflight-no-second")).await;
    let upload = stack.built_disk("preflight-no-second").await;
    let job = stack.create(&upload.via(Route::Direct)).await;
    let job = stack.failure(job.id()).await;
    assert!(job.details().contains("ebs:StartSnapshot"), "{job:?}");
}
