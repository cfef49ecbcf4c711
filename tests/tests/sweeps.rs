//! What nothing else ends, the sweeper ends. It also runs on its schedule here, once a minute, so that the tests look at
//! what came of it, and not at which run did it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use tests::{Fault, Faults, Rule, RuleId, Stack, disk, unique};

/// A job that stays where this function makes this call.
async fn held(stack: &Stack, faults: &Faults, function: &str, call: &str) -> (String, RuleId) {
    let upload = stack.upload(&format!("sweep-{function}"), "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    let id = stack.create(&upload).await.id().to_owned();
    let rule = faults
        .rule(Rule {
            job: Some(id.clone()),
            function: Some(function.to_owned()),
            ..Rule::new(call, Fault::Hold)
        })
        .await;
    faults.wait_until_holding(rule).await;
    (id, rule)
}

/// Longer than any function lives.
const LATE: u64 = 1000;

#[tokio::test]
async fn an_execution_that_is_stopped_by_hand() {
    let stack = Stack::new().await;
    let faults = Faults::from_env();
    let (id, rule) = held(&stack, &faults, "transfer", "s3:UploadPart").await;
    stack.stop(&format!("job-{id}")).await;
    // By the rule on executions that end: nobody calls the sweeper here.
    let job = stack.wait(&id, |job| job.is_final()).await;
    assert_eq!(job.details(), "the workflow was stopped by hand");
    faults.remove(rule).await;
    // The function that ran goes on for a while, and what it does late is found by the second look.
    tokio::time::sleep(Duration::from_secs(6)).await;
    stack.age(&id, LATE).await;
    stack.sweep().await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    assert!(!stack.record(&id).await.contains_key("unfinished"));
}

#[tokio::test]
async fn a_job_without_an_execution() {
    let stack = Stack::new().await;
    let faults = Faults::from_env();
    let upload = stack.upload(&format!("sweep-api-{}", unique()), "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    // The function dies between the record and the execution.
    let rule = faults
        .rule(Rule {
            function: Some("api".to_owned()),
            text: Some(upload.package.clone()),
            ..Rule::new("dynamodb:PutItem", Fault::Kill)
        })
        .await;
    let answer = stack.post(&upload).await;
    faults.remove(rule).await;
    assert!(answer.status().is_server_error(), "{answer:?}");
    let list = stack.get("/cloudupload").await.text().await;
    let list = list.expect("the list is text");
    let entry = list
        .split("<clouduploadjob ")
        .find(|entry| entry.contains(&upload.package))
        .expect("the job has a record");
    let id = entry.split('"').nth(1).expect("the job has a number");
    assert_eq!(stack.execution(&format!("job-{id}")).await, None);
    stack.age(id, LATE).await;
    stack.sweep().await;
    let job = stack.job(id).await;
    assert_eq!(
        (job.state(), job.details()),
        ("failed", "the upload was not started: ask for it again")
    );
    assert!(!stack.record(id).await.contains_key("unfinished"));
    // Its user asks again.
    let job = stack.create(&upload).await;
    stack.success(job.id()).await;
}

#[tokio::test]
async fn an_execution_without_a_job() {
    let stack = Stack::new().await;
    // Numbers that no job of these tests comes to.
    let since: u64 = unique().parse().expect("a number");
    let number = 1_000_000_000 + (since % 1_000_000_000) as u32;
    let name = format!("job-{number}");
    stack
        .start(number, json!({"job": number.to_string()}))
        .await;
    // It ends by itself: its first step finds no record.
    while stack.execution(&name).await.as_deref() == Some("RUNNING") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whatever goes on without a record is stopped.
    let number = number + 1;
    let name = format!("job-{number}");
    let faults = Faults::from_env();
    let rule = faults
        .rule(Rule {
            function: Some("receive".to_owned()),
            text: Some(number.to_string()),
            ..Rule::new("dynamodb:UpdateItem", Fault::Hold)
        })
        .await;
    stack
        .start(number, json!({"job": number.to_string()}))
        .await;
    faults.wait_until_holding(rule).await;
    stack.sweep().await;
    assert_eq!(stack.execution(&name).await.as_deref(), Some("ABORTED"));
    faults.remove(rule).await;
}

/// The word of a kill gets lost: the job is final, and its execution waits.
#[tokio::test]
async fn a_lost_wake_up_of_a_kill() {
    let stack = Stack::new().await;
    let faults = Faults::from_env();
    let (first, rule) = held(&stack, &faults, "prepare", "sts:AssumeRole").await;
    let mut upload = stack.upload("sweep-prepare", "disk.raw.xz");
    let mut ids = Vec::new();
    for number in 0..2 {
        upload.body["ami_name"] = format!("sweep-wake {number} {}", unique()).into();
        ids.push(stack.create(&upload).await.id().to_owned());
    }
    // The user's second job has a slot too; the third waits.
    let waits = &ids[1];
    stack.wait(waits, |job| job.state() == "scheduled").await;
    let in_queue = async || {
        stack
            .queue()
            .await
            .waiting
            .contains_key(&waits.parse().expect("a number"))
    };
    while !in_queue().await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lost = faults
        .rule(Rule {
            function: Some("api".to_owned()),
            times: None,
            ..Rule::new("states:SendTaskFailure", Fault::AccessDenied)
        })
        .await;
    stack.kill(waits).await;
    faults.remove(lost).await;
    assert!(in_queue().await);
    stack.age(waits, 60).await;
    stack.sweep().await;
    stack.failure(waits).await;
    faults.remove(rule).await;
    for id in [&first, &ids[0]] {
        stack.success(id).await;
    }
}

/// A slot is held by a job that is over, as a table that was restored from a backup may have it.
#[tokio::test]
async fn a_slot_of_a_finished_job() {
    let stack = Stack::new().await;
    let upload = stack.upload("sweep-slot", "disk.raw.xz");
    stack.build(&upload, b"this is no disk").await;
    let id = stack.create(&upload).await.id().to_owned();
    stack.failure(&id).await;
    stack.age(&id, LATE).await;
    stack.sweep().await;
    stack.hold_slot(&id, "sweep-slot").await;
    stack.sweep().await;
    assert_eq!(
        stack.queue().await.held.get(&id.parse().expect("a number")),
        None
    );
}

/// The word of a grant gets lost: the job has a slot, and its execution waits.
#[tokio::test]
async fn a_token_that_nobody_answers() {
    let stack = Stack::new().await;
    let faults = Faults::from_env();
    let upload = stack.upload("sweep-token", "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    let id = stack.create(&upload).await.id().to_owned();
    let rule = faults
        .rule(Rule {
            job: Some(id.clone()),
            function: Some("slot".to_owned()),
            ..Rule::new("states:SendTaskSuccess", Fault::Hold)
        })
        .await;
    faults.wait_until_holding(rule).await;
    // While the function that has to tell it is held, the sweeper tells it.
    stack.age_slot(&id, 60).await;
    stack.sweep().await;
    stack.wait(&id, |job| job.state() == "uploading").await;
    faults.remove(rule).await;
    stack.success(&id).await;
}

/// What cannot be removed is told, and removed once it can be.
#[tokio::test]
async fn what_could_not_be_removed() {
    let stack = Stack::new().await;
    let faults = Faults::from_env();
    let (id, rule) = held(&stack, &faults, "seal", "ec2:ImportSnapshot").await;
    let denied = faults
        .rule(Rule {
            job: Some(id.clone()),
            function: Some("finish".to_owned()),
            times: None,
            ..Rule::new("s3:DeleteObject", Fault::AccessDenied)
        })
        .await;
    stack.kill(&id).await;
    faults.remove(rule).await;
    let job = stack.end(&id).await;
    assert_eq!(
        stack.leftovers(&job).await.len(),
        2,
        "the staged file and the disk"
    );
    let log = stack.log(&id).await;
    assert!(
        log.contains(
            "Could not remove the disk in your bucket: s3:DeleteObject failed: AccessDenied"
        ),
        "{log}"
    );
    let cleaned = stack.record(&id).await;
    let cleaned = cleaned["cleaned"].as_m().expect("it was tried");
    assert_eq!(cleaned["complete"], AttributeValue::Bool(false));
    faults.remove(denied).await;
    stack.age(&id, LATE).await;
    stack.sweep().await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
}
