//! What nothing else ends, the sweeper ends. It also runs on its schedule here, once a minute, so that the tests look at
//! what came of it, and not at which run did it.

use aws_sdk_dynamodb::types::AttributeValue;
use tests::{Fault, Faults, Rule, Stack, disk, unique};
use tokio::sync::{Semaphore, SemaphorePermit};

/// As many slots as the stack has. Each test takes what its jobs need, so that none of them waits for those of another.
static SLOTS: Semaphore = Semaphore::const_new(4);

async fn slots(count: u32) -> SemaphorePermit<'static> {
    SLOTS.acquire_many(count).await.expect("it is not closed")
}

/// Longer than any function lives.
const LATE: u64 = 1000;

#[tokio::test]
async fn an_execution_that_is_stopped_by_hand() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let (id, rule) = stack.held("sweep-stop", "transfer", "s3:GetObject").await;
    stack.stop(&format!("job-{id}")).await;
    // By the rule on executions that end: nobody calls the sweeper here.
    let job = stack.wait(&id, |job| job.is_final()).await;
    assert_eq!(job.details(), "the workflow was stopped by hand");
    // The function goes on until it looks at the record. What it may have done late is found by the second look.
    rule.is_given_up().await;
    stack.age(&id, LATE).await;
    stack.sweep_for(&id).await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    assert!(!stack.record(&id).await.contains_key("unfinished"));
}

#[tokio::test]
async fn a_job_without_an_execution() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let upload = stack.upload(&format!("sweep-api-{}", unique()), "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    let id = stack.unstarted(&upload).await;
    assert_eq!(stack.execution(&format!("job-{id}")).await, None);
    stack.age(&id, LATE).await;
    stack.sweep_for(&id).await;
    let job = stack.job(&id).await;
    assert_eq!(
        (job.state(), job.details()),
        ("failed", "the upload was not started: ask for it again")
    );
    assert!(!stack.record(&id).await.contains_key("unfinished"));
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
    let id = number.to_string();
    stack.start(&id).await;
    // It ends by itself: its first step finds no record.
    stack.quiet(&id).await;
    // Whatever goes on without a record is stopped.
    let id = (number + 1).to_string();
    let rule = Rule::of_job(&id, "receive", "dynamodb:UpdateItem", Fault::Hold);
    let rule = Faults::from_env().rule(rule).await;
    stack.start(&id).await;
    rule.comes_to_hold().await;
    stack.sweep_for(&id).await;
    let execution = stack.execution(&format!("job-{id}")).await;
    assert_eq!(execution.as_deref(), Some("ABORTED"));
}

/// The word of a kill gets lost: the job is final, and its execution waits.
#[tokio::test]
async fn a_lost_wake_up_of_a_kill() {
    let _slots = slots(2).await;
    let stack = Stack::new().await;
    let user = "sweep-wake";
    let (first, one) = stack.held(user, "prepare", "sts:AssumeRole").await;
    let (second, other) = stack.held(user, "prepare", "sts:AssumeRole").await;
    // The user's third job waits.
    let upload = stack.upload(user, "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    let waits = stack.create(&upload).await.id().to_owned();
    let number = waits.parse().expect("a job's id is a number");
    let in_queue = async || match stack.queue().await {
        queue if queue.waiting.contains_key(&number) => Ok(()),
        queue => Err(queue),
    };
    stack.until(&waits, "it waits", in_queue).await;
    let lost = Rule {
        times: None,
        ..Rule::of_job(&waits, "api", "states:SendTaskFailure", Fault::AccessDenied)
    };
    let lost = Faults::from_env().rule(lost).await;
    stack.kill(&waits).await;
    assert!(lost.hits().await > 0);
    assert_eq!(in_queue().await, Ok(()));
    stack.age(&waits, 60).await;
    stack.sweep_for(&waits).await;
    stack.failure(&waits).await;
    drop((one, other));
    for id in [first, second] {
        stack.success(&id).await;
    }
}

/// A slot is held by a job that is over, as a table that was restored from a backup may have it.
#[tokio::test]
async fn a_slot_of_a_finished_job() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let upload = stack.upload("sweep-slot", "disk.raw.xz");
    stack.build(&upload, b"this is no disk").await;
    let id = stack.create(&upload).await.id().to_owned();
    stack.failure(&id).await;
    stack.age(&id, LATE).await;
    stack.sweep_for(&id).await;
    stack.hold_slot(&id, "sweep-slot").await;
    stack.sweep_for(&id).await;
    assert_eq!(
        stack.queue().await.held.get(&id.parse().expect("a number")),
        None
    );
}

/// The word of a grant gets lost: the job has a slot, and its execution waits.
#[tokio::test]
async fn a_token_that_nobody_answers() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let (id, rule) = stack
        .held("sweep-token", "slot", "states:SendTaskSuccess")
        .await;
    // While the function that has to tell it is held, the sweeper tells it.
    stack.age_slot(&id, 60).await;
    stack.sweep().await;
    stack.wait(&id, |job| job.state() == "uploading").await;
    drop(rule);
    stack.success(&id).await;
}

/// A job that is granted a slot, and whose execution waits for a word by another token, never goes on.
#[tokio::test]
async fn a_slot_that_nobody_uses() {
    let user = "sweep-unused";
    let _slots = slots(2).await;
    let stack = Stack::new().await;
    let (first, rule) = stack.held(user, "transfer", "s3:GetObject").await;
    let (second, other_rule) = stack.held(user, "transfer", "s3:GetObject").await;
    let upload = stack.upload(user, "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    let job = stack.create(&upload).await;
    let number: u32 = job.id().parse().expect("a job's id is a number");
    let waits = async || {
        let queue = stack.queue().await;
        queue
            .waiting
            .contains_key(&number)
            .then_some(())
            .ok_or(queue)
    };
    stack.until(job.id(), "it waits", waits).await;
    stack.lose_token(job.id()).await;
    stack.kill(&first).await;
    drop(rule);
    let has_slot = async || {
        let queue = stack.queue().await;
        queue.held.contains_key(&number).then_some(()).ok_or(queue)
    };
    stack.until(job.id(), "it has a slot", has_slot).await;
    stack.age_slot(job.id(), 3 * 3600).await;
    stack.sweep().await;
    let job = stack.failure(job.id()).await;
    assert_eq!(
        job.details(),
        "the upload did not go on with its slot: ask for it again"
    );
    drop(other_rule);
    stack.success(&second).await;
}

/// What cannot be removed is told, and removed once it can be.
#[tokio::test]
async fn what_could_not_be_removed() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let (id, rule) = stack.held("sweep-left", "seal", "ec2:ImportSnapshot").await;
    let denied = Rule {
        times: None,
        ..Rule::of_job(&id, "finish", "s3:DeleteObject", Fault::AccessDenied)
    };
    let denied = Faults::from_env().rule(denied).await;
    stack.kill(&id).await;
    drop(rule);
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
    drop(denied);
    stack.age(&id, LATE).await;
    stack.sweep_for(&id).await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
}
