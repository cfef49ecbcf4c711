//! Before a file is fetched from OBS, the uploader finds out what the role allows.

use tests::{Stack, env_var, until};

#[tokio::test]
async fn the_route_follows_from_what_the_role_allows() {
    let stack = Stack::new().await;
    for (role, route) in [
        ("USER_ROLE_ARN", "Route direct: the role allows it"),
        (
            "USER_EC2_ROLE",
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
