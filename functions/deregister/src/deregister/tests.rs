use cloudupload::{
    journal::Journal,
    retry,
    store::{Jobs, Outbox},
    usage::UsageCounter,
};
use fake_endpoint::{
    Answer, Call, Endpoint,
    dynamodb::{self, condition_failed, expression},
    ec2,
};
use serde_json::{Value, json};

use super::*;

const OURS: (&str, &str) = ("obs:job", "0a1b/job-1");

fn record(state: &str) -> Value {
    let mut record = dynamodb::record();
    record["state"] = state.into();
    record["work"] = json!({"snapshot": "snap-1", "register_began": 4, "image": "ami-1"});
    record
}

/// An AWS where that record and its image are, and all calls are allowed but those that are answered otherwise.
fn aws(
    record: &Value,
    mut otherwise: impl FnMut(&Call) -> Option<Answer> + Send + 'static,
) -> Endpoint {
    let item = dynamodb::item(record);
    Endpoint::new(move |call| {
        otherwise(call).unwrap_or_else(|| match call.name.as_str() {
            "GetItem" => Answer::json(&json!({ "Item": item })),
            "UpdateItem" => Answer::json(&json!({ "Attributes": item })),
            "PutLogEvents" => Answer::json(&json!({})),
            "AssumeRole" => call.credentials(),
            "DescribeImages" => ec2::images(call, &[("ami-1", &[OURS])]),
            _ => call.result("<return>true</return>"),
        })
    })
}

async fn asked(endpoint: &Endpoint, event: Value) -> Result<ImageRemovalOutcome, StepError> {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    let deregister = Deregister {
        environment: Environment {
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
        },
        accounts: Accounts {
            config,
            deployment: "0a1b".to_owned(),
        },
    };
    let event = serde_json::from_value(event).unwrap();
    deregister.handle(event, Instant::now()).await
}

async fn asked_by_tom(endpoint: &Endpoint) -> Result<ImageRemovalOutcome, StepError> {
    asked(endpoint, json!({"job": "1", "asked_by": "tom"})).await
}

fn refused(outcome: Result<ImageRemovalOutcome, StepError>) -> String {
    match outcome {
        Ok(ImageRemovalOutcome::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

const REMOVING: [&str; 5] = [
    "AssumeRole",
    "DescribeImages",
    "DescribeImages",
    "DeregisterImage",
    "DeleteSnapshot",
];

#[tokio::test]
async fn the_image_goes_and_record_and_log_tell() {
    for (event, by) in [
        (json!({"job": "1", "asked_by": "tom"}), "tom"),
        (json!({"job": "1"}), "the operators of this service"),
    ] {
        let endpoint = aws(&record("succeeded"), |_| None);
        let outcome = asked(&endpoint, event).await.unwrap();
        let ImageRemovalOutcome::Removed(at) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(endpoint.names_elsewhere(), REMOVING);
        let role = &endpoint.calls_of("AssumeRole")[0];
        assert_eq!(
            role.parameter("RoleArn"),
            "arn:aws:iam::123456789012:role/obs"
        );
        assert_eq!(role.parameter("ExternalId"), "top-secret");
        let update = endpoint.calls_of("UpdateItem")[0].json();
        assert_eq!(
            expression(&update, "UpdateExpression"),
            format!("SET image_removed = {}", json!(at))
        );
        assert_eq!(
            endpoint.log(),
            [format!(
                "Removed the image ami-1 and its snapshot snap-1, as asked by {by}."
            )]
        );
    }
}

#[tokio::test]
async fn an_image_that_was_removed_before_is_not_looked_for() {
    let mut record = record("succeeded");
    record["image_removed"] = 1795445900.into();
    let endpoint = aws(&record, |_| None);
    let outcome = asked_by_tom(&endpoint).await.unwrap();
    let at = Timestamp::from_secs(1795445900);
    assert_eq!(outcome, ImageRemovalOutcome::Removed(at));
    assert_eq!(endpoint.names(), ["GetItem"]);
}

#[tokio::test]
async fn of_two_calls_at_a_time_the_first_to_record_it_tells_the_log() {
    let endpoint = aws(&record("succeeded"), |call| {
        let mut first = record("succeeded");
        first["image_removed"] = 1795445900.into();
        let first = dynamodb::item(&first);
        (call.name == "UpdateItem").then(|| condition_failed(call, Some(&first)))
    });
    let outcome = asked_by_tom(&endpoint).await.unwrap();
    let at = Timestamp::from_secs(1795445900);
    assert_eq!(outcome, ImageRemovalOutcome::Removed(at));
    assert_eq!(endpoint.log(), [""; 0]);
}

#[tokio::test]
async fn a_job_that_has_not_succeeded_has_no_image() {
    for state in ["uploading", "failed"] {
        let endpoint = aws(&record(state), |_| None);
        assert_eq!(
            refused(asked_by_tom(&endpoint).await),
            format!("job 1 is {state}: only a job that has succeeded has an image")
        );
        assert_eq!(endpoint.names(), ["GetItem"]);
    }
    let endpoint = aws(&record("succeeded"), |call| {
        (call.name == "GetItem").then(|| Answer::json(&json!({})))
    });
    assert_eq!(refused(asked_by_tom(&endpoint).await), "there is no job 1");
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_a_line_in_the_log() {
    for (name, code, reason) in [
        ("AssumeRole", "AccessDenied", "cannot be assumed"),
        (
            "DeregisterImage",
            "UnauthorizedOperation",
            "allow it and try again",
        ),
        (
            "DeleteSnapshot",
            "InvalidSnapshot.InUse",
            "InvalidSnapshot.InUse: no",
        ),
    ] {
        let endpoint = aws(&record("succeeded"), move |call| {
            (call.name == name).then(|| call.refusal(403, code, "no"))
        });
        let told = refused(asked_by_tom(&endpoint).await);
        assert!(told.contains(reason), "{told}");
        assert_eq!(
            endpoint.log(),
            [format!("Could not remove the image ami-1: {told}")]
        );
        assert_eq!(endpoint.calls_of("UpdateItem").len(), 0);
    }
}

#[tokio::test]
async fn trouble_of_aws_is_a_failure_and_recorded_nowhere() {
    for name in ["AssumeRole", "DescribeImages", "DeleteSnapshot"] {
        let endpoint = aws(&record("succeeded"), move |call| {
            (call.name == name).then(|| call.refusal(503, "ServiceUnavailable", "busy"))
        });
        let error = asked_by_tom(&endpoint).await.unwrap_err();
        assert!(matches!(error, StepError::Transient(_)), "{error}");
        assert_eq!(endpoint.calls_of("UpdateItem").len(), 0);
        assert_eq!(endpoint.log(), [""; 0]);
    }
}
