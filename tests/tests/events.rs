//! Others hear of every change of a job's state: of each at least once, whatever becomes of the call that tells it.

use boon::{Compiler, Schemas};
use serde_json::Value;
use tests::{Fault, FaultClient, Route, Rule, Stack, function, unique, until};

const SCHEMA: &str = include_str!("../../docs/job-event.schema.json");

/// An event is that of a job's change, and its detail as the schema describes it.
#[track_caller]
fn assert_described(event: &Value) {
    assert_eq!(event["source"], "obs.cloudupload");
    assert_eq!(event["detail-type"], "Cloud upload job state change");
    let detail = &event["detail"];
    assert_eq!(event["time"], detail["time"]);
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let schema: Value = serde_json::from_str(SCHEMA).expect("a schema is JSON");
    let added = compiler.add_resource("https://schema/", schema);
    added.expect("a schema is a resource");
    let schema = compiler.compile("https://schema/", &mut schemas);
    let schema = schema.expect("a schema can be compiled");
    if let Err(error) = schemas.validate(detail, schema) {
        panic!("{error:#}\n{detail}");
    }
}

/// Number and state of each event, by their numbers.
fn states(events: &[Value]) -> Vec<(u64, &str)> {
    let details = events.iter().map(|event| &event["detail"]);
    let states = details.map(|detail| {
        let number = detail["sequence"].as_u64().expect("a number");
        (number, detail["state"].as_str().expect("a text"))
    });
    let mut states: Vec<_> = states.collect();
    states.sort_unstable();
    states
}

const ALL: [(u64, &str); 5] = [
    (1, "created"),
    (2, "receiving"),
    (3, "scheduled"),
    (4, "uploading"),
    (5, "succeeded"),
];

#[tokio::test]
async fn each_state_of_a_job_has_one_event() {
    let stack = Stack::new().await;
    let package = format!("events-{}", unique());
    let mut subscription = stack.subscribe("package", &package).await;
    let upload = stack.built_disk(&package).await.via(Route::Direct);
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    let events = subscription.events().await;
    assert_eq!(states(events), ALL);
    for event in events {
        assert_described(event);
        assert_eq!(event["detail"]["job"], job.id().to_string());
        assert_eq!(event["detail"]["user"], upload.user);
        let is_first = event["detail"]["state"] == "created";
        assert_eq!(event["detail"].get("route").is_none(), is_first, "{event}");
    }
    let last = events.iter().find(|event| event["detail"]["sequence"] == 5);
    assert_eq!(last.expect("there is one")["detail"]["ami"], job.details());
    assert!(stack.unsent_events(job.id()).await.is_empty());
}

/// `api` dies after it has written the record ([`Stack::stalled`]): the sweeper tells that the job was created.
#[tokio::test]
async fn a_kill_is_told_with_its_reason_and_what_a_dead_function_did_not_tell() {
    let stack = Stack::new().await;
    let user = format!("events-kill-{}", unique());
    let mut subscription = stack.subscribe("user", &user).await;
    let (id, rule) = stack
        .stalled(&user, function::PREFLIGHT, "sts:AssumeRole")
        .await;
    stack.kill(id).await;
    drop(rule);
    stack.failure(id).await;
    stack.age_events(id, 60).await;
    stack.sweep().await;
    let events = subscription.events().await;
    assert_eq!(states(events), [(1, "created"), (5, "failed")]);
    for event in events {
        assert_described(event);
    }
    assert!(
        events
            .iter()
            .any(|event| event["detail"]["reason"] == "killed")
    );
}

#[tokio::test]
async fn a_job_goes_on_without_its_events_and_the_sweeper_sends_them() {
    let stack = Stack::new().await;
    let package = format!("events-{}", unique());
    let mut subscription = stack.subscribe("package", &package).await;
    let denied = Rule {
        text: Some(package.clone()),
        ..Rule::new("events:PutEvents", Fault::AccessDenied).for_all()
    };
    let denied = FaultClient::from_env().add(denied).await;
    let upload = stack.built_disk(&package).await.via(Route::Direct);
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    assert!(subscription.events().await.is_empty());
    assert_eq!(stack.unsent_events(job.id()).await, [1, 2, 3, 4, 5]);
    assert!(denied.hits().await >= 5);
    drop(denied);

    stack.age_events(job.id(), 60).await;
    stack.sweep().await;
    let empty = async || match stack.unsent_events(job.id()).await {
        unsent if unsent.is_empty() => Ok(()),
        unsent => Err(unsent),
    };
    until("an empty outbox", empty).await;
    let events = subscription.events().await;
    assert_eq!(states(events), ALL);
    events.iter().for_each(|event| assert_described(event));
}

/// EventBridge has it, and the function does not know.
#[tokio::test]
async fn an_event_whose_answer_is_lost_is_sent_again_with_the_same_number() {
    let stack = Stack::new().await;
    let package = format!("events-{}", unique());
    let mut subscription = stack.subscribe("package", &package).await;
    let lost = Rule {
        text: Some(package.clone()),
        ..Rule::of_function(function::RECEIVE, "events:PutEvents", Fault::DropAnswer)
    };
    let lost = FaultClient::from_env().add(lost).await;
    let upload = stack.built_disk(&package).await.via(Route::Direct);
    let job = stack.create(&upload).await;
    stack.success(job.id()).await;
    assert_eq!(lost.hits().await, 1);
    let mut expected = Vec::from(ALL);
    expected.insert(1, ALL[1]);
    assert_eq!(states(subscription.events().await), expected);
    assert!(stack.unsent_events(job.id()).await.is_empty());
}
