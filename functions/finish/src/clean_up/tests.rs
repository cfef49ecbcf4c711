//! What is removed, in which order, and what comes of parts that cannot be.

use std::time::Duration;

use cloudupload::{aws, journal::Journal, retry, store::Outbox};
use fake_endpoint::{
    Answer, Call, Endpoint, dynamodb,
    ec2::{self, ImportTask},
    s3,
};
use serde_json::{Value, json};

use super::*;

const OURS: (&str, &str) = ("obs:job", "0a1b/job-1");

/// The job for which these things were begun.
fn job_with(artifacts: Value) -> Job {
    let mut record = dynamodb::record();
    record["state"] = "failed".into();
    record["work"] = artifacts;
    serde_json::from_value(record).unwrap()
}

/// The job for which everything was begun and made.
fn whole_job() -> Job {
    job_with(json!({
        "staging_began": 1, "disk_began": 2, "target_upload": "u-1", "disk_size": 10, "import_began": 3,
        "import_task": "import-snap-1", "snapshot": "snap-1", "register_began": 4, "image": "ami-1",
    }))
}

/// An AWS where all of it is there and goes, but for the calls that are answered otherwise.
fn outside(mut otherwise: impl FnMut(&Call) -> Option<Answer> + Send + 'static) -> Endpoint {
    Endpoint::with_record(&dynamodb::record(), move |call| {
        otherwise(call).unwrap_or_else(|| there_and_goes(call))
    })
}

fn there_and_goes(call: &Call) -> Answer {
    match call.name.as_str() {
        "AssumeRole" => call.credentials(),
        "ListMultipartUploads" => s3::uploads(&[], false),
        "DeleteObject" => Answer::new(204, ""),
        "DescribeImportSnapshotTasks" => {
            let (id, status, snapshot, tags) =
                ("import-snap-1", "completed", Some("snap-1"), &[OURS]);
            ec2::import_tasks(
                call,
                &[ImportTask {
                    id,
                    status,
                    snapshot,
                    tags,
                }],
            )
        }
        "DescribeImages" => ec2::images(call, &[("ami-1", &[OURS])]),
        _ => call.result("<return>true</return>"),
    }
}

async fn clean_up_within(time: Duration, endpoint: &Endpoint, job: &Job, keep: Keep) -> Outcome {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    let journal = Journal::new(
        aws_sdk_cloudwatchlogs::Client::new(&config),
        "logs".to_owned(),
    );
    let account = "999999999999".parse().unwrap();
    let clean_up = CleanUp {
        jobs: Jobs::new(
            aws_sdk_dynamodb::Client::new(&config),
            "jobs".to_owned(),
            Outbox::new(&config, "outbox".to_owned(), "0a1b".to_owned()),
        ),
        staging: Staging::new(aws::s3(&config), "staging".to_owned(), account),
        accounts: Accounts {
            config,
            deployment: "0a1b".to_owned(),
        },
    };
    let until = Instant::now() + time;
    clean_up.run(job, keep, &journal.of(job.id), until).await
}

async fn clean_up(endpoint: &Endpoint, job: &Job, keep: Keep) -> Outcome {
    clean_up_within(Duration::from_secs(150), endpoint, job, keep).await
}

const STAGED: [&str; 2] = ["ListMultipartUploads", "DeleteObject"];
const DISK: [&str; 2] = STAGED;
/// A search for all, and a look at the one.
const TASKS: [&str; 2] = ["DescribeImportSnapshotTasks"; 2];
const AMI: [&str; 2] = ["DescribeImages", "DeregisterImage"];

#[tokio::test]
async fn what_others_are_made_of_goes_first() {
    let endpoint = outside(|_| None);
    let outcome = clean_up(&endpoint, &whole_job(), Keep::Nothing).await;
    assert_eq!(outcome, Outcome::Clean);
    let order = [
        &STAGED[..],
        &["AssumeRole"],
        &DISK,
        &TASKS,
        &AMI,
        &["DeleteSnapshot"],
    ];
    assert_eq!(endpoint.names_elsewhere(), order.concat());
    let objects = endpoint.calls_of("DeleteObject");
    let paths = objects
        .iter()
        .map(|call| (call.path.as_str(), call.access_key().unwrap()));
    assert_eq!(
        paths.collect::<Vec<_>>(),
        [
            ("/staging/job-1/leap-ec2.x86_64-15.6.raw.xz", "AKIASERVICE"),
            (
                "/obs-cloudupload-123456789012-us-east-1/0a1b/job-1.raw",
                "ASIASESSION"
            ),
        ]
    );
    let snapshots = endpoint.calls_of("DeleteSnapshot");
    assert_eq!(snapshots[0].parameter("SnapshotId"), "snap-1");
    assert_eq!(endpoint.log(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_asked_about_what_was_not_begun() {
    for (artifacts, calls) in [
        (json!({}), vec![]),
        (json!({"staging_began": 1}), STAGED.to_vec()),
        (
            json!({"staging_began": 1, "disk_began": 2}),
            [&STAGED[..], &["AssumeRole"], &DISK].concat(),
        ),
        (
            json!({"staging_began": 1, "disk_began": 2, "import_began": 3}),
            [
                &STAGED[..],
                &["AssumeRole"],
                &DISK,
                &TASKS,
                &["DeleteSnapshot"],
            ]
            .concat(),
        ),
    ] {
        let endpoint = outside(|_| None);
        let outcome = clean_up(&endpoint, &job_with(artifacts), Keep::Nothing).await;
        assert_eq!(outcome, Outcome::Clean);
        assert_eq!(endpoint.names_elsewhere(), calls);
    }
}

#[tokio::test]
async fn the_ami_of_a_job_that_succeeds_stays_with_its_snapshot() {
    let endpoint = outside(|_| None);
    assert_eq!(
        clean_up(&endpoint, &whole_job(), Keep::Ami).await,
        Outcome::Clean
    );
    let calls = [&STAGED[..], &["AssumeRole"], &DISK].concat();
    assert_eq!(endpoint.names_elsewhere(), calls);
}

/// A step made a snapshot and died before it recorded it.
#[tokio::test]
async fn a_snapshot_that_the_record_does_not_name_goes_too() {
    let endpoint = outside(|call| {
        let (id, status, tags) = ("import-snap-1", "completed", &[OURS]);
        let snapshot = Some("snap-2");
        let tasks = [ImportTask {
            id,
            status,
            snapshot,
            tags,
        }];
        (call.name == TASKS[0]).then(|| ec2::import_tasks(call, &tasks))
    });
    clean_up(&endpoint, &whole_job(), Keep::Nothing).await;
    let snapshots = endpoint.calls_of("DeleteSnapshot");
    let snapshots: Vec<&str> = snapshots
        .iter()
        .map(|call| call.parameter("SnapshotId"))
        .collect();
    assert_eq!(snapshots, ["snap-1", "snap-2"]);
}

/// The parts, by a call that can fail, and what the log calls them.
const PARTS: [(&str, &str, &str); 5] = [
    ("DeleteObject", "/staging/", "the staged file"),
    (
        "DeleteObject",
        "/obs-cloudupload-",
        "the disk in your bucket",
    ),
    (
        "DescribeImportSnapshotTasks",
        "/",
        "import tasks, if there are any",
    ),
    ("DeregisterImage", "/", "the AMI"),
    ("DeleteSnapshot", "/", "the snapshot snap-1"),
];

#[tokio::test]
async fn a_part_that_fails_keeps_back_no_other() {
    for (status, code, outcome) in [
        (403, "AccessDenied", Outcome::Left),
        (503, "SlowDown", Outcome::Trouble),
    ] {
        for (name, path, part) in PARTS {
            let endpoint = outside(move |call| {
                let fails = call.name == name && call.path.starts_with(path);
                fails.then(|| call.refusal(status, code, "no"))
            });
            let job = whole_job();
            assert_eq!(
                clean_up(&endpoint, &job, Keep::Nothing).await,
                outcome,
                "{part}"
            );
            for (name, path, part) in PARTS {
                let calls = endpoint.calls_of(name);
                assert!(
                    calls.iter().any(|call| call.path.starts_with(path)),
                    "{part}"
                );
            }
            let log = endpoint.log();
            let line = format!("Could not remove {part}: ");
            assert!(
                log[0].starts_with(&line) && log[0].contains(code),
                "{log:?}"
            );
        }
    }
}

/// What cannot be removed at all is the user's to hear of, whatever else may work later.
#[tokio::test]
async fn the_worst_of_all_parts_is_the_outcome() {
    let endpoint = outside(|call| match call.name.as_str() {
        "DeregisterImage" => Some(call.refusal(403, "AccessDenied", "no")),
        "DeleteSnapshot" => Some(call.refusal(503, "SlowDown", "no")),
        _ => None,
    });
    let outcome = clean_up(&endpoint, &whole_job(), Keep::Nothing).await;
    assert_eq!((outcome, endpoint.log().len()), (Outcome::Left, 2));
}

#[tokio::test]
async fn an_account_that_cannot_be_entered_is_told() {
    for (status, code, outcome) in [
        (403, "AccessDenied", Outcome::Left),
        (400, "Throttling", Outcome::Trouble),
    ] {
        let endpoint = outside(move |call| {
            (call.name == "AssumeRole").then(|| call.refusal(status, code, "no"))
        });
        assert_eq!(
            clean_up(&endpoint, &whole_job(), Keep::Nothing).await,
            outcome
        );
        let calls = [&STAGED[..], &["AssumeRole"]].concat();
        assert_eq!(endpoint.names_elsewhere(), calls);
        let log = endpoint.log();
        let start = format!(
            "Could not look into your account for leftovers: sts:AssumeRole failed: {code}: no"
        );
        assert!(log.len() == 1 && log[0].starts_with(&start), "{log:?}");
    }
}

/// A step that was given up has registered an AMI after ours was removed, or died before it tagged the snapshot.
#[tokio::test]
async fn a_snapshot_that_is_in_use_or_has_no_tags_is_tried_again() {
    for (code, between) in [
        ("InvalidSnapshot.InUse", &AMI[..]),
        ("UnauthorizedOperation", &["CreateTags"][..]),
    ] {
        let mut is_first = true;
        let endpoint = outside(move |call| {
            let fails = call.name == "DeleteSnapshot" && std::mem::take(&mut is_first);
            fails.then(|| call.refusal(400, code, "no"))
        });
        assert_eq!(
            clean_up(&endpoint, &whole_job(), Keep::Nothing).await,
            Outcome::Clean
        );
        let names = endpoint.names_elsewhere();
        let end = [&["DeleteSnapshot"], between, &["DeleteSnapshot"]].concat();
        assert_eq!(names[names.len() - end.len()..], end);
    }
}

#[tokio::test]
async fn a_clean_up_that_takes_too_long_is_put_off() {
    for name in ["DeleteObject", "DeleteSnapshot"] {
        let endpoint = outside(move |call| (call.name == name).then(Answer::never));
        let time = Duration::from_millis(500);
        let outcome = clean_up_within(time, &endpoint, &whole_job(), Keep::Nothing).await;
        assert_eq!(outcome, Outcome::Trouble);
        assert_eq!(endpoint.names_elsewhere().last().unwrap(), name);
        let line = "Removing what is left takes too long: it is put off.";
        assert_eq!(endpoint.log(), [line]);
    }
}
