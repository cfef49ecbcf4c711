//! The way from a snapshot of the service's own to a copy in the user's account.

use aws_sdk_cloudwatchlogs as logs;
use cloudupload::{error::is_transient, journal::Journal};
use fake_endpoint::{
    Answer, Call, Endpoint, dynamodb,
    ec2::{self, Snapshot},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    removal::Outcome,
    testing::{jobs_at, session_at},
};

const SHARED: &str = "snap-1";
const COPY: &str = "snap-2";

/// A job that has sealed its snapshot, with these artifacts besides.
fn sealed(artifacts: &Value) -> Job {
    let mut record = dynamodb::record();
    record["work"] = json!({
        "route": "copy", "snapshot_began": 1, "block_snapshot": SHARED, "volume_gib": 1, "writes_zeros": false,
        "sealed": Timestamp::now().as_secs(),
    });
    for (field, value) in artifacts.as_object().unwrap() {
        record["work"][field] = value.clone();
    }
    serde_json::from_value(record).unwrap()
}

fn ago(seconds: u64) -> u64 {
    Timestamp::now().as_secs() - seconds
}

/// Both accounts: the snapshot in the service's own is in this state, and so many copies have the job's tag.
fn accounts(
    shared: &'static str,
    copies: &'static [&'static str],
    mut copy: impl FnMut(&Call) -> Answer + Send + 'static,
) -> Endpoint {
    Endpoint::with_record(&dynamodb::record(), move |call| {
        let snapshot = |id, state| Snapshot {
            id,
            state,
            progress: "42%",
        };
        match call.name.as_str() {
            "DescribeSnapshots" if call.parameters.contains_key("Filter.1.Name") => {
                assert_eq!(call.parameter("Filter.1.Name"), "tag:obs:job");
                assert_eq!(call.parameter("Filter.1.Value.1"), "0a1b/job-1");
                let found: Vec<_> = copies.iter().map(|id| snapshot(id, "pending")).collect();
                ec2::snapshots(call, &found)
            }
            "DescribeSnapshots" => {
                let id = call.parameter("SnapshotId.1").to_owned();
                ec2::snapshots(call, &[snapshot(&id, shared)])
            }
            "CopySnapshot" => copy(call),
            _ => call.result("<return>true</return>"),
        }
    })
}

fn copied(call: &Call) -> Answer {
    call.result(&format!("<snapshotId>{COPY}</snapshotId>"))
}

fn no_copy(_: &Call) -> Answer {
    panic!("a copy begins")
}

fn log_at(endpoint: &Endpoint, job: &Job) -> JobLog {
    let client = logs::Client::new(&endpoint.config());
    Journal::new(client, "logs".to_owned()).of(job.id)
}

async fn poll(endpoint: &Endpoint, job: &Job) -> Result<SnapshotStatus, CopyError> {
    let (session, jobs) = (session_at(endpoint, job), jobs_at(endpoint));
    let log = log_at(endpoint, job);
    CopyRoute::new(&session, &jobs, log).poll().await
}

fn line(status: SnapshotStatus) -> String {
    match status {
        SnapshotStatus::Working { line, .. } => line,
        SnapshotStatus::Ready(id) => panic!("{id}"),
    }
}

#[tokio::test]
async fn nothing_is_shared_before_it_is_complete() {
    let endpoint = accounts("pending", &[], no_copy);
    let status = poll(&endpoint, &sealed(&json!({}))).await.unwrap();
    assert_eq!(line(status), "EBS completes snap-1: it is at 42%");
    assert_eq!(endpoint.names(), ["DescribeSnapshots"]);
}

#[tokio::test]
async fn a_complete_snapshot_is_shared_with_the_user_alone_and_copied_with_its_tags() {
    let endpoint = accounts("completed", &[], copied);
    let status = poll(&endpoint, &sealed(&json!({}))).await.unwrap();
    assert_eq!(line(status), "Copying into your account: snap-2");
    assert_eq!(
        endpoint.names(),
        [
            "DescribeSnapshots",
            "ModifySnapshotAttribute",
            "UpdateItem",
            "CopySnapshot",
            "UpdateItem"
        ]
    );
    let calls = endpoint.calls();
    for (name, value) in [
        ("SnapshotId", SHARED),
        ("Attribute", "createVolumePermission"),
        ("OperationType", "add"),
        ("UserId.1", "123456789012"),
    ] {
        assert_eq!(calls[1].parameter(name), value, "{name}");
    }
    let intent = dynamodb::expression(&calls[2].json(), "UpdateExpression");
    assert!(intent.contains("work.copy_began"), "{intent}");
    for (name, value) in [
        ("SourceSnapshotId", SHARED),
        ("SourceRegion", "us-east-1"),
        ("TagSpecification.1.ResourceType", "snapshot"),
        ("TagSpecification.1.Tag.6.Value", "0a1b/job-1"),
    ] {
        assert_eq!(calls[3].parameter(name), value, "{name}");
    }
    let taken = dynamodb::expression(&calls[4].json(), "UpdateExpression");
    assert!(taken.contains(r#"work.snapshot = "snap-2""#), "{taken}");
}

#[tokio::test]
async fn a_copy_whose_answer_was_lost_is_found_by_its_tag() {
    let endpoint = accounts("completed", &[COPY], no_copy);
    let job = sealed(&json!({"copy_began": ago(1)}));
    let status = poll(&endpoint, &job).await.unwrap();
    assert_eq!(line(status), "Copying into your account: snap-2");
}

#[tokio::test]
async fn a_copy_may_be_unlisted_for_a_while_and_no_longer() {
    let endpoint = accounts("completed", &[], no_copy);
    let job = sealed(&json!({"copy_began": ago(30)}));
    let status = poll(&endpoint, &job).await.unwrap();
    assert!(line(status).starts_with("A copy may have begun"));

    let endpoint = accounts("completed", &[], copied);
    let job = sealed(&json!({"copy_began": ago(61)}));
    let status = poll(&endpoint, &job).await.unwrap();
    assert_eq!(line(status), "Copying into your account: snap-2");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_repeated_blindly() {
    let endpoint = accounts("completed", &[], |_| Answer::ok("").broken_after(0));
    let error = poll(&endpoint, &sealed(&json!({}))).await.unwrap_err();
    assert!(is_transient(&error), "{error}");
    let copies = endpoint.names();
    let copies = copies.iter().filter(|name| *name == "CopySnapshot");
    assert_eq!(copies.count(), 1);
}

#[tokio::test]
async fn a_throttled_copy_is_tried_again_at_once() {
    let mut throttled = 3;
    let endpoint = accounts("completed", &[], move |call| {
        throttled -= 1;
        match throttled {
            0.. => call.refusal(503, "RequestLimitExceeded", "later"),
            _ => copied(call),
        }
    });
    let status = poll(&endpoint, &sealed(&json!({}))).await.unwrap();
    assert_eq!(line(status), "Copying into your account: snap-2");
}

#[tokio::test]
async fn too_many_copies_at_a_time_are_waited_for() {
    let endpoint = accounts("completed", &[], |call| {
        let message =
            "Too many snapshot copies in progress. The limit is 20 for this destination region.";
        call.refusal(400, "ResourceLimitExceeded", message)
    });
    let status = poll(&endpoint, &sealed(&json!({}))).await.unwrap();
    assert!(line(status).contains("Too many snapshot copies in progress"));
}

#[tokio::test]
async fn a_copy_is_looked_at_until_it_is_complete() {
    let job = sealed(&json!({"copy_began": ago(10), "snapshot": COPY}));
    let endpoint = accounts("pending", &[], no_copy);
    let status = poll(&endpoint, &job).await.unwrap();
    assert_eq!(
        status,
        SnapshotStatus::Working {
            percent: Some(42),
            line: "Copied: snap-2 is at 42%".to_owned(),
            wait: 1
        }
    );
    let endpoint = accounts("completed", &[], no_copy);
    let status = poll(&endpoint, &job).await.unwrap();
    assert_eq!(status, SnapshotStatus::Ready(COPY.parse().unwrap()));
    let endpoint = accounts("error", &[], no_copy);
    let error = poll(&endpoint, &job).await.unwrap_err();
    assert_eq!(error.to_string(), "snap-2 is error");
    assert!(!is_transient(&error));
}

#[tokio::test]
async fn an_account_that_encrypts_everything_is_told_with_the_remedy() {
    let endpoint = Endpoint::with_record(&dynamodb::record(), |call| {
        if call.name == "GetEbsEncryptionByDefault" {
            return call.result("<ebsEncryptionByDefault>false</ebsEncryptionByDefault>");
        }
        let started = json!({"SnapshotId": SHARED, "SseType": "sse-kms", "KmsKeyArn": "arn:aws:kms:us-east-1:1:key/1"});
        Answer::new(201, started.to_string())
    });
    let job = sealed(&json!({}));
    let (session, jobs) = (session_at(&endpoint, &job), jobs_at(&endpoint));
    let route = CopyRoute::new(&session, &jobs, log_at(&endpoint, &job));
    let opened = route.open(vec![], 1 << 30, Artifacts::default()).await;
    let error = opened.unwrap_err();
    assert!(matches!(error, CopyError::Encrypted { .. }), "{error}");
    assert!(!is_transient(&error));
    let text = error.to_string();
    assert!(
        text.contains("ebs:StartSnapshot") && text.contains("us-east-1"),
        "{text}"
    );
}

/// A block that was not written reads as noise in an encrypted copy.
#[tokio::test]
async fn zeros_are_written_where_the_copy_may_be_encrypted() {
    let default = |on: bool| {
        move |call: &Call| {
            call.result(&format!(
                "<ebsEncryptionByDefault>{on}</ebsEncryptionByDefault>"
            ))
        }
    };
    let denied = |call: &Call| call.refusal(403, "UnauthorizedOperation", "no");
    assert!(!writes_zeros(&json!({}), default(false)).await);
    assert!(writes_zeros(&json!({}), default(true)).await);
    assert!(writes_zeros(&json!({}), denied).await);
    assert!(writes_zeros(&json!({"encrypted": true}), default(false)).await);
}

#[tokio::test]
async fn a_role_that_may_not_tell_whether_copies_are_encrypted_is_named_in_the_log() {
    let endpoint = Endpoint::with_record(&dynamodb::record(), |call| match call.name.as_str() {
        "StartSnapshot" => Answer::new(201, json!({"SnapshotId": SHARED}).to_string()),
        _ => call.refusal(403, "UnauthorizedOperation", "no"),
    });
    let job = sealed(&json!({}));
    let (session, jobs) = (session_at(&endpoint, &job), jobs_at(&endpoint));
    let route = CopyRoute::new(&session, &jobs, log_at(&endpoint, &job));
    route.open(vec![], 1, Artifacts::default()).await.unwrap();
    let log = endpoint.log();
    assert!(
        log.iter()
            .any(|line| line.contains("ec2:GetEbsEncryptionByDefault") && line.contains("zeros")),
        "{log:?}"
    );
}

/// Whether a route that is opened with these wishes records that zeros are written.
async fn writes_zeros(
    wishes: &Value,
    by_default: impl Fn(&Call) -> Answer + Send + 'static,
) -> bool {
    let endpoint =
        Endpoint::with_record(&dynamodb::record(), move |call| match call.name.as_str() {
            "StartSnapshot" => {
                assert!(call.json()["Encrypted"].is_null());
                Answer::new(201, json!({"SnapshotId": SHARED}).to_string())
            }
            _ => by_default(call),
        });
    let mut record = dynamodb::record();
    for (wish, value) in wishes.as_object().unwrap() {
        record["order"]["ec2"][wish] = value.clone();
    }
    record["work"] = json!({"route": "copy"});
    let job: Job = serde_json::from_value(record).unwrap();
    let (session, jobs) = (session_at(&endpoint, &job), jobs_at(&endpoint));
    let route = CopyRoute::new(&session, &jobs, log_at(&endpoint, &job));
    route.open(vec![], 1, Artifacts::default()).await.unwrap();
    let calls = endpoint.calls();
    let update = dynamodb::expression(&calls.last().unwrap().json(), "UpdateExpression");
    assert!(update.contains("work.writes_zeros"), "{update}");
    update.contains("true")
}

#[tokio::test]
async fn after_a_success_only_the_copy_of_the_ami_stays() {
    let endpoint = accounts("completed", &[COPY, "snap-3"], no_copy);
    let job = sealed(&json!({"copy_began": 1, "snapshot": COPY}));
    let (session, jobs) = (session_at(&endpoint, &job), jobs_at(&endpoint));
    let log = log_at(&endpoint, &job);
    let mut removal = Removal::new(&log);
    CopyRoute::new(&session, &jobs, log.clone())
        .remove_target(&mut removal)
        .await;
    assert_eq!(removal.outcome(), Outcome::Clean);
    assert_eq!(endpoint.names(), ["DescribeSnapshots", "DeleteSnapshot"]);
    assert_eq!(endpoint.calls()[1].parameter("SnapshotId"), "snap-3");
}

#[tokio::test]
async fn whatever_of_the_job_is_in_the_own_account_goes() {
    // One is listed that the record does not know, and the recorded one is not listed.
    let endpoint = accounts("completed", &["snap-4"], no_copy);
    let job = sealed(&json!({}));
    let (session, jobs) = (session_at(&endpoint, &job), jobs_at(&endpoint));
    let log = log_at(&endpoint, &job);
    let mut removal = Removal::new(&log);
    let shared = SharedSnapshot::of(&session.accounts, &job, &jobs);
    shared.remove(&mut removal).await;
    assert_eq!(removal.outcome(), Outcome::Clean);
    assert_eq!(deleted(&endpoint), [SHARED, "snap-4"]);
}

fn deleted(endpoint: &Endpoint) -> Vec<String> {
    let calls = endpoint.calls().into_iter();
    let deletions = calls.filter(|call| call.name == "DeleteSnapshot");
    deletions
        .map(|call| call.parameter("SnapshotId").to_owned())
        .collect()
}

/// As after an earlier clean-up: the permission to delete is for what has the tag.
#[tokio::test]
async fn a_snapshot_that_is_gone_is_not_deleted_again() {
    let endpoint = Endpoint::with_record(&dynamodb::record(), |call| match call.name.as_str() {
        "DescribeSnapshots" if call.parameters.contains_key("Filter.1.Name") => {
            ec2::snapshots(call, &[])
        }
        "DescribeSnapshots" => call.refusal(400, "InvalidSnapshot.NotFound", "gone"),
        name => panic!("{name}"),
    });
    let job = sealed(&json!({}));
    let (session, jobs) = (session_at(&endpoint, &job), jobs_at(&endpoint));
    let log = log_at(&endpoint, &job);
    let mut removal = Removal::new(&log);
    SharedSnapshot::of(&session.accounts, &job, &jobs)
        .remove(&mut removal)
        .await;
    assert_eq!(removal.outcome(), Outcome::Clean);
}
