//! A kill ends a job wherever it is, and nothing of it is left.

use serde_json::json;
use tests::{Job, Stack, Upload, disk};

/// A job about to be killed when this function makes this call.
struct Victim<'a> {
    stack: &'a Stack,
    function: &'a str,
    call: &'a str,
}

impl Victim<'_> {
    /// Kills the job at that moment, and gives it at its end, with nothing left.
    async fn killed(&self) -> Job {
        let user = format!("kill-{}-{}", self.function, self.call.replace(':', "-"));
        let (id, rule) = self.stack.held(&user, self.function, self.call).await;
        assert_killed(&self.stack.kill(&id).await);
        drop(rule);
        let job = self.stack.failure(&id).await;
        assert_killed(&job);
        job
    }
}

async fn build(stack: &Stack, package: &str) -> Upload {
    let upload = stack.upload(package, "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    upload
}

#[track_caller]
fn assert_killed(job: &Job) {
    assert_eq!((job.state(), job.details()), ("failed", "killed"));
}

#[tokio::test]
async fn wherever_it_is() {
    let stack = &Stack::new().await;
    for (function, call) in [
        // created
        ("receive", "dynamodb:UpdateItem"),
        // receiving
        ("receive", "s3:CreateMultipartUpload"),
        ("receive", "s3:CompleteMultipartUpload"),
        // scheduled
        ("slot", "dynamodb:TransactWriteItems"),
        ("slot", "states:SendTaskSuccess"),
        // uploading
        ("prepare", "sts:AssumeRole"),
        ("prepare", "s3:CreateMultipartUpload"),
        ("transfer", "s3:UploadPart"),
        ("seal", "s3:CompleteMultipartUpload"),
        ("seal", "ec2:ImportSnapshot"),
        ("check", "ec2:DescribeImportSnapshotTasks"),
        ("register", "ec2:RegisterImage"),
        // as it is about to succeed
        ("finish", "s3:DeleteObject"),
    ] {
        let victim = Victim {
            stack,
            function,
            call,
        };
        victim.killed().await;
    }
}

#[tokio::test]
async fn while_obs_is_silent() {
    let stack = Stack::new().await;
    let upload = build(&stack, "kill-receiving").await;
    stack
        .disturb(&upload, json!([{"after": 1 << 20, "do": "stall"}]))
        .await;
    let id = stack.create(&upload).await.id().to_owned();
    stack.wait(&id, |job| job.state() == "receiving").await;
    assert_killed(&stack.kill(&id).await);
    let job = stack.failure(&id).await;
    assert_eq!(
        stack.kill(&id).await,
        job,
        "killing a finished job changes nothing"
    );
}

#[tokio::test]
async fn while_it_waits_for_its_import() {
    let stack = Stack::new().await;
    let upload = build(&stack, "kill-importing").await;
    let id = stack.create(&upload).await.id().to_owned();
    let importing = async || match stack.log(&id).await {
        log if log.contains("Importing a disk") => Ok(()),
        log => Err(log),
    };
    stack.until(&id, "it imports", importing).await;
    assert_killed(&stack.kill(&id).await);
    assert_killed(&stack.failure(&id).await);
}

#[tokio::test]
async fn a_success_cannot_be_killed() {
    let stack = Stack::new().await;
    let upload = build(&stack, "kill-succeeded").await;
    let id = stack.create(&upload).await.id().to_owned();
    let job = stack.success(&id).await;
    assert_eq!(stack.kill(&id).await, job);
    assert_eq!(
        stack.image(job.details()).await.image_id(),
        Some(job.details())
    );
}
