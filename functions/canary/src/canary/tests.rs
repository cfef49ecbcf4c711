//! The canary against an API, Secrets Manager, DynamoDB and Lambda that answer as the real ones do.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloudupload::{
    retry,
    store::{Jobs, Outbox},
};
use fake_endpoint::{Answer, Call, Endpoint, dynamodb};

use super::*;

const EXTERNAL_ID: &str = "the-canary-s-own-id";

fn canary(endpoint: &Endpoint) -> Canary {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    let role: RoleArn = "arn:aws:iam::123456789012:role/obs-cloudupload"
        .parse()
        .unwrap();
    Canary {
        api: Api::new(endpoint.url().parse().unwrap()).unwrap(),
        secret: FrontendSecret::new(&config, "secret-arn".to_owned()),
        image: "Cloud:Canary/images/x86_64/canary/canary.raw.xz"
            .parse()
            .unwrap(),
        region: Region::of_partition("eu-central-1", role.partition()).unwrap(),
        role,
        external_id: EXTERNAL_ID.parse().unwrap(),
        user: USER.parse().unwrap(),
        jobs: Jobs::new(
            aws_sdk_dynamodb::Client::new(&config),
            "jobs".to_owned(),
            Outbox::new(&config, "outbox".to_owned(), "0a1b".to_owned()),
        ),
        deregister: DeregisterFunction::new(&config, "deregister".to_owned()),
    }
}

/// The API, whose job 17 answers its GETs by `shown`, and its kill by `killed`, and AWS with no job of an earlier run. All
/// else is answered by `other`, if it gives an answer.
fn endpoint(
    shown: impl Fn(usize) -> (&'static str, &'static str) + Send + 'static,
    killed: (&'static str, &'static str),
    other: impl Fn(&Call) -> Option<Answer> + Send + 'static,
) -> Endpoint {
    let looks = AtomicUsize::new(0);
    Endpoint::new(move |call| {
        if let Some(answer) = other(call) {
            return answer;
        }
        match (call.name.as_str(), call.method.as_str(), call.path.as_str()) {
            ("GetSecretValue", ..) => {
                assert_eq!(call.json()["SecretId"], "secret-arn");
                Answer::json(&json!({"SecretString": "s3cret"}))
            }
            ("Query", ..) => Answer::json(&json!({"Items": []})),
            ("Invoke", ..) => Answer::json(&json!({"removed": 1795445844})),
            ("OBS", "POST", "/cloudupload") => job("17", "created", "waiting to receive image"),
            ("OBS", "GET", "/cloudupload/17") => {
                let (state, details) = shown(looks.fetch_add(1, Ordering::SeqCst));
                job("17", state, details)
            }
            ("OBS", "POST", "/cloudupload/17") if call.parameter("cmd") == "kill" => {
                job("17", killed.0, killed.1)
            }
            other => panic!("an unexpected call: {other:?}"),
        }
    })
}

fn job(id: &str, state: &str, details: &str) -> Answer {
    Answer::ok(format!(
        "<clouduploadjob name=\"{id}\">\n  <state>{state}</state>\n  <details>{details}</details>\n  \
         <created>1795445844</created>\n  <user>canary</user>\n  <target>ec2</target>\n</clouduploadjob>\n"
    ))
}

fn nothing_else(_: &Call) -> Option<Answer> {
    None
}

const KILLED: (&str, &str) = ("failed", "killed");

/// What an invocation says that has so much time for the job.
async fn outcome_within(endpoint: &Endpoint, time: Duration) -> CanaryOutcome {
    let deadline = Instant::now() + RESERVE + time;
    let outcome = canary(endpoint).handle(CanaryEvent {}, deadline).await;
    outcome.unwrap()
}

async fn outcome(endpoint: &Endpoint) -> CanaryOutcome {
    outcome_within(endpoint, Duration::from_secs(600)).await
}

fn image() -> CanaryOutcome {
    CanaryOutcome::Image {
        job: JobId::new(17).unwrap(),
        ami: "ami-0123456789abcdef0".to_owned(),
    }
}

#[track_caller]
fn assert_no_image(outcome: CanaryOutcome, expected: &str) {
    let CanaryOutcome::NoImage(reason) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains(expected), "{reason}");
    assert!(!reason.contains(EXTERNAL_ID), "{reason}");
    assert!(!reason.contains("s3cret"), "{reason}");
}

/// The bodies that Lambda was invoked with.
fn removals(endpoint: &Endpoint) -> Vec<Value> {
    let calls = endpoint.calls_of("Invoke").into_iter();
    calls.map(|call| call.json()).collect()
}

#[tokio::test]
async fn an_image_becomes_an_ami_that_is_removed_again() {
    let endpoint = endpoint(
        |look| match look {
            0 => ("uploading", "uploading image"),
            _ => ("succeeded", "ami-0123456789abcdef0"),
        },
        KILLED,
        nothing_else,
    );
    assert_eq!(outcome(&endpoint).await, image());
    assert_eq!(removals(&endpoint), [json!({"job": "17"})]);

    let calls = endpoint.calls_of("OBS");
    let methods: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET", "GET"]);
    // "obs:s3cret" (RFC 7617, 2).
    let authorized = |call: &Call| call.headers["authorization"] == "Basic b2JzOnMzY3JldA==";
    assert!(calls.iter().all(authorized));
    let create = &calls[0];
    for (name, value) in [
        ("project", "Cloud:Canary"),
        ("repository", "images"),
        ("arch", "x86_64"),
        ("package", "canary"),
        ("filename", "canary.raw.xz"),
        ("user", "canary"),
        ("target", "ec2"),
    ] {
        assert_eq!(create.parameter(name), value);
    }
    assert_eq!(create.parameters.len(), 7);
    let mut body = create.json();
    let name = body["ami_name"].take();
    let name = name.as_str().unwrap();
    let date = Timestamp::now().rfc3339();
    let prefix = format!("cloudupload-canary-{}-", &date[..4]);
    assert!(name.starts_with(&prefix), "{name}");
    assert_eq!(
        body,
        json!({
            "arn": "arn:aws:iam::123456789012:role/obs-cloudupload",
            "external_id": EXTERNAL_ID,
            "region": "eu-central-1",
            "ami_name": null,
        })
    );
}

#[tokio::test]
async fn a_job_that_fails_tells_its_reason() {
    let shown = |_| ("failed", "The role cannot be assumed");
    let endpoint = endpoint(shown, KILLED, nothing_else);
    assert_no_image(
        outcome(&endpoint).await,
        "job 17 failed: The role cannot be assumed",
    );
    assert_eq!(removals(&endpoint), [Value::Null; 0]);
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_killed() {
    let shown = |_| ("scheduled", "waiting for a slot");
    let endpoint = endpoint(shown, KILLED, nothing_else);
    let outcome = outcome_within(&endpoint, Duration::from_millis(500)).await;
    assert_no_image(outcome, "was killed: it was scheduled: waiting for a slot");
    assert_eq!(removals(&endpoint), [Value::Null; 0]);
}

#[tokio::test]
async fn a_job_that_ended_before_the_kill_counts_as_it_ended() {
    let shown = |_| panic!("there is no time for a look");
    let late = endpoint(shown, ("succeeded", "ami-0123456789abcdef0"), nothing_else);
    assert_eq!(outcome_within(&late, Duration::ZERO).await, image());
    assert_eq!(removals(&late), [json!({"job": "17"})]);

    let shown = |_| panic!("there is no time for a look");
    let late = endpoint(shown, ("failed", "the disk is damaged"), nothing_else);
    let outcome = outcome_within(&late, Duration::ZERO).await;
    assert_no_image(outcome, "job 17 failed: the disk is damaged");
}

/// Answers the first requests of this method with this status, and the rest as always.
fn troubled(
    method: &'static str,
    status: u16,
    count: usize,
) -> impl Fn(&Call) -> Option<Answer> + Send + 'static {
    let so_far = AtomicUsize::new(0);
    move |call| {
        let is_one = call.name == "OBS" && call.method == method;
        let first = is_one && so_far.fetch_add(1, Ordering::SeqCst) < count;
        first.then(|| call.refusal(status, "", "in trouble"))
    }
}

#[tokio::test]
async fn trouble_of_the_api_is_waited_for_and_a_refusal_is_not() {
    let succeeded = |_| ("succeeded", "ami-0123456789abcdef0");
    for method in ["POST", "GET"] {
        let endpoint = endpoint(succeeded, KILLED, troubled(method, 503, 2));
        assert_eq!(outcome(&endpoint).await, image(), "{method}");
    }
    let down = endpoint(succeeded, KILLED, troubled("POST", 503, 3));
    let reason = "the API refused to create a job: 503 Service Unavailable: in trouble";
    assert_no_image(outcome(&down).await, reason);

    let refusing = endpoint(succeeded, KILLED, troubled("POST", 404, 1));
    let reason = "the API refused to create a job: 404 Not Found: in trouble";
    assert_no_image(outcome(&refusing).await, reason);
    assert_eq!(refusing.calls_of("OBS").len(), 1);
}

#[tokio::test]
async fn an_ami_that_is_not_removed_is_a_failure() {
    let refused = json!({"refused": "the role lacks ec2:DeregisterImage"});
    let failed = json!({"errorType": "Passing", "errorMessage": "EC2 is in trouble"});
    let failed = Answer::json(&failed).header("x-amz-function-error", "Unhandled");
    for (answer, reason) in [
        (Answer::json(&refused), "the role lacks ec2:DeregisterImage"),
        (failed, "deregister: EC2 is in trouble"),
        (Answer::ok("?"), "is not understood"),
    ] {
        let shown = |_| ("succeeded", "ami-0123456789abcdef0");
        let endpoint = endpoint(shown, KILLED, move |call| {
            (call.name == "Invoke").then(|| answer.clone())
        });
        let outcome = outcome(&endpoint).await;
        let CanaryOutcome::NoImage(text) = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            text.starts_with("job 17 made ami-0123456789abcdef0, which was not removed again: "),
            "{text}"
        );
        assert_no_image(outcome, reason);
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told() {
    let shown = |_| panic!("there is no job");
    let endpoint = endpoint(shown, KILLED, |call| {
        let is_secret = call.name == "GetSecretValue";
        is_secret.then(|| call.refusal(400, "AccessDeniedException", "not authorized"))
    });
    let reason = "the secret of OBS could not be read: secretsmanager:GetSecretValue failed";
    assert_no_image(outcome(&endpoint).await, reason);
}

/// A record of a job of the canary.
fn record(id: &str, state: &str, ami_name: &str) -> Value {
    let mut record = dynamodb::record();
    record["id"] = id.into();
    record["state"] = state.into();
    record["order"]["user"] = USER.into();
    record["order"]["ec2"]["ami_name"] = ami_name.into();
    record
}

const OURS: &str = "cloudupload-canary-2026-11-26-1795445844";

#[tokio::test]
async fn what_an_earlier_run_left_behind_is_removed_first() {
    let endpoint = endpoint(
        |_| ("succeeded", "ami-0123456789abcdef0"),
        KILLED,
        |call| {
            let yesterday = Timestamp::now().as_secs() - 24 * 3600;
            let records = [("5", "succeeded"), ("6", "uploading")].map(|(id, state)| {
                let mut record = record(id, state, OURS);
                record["created"] = yesterday.into();
                record
            });
            match call.name.as_str() {
                "Query" => {
                    let request = call.json();
                    assert_eq!(request["IndexName"], "owner");
                    let values = &request["ExpressionAttributeValues"];
                    assert_eq!(values[":owner"], json!({"S": "obs:canary"}));
                    let ids = ["6", "5"].map(|id| dynamodb::item(&json!({ "id": id })));
                    Some(Answer::json(&json!({ "Items": ids })))
                }
                "BatchGetItem" => {
                    let items = records.map(|record| dynamodb::item(&record));
                    Some(Answer::json(&json!({"Responses": {"jobs": items}})))
                }
                "OBS" if call.path == "/cloudupload/6" => Some(job("6", "failed", "killed")),
                _ => None,
            }
        },
    );
    assert_eq!(outcome(&endpoint).await, image());
    assert_eq!(
        removals(&endpoint),
        [json!({"job": "5"}), json!({"job": "17"})]
    );
    let kills = endpoint.calls_of("OBS").into_iter();
    let kills = kills.filter(|call| call.path == "/cloudupload/6" && call.method == "POST");
    assert_eq!(kills.count(), 1);
}

#[tokio::test]
async fn leftovers_that_cannot_be_read_or_removed_hold_nothing_up() {
    let unreadable = endpoint(
        |_| ("succeeded", "ami-0123456789abcdef0"),
        KILLED,
        |call| {
            let is_query = call.name == "Query";
            is_query.then(|| call.refusal(400, "AccessDeniedException", "not authorized"))
        },
    );
    assert_eq!(outcome(&unreadable).await, image());
}

#[test]
fn the_sample_event_is_one() {
    let event = include_str!("../../../../events/canary.json");
    let CanaryEvent {} = serde_json::from_str(event).unwrap();
}

#[test]
fn only_the_canary_s_own_jobs_are_leftovers() {
    let created = 1795445844;
    let leftover = |record: Value, age: u64| {
        let job: Job = serde_json::from_value(record).unwrap();
        Leftover::of(&job, Timestamp::from_secs(created + age))
    };
    let day = 24 * 3600;
    let succeeded = record("5", "succeeded", OURS);
    assert_eq!(leftover(succeeded.clone(), 1), Some(Leftover::Image));
    let mut removed = succeeded;
    removed["image_removed"] = (created + 60).into();
    assert_eq!(leftover(removed, day), None);
    assert_eq!(leftover(record("5", "failed", OURS), day), None);
    // Another invocation may be at it still.
    assert_eq!(leftover(record("5", "uploading", OURS), 600), None);
    for state in State::OPEN {
        let open = record("5", state.as_str(), OURS);
        assert_eq!(leftover(open, day), Some(Leftover::OpenJob));
    }
    // Of a user of OBS who is called canary, too.
    for state in ["succeeded", "uploading"] {
        assert_eq!(leftover(record("5", state, "leap 15.6"), day), None);
    }
}
