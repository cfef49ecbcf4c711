//! A kill ends a job wherever it is, and nothing of it is left.

use serde_json::json;
use tests::{Job, Stack, function};

#[track_caller]
fn assert_killed(job: &Job) {
    assert_eq!((job.state(), job.details()), ("failed", "killed"));
}

#[tokio::test]
async fn wherever_it_is() {
    let stack = Stack::new().await;
    for (function, call) in [
        // created
        (function::PREFLIGHT, "sts:AssumeRole"),
        (function::PREFLIGHT, "ec2:DescribeImages"),
        (function::RECEIVE, "dynamodb:UpdateItem"),
        // receiving
        (function::RECEIVE, "s3:CreateMultipartUpload"),
        (function::RECEIVE, "s3:CompleteMultipartUpload"),
        // scheduled
        (function::SLOT, "dynamodb:TransactWriteItems"),
        (function::SLOT, "states:SendTaskSuccess"),
        // uploading
        (function::PREPARE, "sts:AssumeRole"),
        (function::PREPARE, "s3:CreateMultipartUpload"),
        (function::TRANSFER, "s3:UploadPart"),
        (function::SEAL, "s3:CompleteMultipartUpload"),
        (function::SEAL, "ec2:ImportSnapshot"),
        (function::POLL, "ec2:DescribeImportSnapshotTasks"),
        (function::REGISTER, "ec2:RegisterImage"),
        // as it is about to succeed
        (function::FINISH, "s3:DeleteObject"),
    ] {
        let user = format!("kill-{function}-{}", call.replace(':', "-"));
        let (id, rule) = stack.stalled(&user, function, call).await;
        assert_killed(&stack.kill(id).await);
        drop(rule);
        assert_killed(&stack.failure(id).await);
    }
}

#[tokio::test]
async fn while_obs_is_silent() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("kill-receiving").await;
    stack
        .set_obs_faults(&upload, json!([{"after": 1 << 20, "do": "stall"}]))
        .await;
    let id = stack.create(&upload).await.id();
    stack.wait_for_state(id, "receiving").await;
    assert_killed(&stack.kill(id).await);
    let job = stack.failure(id).await;
    assert_eq!(
        stack.kill(id).await,
        job,
        "killing a finished job changes nothing"
    );
}

#[tokio::test]
async fn while_it_waits_for_its_import() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("kill-importing").await;
    let id = stack.create(&upload).await.id();
    let imports = || stack.logs(id, "Importing a disk");
    stack.until(id, "it imports", imports).await;
    assert_killed(&stack.kill(id).await);
    assert_killed(&stack.failure(id).await);
}

#[tokio::test]
async fn a_success_cannot_be_killed() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("kill-succeeded").await;
    let id = stack.create(&upload).await.id();
    let job = stack.success(id).await;
    assert_eq!(stack.kill(id).await, job);
    assert_eq!(
        stack.image(job.details()).await.image_id(),
        Some(job.details())
    );
}
