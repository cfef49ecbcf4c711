//! The canary, invoked as its schedule does it. It is a user of OBS of its own, so it takes no slot of another test's user.

use std::time::SystemTime;

use serde_json::Value;
use tests::{JobId, Stack, unique, until};
use tokio::sync::{Mutex, MutexGuard};

/// The package of the canary's image (`CANARY_IMAGE` in `infra/local/commands/stack/deployment.py`).
const PACKAGE: &str = "canary";

/// One run at a time: all have the same image in OBS.
static ONE: Mutex<()> = Mutex::const_new(());

async fn one() -> MutexGuard<'static, ()> {
    ONE.lock().await
}

/// The job and the AMI of a run that succeeded.
fn made(outcome: &Value) -> (JobId, &str) {
    let text = |name: &str| {
        let value = outcome["image"][name].as_str();
        value.unwrap_or_else(|| panic!("no {name} in {outcome}"))
    };
    (
        text("job").parse().expect("a job has a number"),
        text("ami"),
    )
}

/// The metrics that a run since then has written.
async fn metrics_since(stack: &Stack, since: SystemTime) -> Value {
    let found = || async {
        let mut lines = stack.logged(since, "CanaryImages").await;
        lines.pop().ok_or("there is no line with them")
    };
    let line = until("the metrics are in the log", found).await;
    serde_json::from_str(&line).expect("a line of metrics is JSON")
}

/// The job that the last run made.
async fn last_job(stack: &Stack) -> JobId {
    let jobs = stack.jobs_of(PACKAGE).await;
    jobs.into_iter().max().expect("the canary made a job")
}

#[tokio::test]
async fn an_image_becomes_an_ami_that_is_removed_again() {
    let _one = one().await;
    let stack = Stack::new().await;
    stack.built_disk(PACKAGE).await;
    let began = SystemTime::now();
    let outcome = stack.run_canary().await;
    let (id, ami) = made(&outcome);
    assert!(ami.starts_with("ami-"), "{outcome}");
    let job = stack.job(id).await;
    assert_eq!((job.state(), job.details()), ("succeeded", ami));
    assert_eq!(job.field("user"), "canary");
    // It went all the way, and nothing is there any more, the AMI and its snapshot included.
    let log = stack.log(id).await;
    assert!(log.contains(&format!("Created image: {ami}")), "{log}");
    assert_eq!(stack.images_and_snapshots(&job).await, Vec::<String>::new());
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    let metrics = metrics_since(&stack, began).await;
    assert_eq!(metrics["CanaryImages"], 1.0);
    assert!(
        metrics["CanarySeconds"][0].as_f64() > Some(0.0),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_image_that_is_none_is_counted_with_its_reason() {
    let _one = one().await;
    let stack = Stack::new().await;
    let upload = stack.built_disk(PACKAGE).await;
    stack.build(&upload, b"this is no disk").await;
    let began = SystemTime::now();
    let outcome = stack.run_canary().await;
    let id = last_job(&stack).await;
    let details = stack.failure(id).await.details().to_owned();
    let reason = format!("job {id} failed: {details}");
    assert_eq!(outcome["no_image"], reason.as_str(), "{outcome}");
    let metrics = metrics_since(&stack, began).await;
    assert_eq!(metrics["CanaryImages"], 0.0);
    assert_eq!(metrics["CanarySeconds"], Value::Null);
    let logged = stack.logged(began, &reason).await;
    assert!(
        logged.iter().any(|line| line.contains("the canary failed")),
        "{logged:?}"
    );
}

/// An earlier invocation died after its job had made the AMI.
#[tokio::test]
async fn what_an_earlier_run_left_behind_is_removed() {
    let _one = one().await;
    let stack = Stack::new().await;
    let mut upload = stack.built_disk(PACKAGE).await;
    let name = format!("cloudupload-canary-2026-11-26-{}", unique());
    upload.body["ami_name"] = name.into();
    let id = stack.create(&upload).await.id();
    let left = stack.success(id).await;
    assert_eq!(stack.images_and_snapshots(&left).await.len(), 2);
    made(&stack.run_canary().await);
    assert_eq!(
        stack.images_and_snapshots(&left).await,
        Vec::<String>::new()
    );
}
