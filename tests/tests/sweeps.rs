//! The sweeper ends what nothing else ends. It also runs on its schedule here, once a minute, so that the tests look at
//! the result, and not at which run brought it about.

use aws_sdk_dynamodb::types::AttributeValue;
use tests::{Fault, FaultClient, JobId, Route, Rule, RuleGuard, Stack, function, unique};
use tokio::sync::{Semaphore, SemaphorePermit};

/// As many slots as the stack has. Each test takes what its jobs need, so that none of them waits for those of another.
static SLOTS: Semaphore = Semaphore::const_new(4);

async fn slots(count: u32) -> SemaphorePermit<'static> {
    SLOTS.acquire_many(count).await.expect("it is not closed")
}

/// Two jobs of the user, which keep their slots as long as their rules last, and a third one that waits for a slot.
async fn two_stalled_and_one_waiting(
    stack: &Stack,
    user: &str,
) -> ([(JobId, RuleGuard); 2], JobId) {
    let first = stack
        .stalled(user, function::TRANSFER, "s3:GetObject")
        .await;
    let second = stack
        .stalled(user, function::TRANSFER, "s3:GetObject")
        .await;
    let id = stack.create(&stack.built_disk(user).await).await.id();
    let waits = || stack.waits_for_slot(id);
    stack.until(id, "it waits", waits).await;
    ([first, second], id)
}

/// Longer than any function lives, in seconds.
const LATE: u64 = 1000;

#[tokio::test]
async fn an_execution_that_is_stopped_by_hand() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let (id, rule) = stack
        .stalled("sweep-stop", function::TRANSFER, "s3:GetObject")
        .await;
    stack.stop(id).await;
    // EventBridge's rule on executions that end calls the sweeper.
    let job = stack.wait(id, |job| job.is_final()).await;
    assert_eq!(job.details(), "the workflow was stopped by hand");
    // The function goes on until it looks at the record. The second clean-up removes what it has made meanwhile.
    rule.until_given_up().await;
    stack.age(id, LATE).await;
    stack.sweep_for(id).await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    assert!(!stack.record(id).await.contains_key("unfinished"));
}

#[tokio::test]
async fn a_job_without_an_execution() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let upload = stack.built_disk(&format!("sweep-api-{}", unique())).await;
    let id = stack.create_without_execution(&upload).await;
    assert_eq!(stack.execution_status(id).await, None);
    stack.age(id, LATE).await;
    stack.sweep_for(id).await;
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
    // Numbers that no job of these tests has.
    let number = 1_000_000_000 + (unique() % 1_000_000_000) as u32;
    let id = JobId::new(number);
    stack.start(id).await;
    // It ends by itself: its first step finds no record.
    stack.wait_until_idle(id).await;
    // One that goes on without a record is stopped.
    let id = JobId::new(number + 1);
    let rule = Rule::of_job(id, function::PREFLIGHT, "dynamodb:GetItem", Fault::Hold);
    let rule = FaultClient::from_env().add(rule).await;
    stack.start(id).await;
    rule.until_it_holds().await;
    stack.sweep_for(id).await;
    let execution = stack.execution_status(id).await;
    assert_eq!(execution.as_deref(), Some("ABORTED"));
}

/// A killed job is final, and its execution still waits, as it was not told.
#[tokio::test]
async fn a_lost_wake_up_of_a_kill() {
    let _slots = slots(2).await;
    let stack = Stack::new().await;
    let (stalled, id) = two_stalled_and_one_waiting(&stack, "sweep-wake").await;
    assert!(stack.kill_without_notice(id).await);
    assert_eq!(stack.waits_for_slot(id).await, Ok(()));
    stack.age(id, 60).await;
    stack.sweep_for(id).await;
    stack.failure(id).await;
    for (id, rule) in stalled {
        drop(rule);
        stack.success(id).await;
    }
}

/// A finished job has a slot, as in a table that was restored from a backup.
#[tokio::test]
async fn a_slot_of_a_finished_job() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let upload = stack.upload("sweep-slot", "disk.raw.xz");
    stack.build(&upload, b"this is no disk").await;
    let id = stack.create(&upload).await.id();
    stack.failure(id).await;
    stack.age(id, LATE).await;
    stack.sweep_for(id).await;
    stack.put_slot(id, "sweep-slot").await;
    stack.sweep_for(id).await;
    assert_eq!(stack.queue().await.held.get(&id), None);
}

/// A job has a slot, and its execution still waits, as it was not told.
#[tokio::test]
async fn a_token_that_nobody_answers() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let (id, rule) = stack
        .stalled("sweep-token", function::SLOT, "states:SendTaskSuccess")
        .await;
    // The function that has to tell it is held, so the sweeper tells it.
    stack.age_slot(id, 60).await;
    stack.sweep().await;
    stack.wait_for_state(id, "uploading").await;
    drop(rule);
    stack.success(id).await;
}

/// A job has a slot, and its execution waits for another token than the record has: it never goes on.
#[tokio::test]
async fn a_slot_that_nobody_uses() {
    let _slots = slots(2).await;
    let stack = Stack::new().await;
    let (stalled, id) = two_stalled_and_one_waiting(&stack, "sweep-unused").await;
    let [(first, first_rule), (second, second_rule)] = stalled;
    stack.lose_token(id).await;
    stack.kill(first).await;
    drop(first_rule);
    stack
        .until(id, "it has a slot", || stack.has_slot(id))
        .await;
    stack.age_slot(id, 3 * 3600).await;
    stack.sweep().await;
    let job = stack.failure(id).await;
    assert_eq!(
        job.details(),
        "the upload did not go on with its slot: ask for it again"
    );
    drop(second_rule);
    stack.success(second).await;
}

/// What cannot be removed is logged, and removed once it can be.
#[tokio::test]
async fn what_could_not_be_removed() {
    let _slot = slots(1).await;
    let stack = Stack::new().await;
    let (id, rule) = stack
        .stalled_via(
            Route::Import,
            "sweep-left",
            function::SEAL,
            "ec2:ImportSnapshot",
        )
        .await;
    let denied = Rule::of_job(id, function::FINISH, "s3:DeleteObject", Fault::AccessDenied);
    let denied = FaultClient::from_env().add(denied.for_all()).await;
    stack.kill(id).await;
    drop(rule);
    let job = stack.end(id).await;
    assert_eq!(
        stack.leftovers(&job).await.len(),
        2,
        "the staged file and the disk"
    );
    let log = stack.log(id).await;
    assert!(
        log.contains(
            "Could not remove the disk in your bucket: s3:DeleteObject failed: AccessDenied"
        ),
        "{log}"
    );
    let cleaned = stack.record(id).await;
    let cleaned = cleaned["cleaned"].as_m().expect("it was tried");
    assert_eq!(cleaned["complete"], AttributeValue::Bool(false));
    drop(denied);
    stack.age(id, LATE).await;
    stack.sweep_for(id).await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
}
