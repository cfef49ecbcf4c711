//! What the step records and logs.

use cloudupload::{
    journal::Journal,
    meter::Meter,
    retry,
    store::{Jobs, Outbox},
    usage::UsageCounter,
};
use fake_endpoint::{Answer, Call, Endpoint, dynamodb, dynamodb::expression, ec2};
use serde_json::{Value, json};

use super::*;

/// A record of a created job in which these artifacts are.
fn record_with(artifacts: Value) -> Value {
    let mut record = dynamodb::record();
    record["state"] = "created".into();
    record["work"] = artifacts;
    record
}

/// An AWS that allows everything. A write of the record leaves these artifacts in it.
fn outside(artifacts: Value) -> Endpoint {
    Endpoint::with_record(&record_with(artifacts), |call| match call.name.as_str() {
        "AssumeRole" => call.credentials(),
        "DescribeImages" => ec2::images(call, &[]),
        "HeadBucket" => Answer::ok(""),
        _ if call.path.starts_with("/snapshots") => not_found(call),
        _ => call.refusal(412, "DryRunOperation", "Request would have succeeded"),
    })
}

fn not_found(call: &Call) -> Answer {
    call.refusal(
        404,
        "ResourceNotFoundException",
        "The snapshot does not exist.",
    )
}

async fn run(endpoint: &Endpoint, artifacts: Value) -> Result<PreflightOutput, StepError> {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    let environment = Environment {
        jobs: Jobs::new(
            aws_sdk_dynamodb::Client::new(&config),
            "jobs".to_owned(),
            Outbox::new(&config, "outbox".to_owned(), "0a1b".to_owned()),
        ),
        journal: Journal::new(
            aws_sdk_cloudwatchlogs::Client::new(&config),
            "logs".to_owned(),
        ),
        config: config.clone(),
        usage: UsageCounter::new("AKIASERVICE"),
    };
    let step = Preflight {
        accounts: Accounts {
            config,
            deployment: "0a1b".to_owned(),
        },
        copy: CopyRoute::Enabled,
    };
    let invocation = Invocation {
        environment: &environment,
        job: serde_json::from_value(record_with(artifacts)).unwrap(),
        input: JobAlone {},
        deadline: tokio::time::Instant::now(),
        meter: Meter::new(),
    };
    step.run(&invocation).await
}

#[tokio::test]
async fn the_route_is_recorded_once_and_told() {
    let endpoint = outside(json!({"route": "direct"}));
    run(&endpoint, json!({})).await.unwrap();
    let writes = endpoint.calls_of("UpdateItem");
    assert_eq!(writes.len(), 1);
    let write = expression(&writes[0].json(), "UpdateExpression");
    for fact in [
        "work.route = if_not_exists(work.route, \"direct\")",
        "work.second_route = if_not_exists(work.second_route, \"import\")",
    ] {
        assert!(write.contains(fact), "{write}");
    }
    assert_eq!(
        endpoint.log(),
        ["Route direct: the role allows it, and it is the fastest"]
    );
}

#[tokio::test]
async fn a_route_that_another_run_recorded_meanwhile_stays() {
    let endpoint = outside(json!({"route": "copy"}));
    run(&endpoint, json!({})).await.unwrap();
    assert_eq!(endpoint.log(), ["Route copy: chosen already"]);
}

#[tokio::test]
async fn a_job_with_a_route_is_passed_on() {
    let endpoint = outside(json!({"route": "import"}));
    let output = run(&endpoint, json!({"route": "import"})).await.unwrap();
    assert_eq!(output.job.to_string(), "1");
    assert_eq!(endpoint.log(), ["Route import: chosen already"]);
    assert_eq!(endpoint.names_elsewhere(), [""; 0]);
}

#[tokio::test]
async fn a_role_that_is_refused_fails_the_job() {
    let endpoint = Endpoint::with_record(&record_with(json!({})), |call| {
        call.refusal(403, "AccessDenied", "not authorized")
    });
    let error = run(&endpoint, json!({})).await.unwrap_err();
    assert!(
        matches!(&error, StepError::Failed(text) if text.contains("cannot be assumed")),
        "{error}"
    );
    assert!(endpoint.calls_of("UpdateItem").is_empty());
}
