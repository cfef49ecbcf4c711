//! A kill ends a job wherever it is, and nothing of it is left.

use serde_json::json;
use tests::{
    Job,
    Route::{Copy, Direct, Import},
    Stack, function,
};

#[track_caller]
fn assert_killed(job: &Job) {
    assert_eq!((job.state(), job.details()), ("failed", "killed"));
}

#[tokio::test]
async fn wherever_it_is() {
    let stack = Stack::new().await;
    for (route, function, call) in [
        // created
        (Direct, function::PREFLIGHT, "sts:AssumeRole"),
        (Direct, function::PREFLIGHT, "ec2:DescribeImages"),
        (Direct, function::RECEIVE, "dynamodb:TransactWriteItems"),
        // receiving
        (Direct, function::RECEIVE, "s3:CreateMultipartUpload"),
        (Direct, function::RECEIVE, "s3:CompleteMultipartUpload"),
        // scheduled
        (Direct, function::SLOT, "dynamodb:TransactWriteItems"),
        (Direct, function::SLOT, "states:SendTaskSuccess"),
        // uploading
        (Direct, function::PREPARE, "sts:AssumeRole"),
        (Direct, function::PREPARE, "ebs:StartSnapshot"),
        (Direct, function::TRANSFER, "ebs:PutSnapshotBlock"),
        (Direct, function::SEAL, "ebs:CompleteSnapshot"),
        (Direct, function::POLL, "ec2:DescribeSnapshots"),
        (Import, function::PREPARE, "s3:CreateMultipartUpload"),
        (Import, function::TRANSFER, "s3:UploadPart"),
        (Import, function::SEAL, "s3:CompleteMultipartUpload"),
        (Import, function::SEAL, "ec2:ImportSnapshot"),
        (Import, function::POLL, "ec2:DescribeImportSnapshotTasks"),
        (Copy, function::PREPARE, "ebs:StartSnapshot"),
        (Copy, function::TRANSFER, "ebs:PutSnapshotBlock"),
        (Copy, function::POLL, "ec2:ModifySnapshotAttribute"),
        (Copy, function::POLL, "ec2:CopySnapshot"),
        (Direct, function::REGISTER, "ec2:RegisterImage"),
        // as it is about to succeed
        (Import, function::FINISH, "s3:DeleteObject"),
        (Copy, function::FINISH, "ec2:DeleteSnapshot"),
    ] {
        let user = format!("kill-{route}-{function}-{}", call.replace(':', "-"));
        let (id, rule) = stack.stalled_via(route, &user, function, call).await;
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
    let upload = upload.via(Import);
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
