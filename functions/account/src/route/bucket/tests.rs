//! The import of a disk, from the sealed upload to the snapshot, and its end.

use aws_sdk_cloudwatchlogs as logs;
use cloudupload::{error::StepError, journal::Journal};
use fake_endpoint::{
    Answer, Call, Endpoint, dynamodb,
    ec2::{self, ImportTask},
    s3,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    removal::Outcome,
    testing::{OTHERS, OURS, jobs_at, session_at},
};

const TASK: &str = "import-snap-1";

/// The job with these artifacts.
fn job_with(artifacts: Value) -> Job {
    let mut record = dynamodb::record();
    record["work"] = artifacts;
    serde_json::from_value(record).unwrap()
}

/// The job whose disk is being imported since so many seconds.
fn importing_since(seconds: u64) -> Job {
    let began = Timestamp::now().as_secs() - seconds;
    job_with(json!({
        "disk_began": 1, "target_upload": "u-1", "disk_size": 10, "import_began": began, "import_task": TASK,
    }))
}

fn account(answer: impl FnMut(&Call) -> Answer + Send + 'static) -> Endpoint {
    Endpoint::with_record(&dynamodb::record(), answer)
}

fn log_at(endpoint: &Endpoint, job: &Job) -> JobLog {
    let client = logs::Client::new(&endpoint.config());
    Journal::new(client, "logs".to_owned()).of(job.id)
}

async fn seal(endpoint: &Endpoint) -> Result<String, BucketError> {
    let job = job_with(json!({"disk_began": 1, "target_upload": "u-1"}));
    let (session, jobs, log) = (
        session_at(endpoint, &job),
        jobs_at(endpoint),
        log_at(endpoint, &job),
    );
    let slices = [TransferOutput {
        bytes: 10,
        blocks: None,
    }];
    BucketRoute::new(&session, &jobs, log).seal(&slices).await
}

async fn poll(endpoint: &Endpoint, job: &Job) -> Result<SnapshotStatus, BucketError> {
    let (session, jobs, log) = (
        session_at(endpoint, job),
        jobs_at(endpoint),
        log_at(endpoint, job),
    );
    BucketRoute::new(&session, &jobs, log).poll().await
}

async fn end_imports(endpoint: &Endpoint, job: &Job) -> (Vec<SnapshotId>, Outcome) {
    let (session, jobs, log) = (
        session_at(endpoint, job),
        jobs_at(endpoint),
        log_at(endpoint, job),
    );
    let mut removal = Removal::new(&log);
    let route = BucketRoute::new(&session, &jobs, log.clone());
    let snapshots = route.end_imports(&mut removal).await;
    (snapshots.into_iter().collect(), removal.outcome())
}

/// A sealed upload of 10 bytes, whose import is answered like that.
fn sealing(mut import: impl FnMut(&Call) -> Answer + Send + 'static) -> Endpoint {
    account(move |call| match call.name.as_str() {
        "ListParts" => s3::parts(&[(1, 10)], None),
        "CompleteMultipartUpload" => s3::completed("whole-1"),
        _ => import(call),
    })
}

fn started(call: &Call) -> Answer {
    call.result(&format!("<importTaskId>{TASK}</importTaskId>"))
}

/// As others saw it: https://github.com/confidential-containers/cloud-api-adaptor/pull/3287.
fn unknown_role(call: &Call) -> Answer {
    let message = "The service role obs-cloudupload-vmimport provided does not exist or does not have sufficient \
                   permissions";
    call.refusal(400, "InvalidParameter", message)
}

#[tokio::test]
async fn an_import_is_intended_before_it_is_started() {
    let endpoint = sealing(started);
    let line = seal(&endpoint).await.unwrap();
    assert_eq!(line, "Importing a disk of 10 bytes: import-snap-1");
    assert_eq!(
        endpoint.names(),
        [
            "ListParts",
            "CompleteMultipartUpload",
            "UpdateItem",
            "ImportSnapshot",
            "UpdateItem"
        ]
    );
    let calls = endpoint.calls();
    let [intent, task] =
        [2, 4].map(|call| dynamodb::expression(&calls[call].json(), "UpdateExpression"));
    assert!(
        intent.starts_with("SET work.import_began = if_not_exists(work.import_began, "),
        "{intent}"
    );
    for fact in [
        "work.disk_size = 10",
        r#"work.import_task = "import-snap-1""#,
    ] {
        assert!(task.contains(fact), "{task}");
    }
    for (name, value) in [
        ("ClientToken", "0a1b-job-1"),
        ("RoleName", "obs-cloudupload-vmimport"),
        ("DiskContainer.Format", "RAW"),
        (
            "DiskContainer.UserBucket.S3Bucket",
            "obs-cloudupload-123456789012-us-east-1",
        ),
        ("DiskContainer.UserBucket.S3Key", "0a1b/job-1.raw"),
        ("TagSpecification.1.ResourceType", "import-snapshot-task"),
        ("TagSpecification.1.Tag.6.Value", OURS.1),
    ] {
        assert_eq!(calls[3].parameter(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_service_role_that_is_not_known_yet_is_tried_again() {
    let mut refusals = 3;
    let endpoint = sealing(move |call| {
        if refusals == 0 {
            return started(call);
        }
        refusals -= 1;
        unknown_role(call)
    });
    seal(&endpoint).await.unwrap();
    assert_eq!(endpoint.calls_of("ImportSnapshot").len(), 4);
    assert_eq!(
        endpoint.log(),
        [
            "VM Import does not know the role obs-cloudupload-vmimport, perhaps not yet: trying again"
        ]
    );
}

#[tokio::test]
async fn a_service_role_that_stays_unknown_is_given_up_with_the_words_of_aws() {
    let endpoint = sealing(unknown_role);
    let error = seal(&endpoint).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ec2:ImportSnapshot failed: InvalidParameter: The service role obs-cloudupload-vmimport provided does not \
         exist or does not have sufficient permissions"
    );
    assert!(matches!(StepError::from(error), StepError::Failed(_)));
    assert_eq!(endpoint.calls_of("ImportSnapshot").len(), 17);
}

#[tokio::test]
async fn another_parameter_that_is_invalid_is_told_at_once() {
    let endpoint = sealing(|call| call.refusal(400, "InvalidParameter", "Disk validation failed"));
    seal(&endpoint).await.unwrap_err();
    assert_eq!(endpoint.calls_of("ImportSnapshot").len(), 1);
    assert_eq!(endpoint.log(), [""; 0]);
}

/// The job's task in this status, as the only one.
fn the_task(call: &Call, status: &str, snapshot: Option<&str>) -> Answer {
    let task = ImportTask {
        id: TASK,
        status,
        snapshot,
        tags: &[OURS],
    };
    ec2::import_tasks(call, &[task])
}

/// EC2 with one task in this status.
fn with_task(status: &'static str, snapshot: Option<&'static str>) -> Endpoint {
    account(move |call| match call.name.as_str() {
        "DescribeImportSnapshotTasks" => {
            assert_eq!(call.parameter("ImportTaskId.1"), TASK);
            the_task(call, status, snapshot)
        }
        _ => call.result("<return>true</return>"),
    })
}

#[tokio::test]
async fn a_task_at_work_has_its_time() {
    let endpoint = with_task("active", None);
    let working = SnapshotStatus::Working {
        percent: Some(42),
        line: "Imported 42% (copying)".to_owned(),
        wait: 30,
    };
    assert_eq!(
        poll(&endpoint, &importing_since(600)).await.unwrap(),
        working
    );

    let error = poll(&endpoint, &importing_since(7300)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("import-snap-1 is at 42% (copying) after 73"),
        "{text}"
    );
}

#[tokio::test]
async fn a_task_that_is_over_is_told_with_the_words_of_ec2() {
    let endpoint = with_task("deleted", None);
    let error = poll(&endpoint, &importing_since(60)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ec2:ImportSnapshot: import-snap-1 is deleted: copying"
    );
}

#[tokio::test]
async fn a_task_may_be_unknown_for_a_while_and_no_longer() {
    let unknown: [fn(&Call) -> Answer; 2] = [
        |call| ec2::import_tasks(call, &[]),
        |call| call.refusal(400, "InvalidConversionTaskId.Malformed", "no"),
    ];
    for answer in unknown {
        let endpoint = account(answer);
        let working = SnapshotStatus::Working {
            percent: Some(0),
            line: "Imported 0% (EC2 does not know it yet)".to_owned(),
            wait: 14,
        };
        assert_eq!(
            poll(&endpoint, &importing_since(290)).await.unwrap(),
            working
        );

        let error = poll(&endpoint, &importing_since(310)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ec2:ImportSnapshot: import-snap-1 is unknown: EC2 does not know it any more"
        );
    }
}

#[tokio::test]
async fn a_snapshot_is_recorded_before_it_is_tagged() {
    let endpoint = with_task("completed", Some("snap-1"));
    let ready = poll(&endpoint, &importing_since(60)).await.unwrap();
    assert_eq!(ready, SnapshotStatus::Ready("snap-1".parse().unwrap()));
    assert_eq!(
        endpoint.names(),
        ["DescribeImportSnapshotTasks", "UpdateItem", "CreateTags"]
    );
    let record = dynamodb::expression(&endpoint.calls()[1].json(), "UpdateExpression");
    assert_eq!(record, r#"SET work.snapshot = "snap-1""#);
}

#[tokio::test]
async fn a_snapshot_may_be_unknown_for_as_long_as_an_import_may_take() {
    let endpoint = account(|call| match call.name.as_str() {
        "DescribeImportSnapshotTasks" => the_task(call, "completed", Some("snap-1")),
        _ => call.refusal(400, "InvalidSnapshot.NotFound", "no"),
    });
    let working = SnapshotStatus::Working {
        percent: None,
        line: "EC2 does not know snap-1 yet".to_owned(),
        wait: 5,
    };
    assert_eq!(
        poll(&endpoint, &importing_since(60)).await.unwrap(),
        working
    );
    let error = poll(&endpoint, &importing_since(7300)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "snap-1, which import-snap-1 made, is gone"
    );
}

#[tokio::test]
async fn nothing_is_asked_about_imports_that_were_not_begun() {
    let endpoint = account(|call| panic!("{} is not needed", call.name));
    let job = job_with(json!({"disk_began": 1, "target_upload": "u-1"}));
    assert_eq!(end_imports(&endpoint, &job).await, (vec![], Outcome::Clean));
}

/// EC2 with tasks 1, recorded, and 2, which a step that died did not record; 3 is of another deployment's job. They are
/// active until they are cancelled; then 1 completes all the same.
fn with_tasks() -> Endpoint {
    let mut cancelled = BTreeSet::new();
    account(move |call| match call.name.as_str() {
        "CancelImportTask" => {
            cancelled.insert(call.parameter("ImportTaskId").to_owned());
            call.result("<return>true</return>")
        }
        _ => {
            let task = |id, tag| {
                let is_over = cancelled.contains(id);
                let (status, snapshot) = match (is_over, id) {
                    (true, TASK) => ("completed", Some("snap-1")),
                    (true, _) => ("deleted", None),
                    (false, _) => ("active", None),
                };
                ImportTask {
                    id,
                    status,
                    snapshot,
                    tags: tag,
                }
            };
            let tasks = [
                task(TASK, &[OURS]),
                task("import-snap-2", &[OURS]),
                task("import-snap-3", &[OTHERS]),
            ];
            let asked = call.parameters.get("ImportTaskId.1");
            let asked = |task: &&ImportTask| asked.is_none_or(|asked| asked == task.id);
            let tasks: Vec<ImportTask> = tasks.iter().filter(asked).copied().collect();
            ec2::import_tasks(call, &tasks)
        }
    })
}

#[tokio::test]
async fn all_tasks_of_the_job_are_ended_and_their_snapshots_found() {
    let endpoint = with_tasks();
    let (snapshots, outcome) = end_imports(&endpoint, &importing_since(60)).await;
    assert_eq!(
        (snapshots, outcome),
        (vec!["snap-1".parse().unwrap()], Outcome::Clean)
    );
    let cancelled = endpoint.calls_of("CancelImportTask");
    let cancelled: Vec<&str> = cancelled
        .iter()
        .map(|call| call.parameter("ImportTaskId"))
        .collect();
    assert_eq!(cancelled, ["import-snap-1", "import-snap-2"]);
}

#[tokio::test]
async fn a_task_that_does_not_end_is_worth_another_try() {
    let endpoint = with_task_that_stays();
    let (snapshots, outcome) = end_imports(&endpoint, &importing_since(60)).await;
    assert_eq!((snapshots, outcome), (vec![], Outcome::Trouble));
    assert_eq!(endpoint.calls_of("CancelImportTask").len(), 18);
    assert_eq!(
        endpoint.log(),
        [
            "Could not remove the import task import-snap-1: ec2:CancelImportTask failed: import-snap-1 is still at \
             work after 18 tries to cancel it"
        ]
    );
}

fn with_task_that_stays() -> Endpoint {
    account(|call| match call.name.as_str() {
        "DescribeImportSnapshotTasks" => the_task(call, "active", None),
        _ => call.result("<return>true</return>"),
    })
}

#[tokio::test]
async fn a_search_that_fails_keeps_back_no_recorded_task() {
    let endpoint = account(|call| match call.parameters.get("ImportTaskId.1") {
        None => call.refusal(503, "RequestLimitExceeded", "slow down"),
        Some(_) => ec2::import_tasks(call, &[]),
    });
    let (_, outcome) = end_imports(&endpoint, &importing_since(60)).await;
    assert_eq!(outcome, Outcome::Trouble);
    assert_eq!(
        endpoint.names_elsewhere(),
        ["DescribeImportSnapshotTasks"; 2]
    );
}
