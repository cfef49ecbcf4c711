//! The download from OBS into the staging bucket, by one invocation or several.

use std::collections::BTreeMap;

use cloudupload::{aws, journal::Journal, meter::Meter, retry, store::Jobs};
use fake_endpoint::{
    Answer, Call, Endpoint,
    dynamodb::{self, expression},
    s3,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;

const MIB: usize = 1 << 20;

/// A file that has the same bytes at no two places that count.
fn file_of(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// The record of the job that receives a file of that size.
fn record_of(size: usize) -> Value {
    let mut record = dynamodb::record();
    record["state"] = "receiving".into();
    record["created"] = Timestamp::now().as_secs().into();
    record["order"]["size"] = size.into();
    record
}

fn job_of(record: &Value) -> Job {
    serde_json::from_value(record.clone()).unwrap()
}

/// An OBS and a staging bucket: the bucket takes an upload.
fn outside(mut obs: impl FnMut(&Call) -> Answer + Send + 'static) -> Endpoint {
    let mut parts = BTreeMap::new();
    Endpoint::with_record(&record_of(0), move |call| match call.name.as_str() {
        "OBS" => obs(call),
        "CreateMultipartUpload" => s3::upload("u-1"),
        "UploadPart" => {
            let number: i32 = call.parameter("partNumber").parse().unwrap();
            parts.insert(number, call.body.len() as u64);
            Answer::ok("").header("ETag", format!("\"e{number}\""))
        }
        "ListParts" => {
            let parts: Vec<_> = parts
                .iter()
                .map(|(number, size)| (*number, *size))
                .collect();
            s3::parts(&parts, None)
        }
        "CompleteMultipartUpload" => s3::completed("whole-1"),
        name => panic!("{name} is not needed"),
    })
}

/// An OBS that serves the rest of a file alone.
fn rest_of(file: &[u8], call: &Call) -> Answer {
    match from(call) {
        0 => whole(file),
        from => {
            let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
            Answer::new(206, &file[from..]).header("Content-Range", range)
        }
    }
}

/// An OBS that does not.
fn whole(file: &[u8]) -> Answer {
    Answer::ok(file)
}

/// The first byte that OBS is asked for.
fn from(call: &Call) -> usize {
    match call.headers.get("range") {
        None => 0,
        Some(range) => {
            let from = range.strip_prefix("bytes=").unwrap().strip_suffix('-');
            from.unwrap().parse().unwrap()
        }
    }
}

/// Runs the step, which has so much time to read.
async fn receive_within(time: Duration, endpoint: &Endpoint, job: Job) -> Result<bool, StepError> {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    let environment = Environment {
        jobs: Jobs::new(aws_sdk_dynamodb::Client::new(&config), "jobs".to_owned()),
        journal: Journal::new(
            aws_sdk_cloudwatchlogs::Client::new(&config),
            "logs".to_owned(),
        ),
        config,
    };
    let account = "999999999999".parse().unwrap();
    let step = Receive {
        staging: Staging::new(aws::s3(&environment.config), "staging".to_owned(), account),
        obs: Obs::new(endpoint.url()).unwrap(),
    };
    let invocation = Invocation {
        environment: &environment,
        job,
        input: JobAlone {},
        deadline: Instant::now() + RESERVE + time,
        meter: Meter::new(),
    };
    Ok(step.run(&invocation).await?.done)
}

async fn receive(endpoint: &Endpoint, job: Job) -> Result<bool, StepError> {
    receive_within(Duration::from_secs(600), endpoint, job).await
}

/// The error of a job that failed.
async fn failed(endpoint: &Endpoint, job: Job) -> String {
    match receive(endpoint, job).await {
        Err(StepError::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// The bytes of the staged object: of each part those that were sent last.
fn staged(endpoint: &Endpoint) -> Vec<u8> {
    let parts = endpoint.calls_of("UploadPart").into_iter();
    let number = |call: &Call| call.parameter("partNumber").parse::<u32>().unwrap();
    let parts: BTreeMap<u32, Vec<u8>> = parts.map(|call| (number(&call), call.body)).collect();
    parts.into_values().flatten().collect()
}

/// What OBS was asked for, by first byte.
fn asked(endpoint: &Endpoint) -> Vec<usize> {
    endpoint.calls_of("OBS").iter().map(from).collect()
}

/// The values that the record got under this name, in their order.
fn recorded(endpoint: &Endpoint, name: &str) -> Vec<Value> {
    let assignment = format!("SET work.{name} = ");
    let values = endpoint
        .calls_of("UpdateItem")
        .into_iter()
        .filter_map(|call| {
            let update = expression(&call.json(), "UpdateExpression");
            let value = update.strip_prefix(&assignment)?;
            Some(serde_json::from_str(value).unwrap())
        });
    values.collect()
}

fn hash_of(file: &[u8]) -> String {
    hex::encode(Sha256::digest(file))
}

#[tokio::test]
async fn a_file_is_staged_as_it_lies_in_obs() {
    let file = file_of(17 * MIB + 5);
    let obs = file.clone();
    let endpoint = outside(move |call| rest_of(&obs, call));
    assert!(
        receive(&endpoint, job_of(&record_of(file.len())))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    assert_eq!(
        endpoint.names_elsewhere(),
        [
            "CreateMultipartUpload",
            "OBS",
            "UploadPart",
            "UploadPart",
            "UploadPart",
            "ListParts",
            "CompleteMultipartUpload"
        ]
    );
    let staged = json!({"etag": "\"whole-1\"", "sha256": hash_of(&file)});
    assert_eq!(recorded(&endpoint, "staged"), [staged]);
    let last = endpoint.calls_of("UpdateItem").pop().unwrap().json();
    assert_eq!(
        expression(&last, "UpdateExpression"),
        r#"SET state = "scheduled", details = "waiting to upload""#
    );
    let path = "/build/Cloud:Images/images/x86_64/leap-ec2/leap-ec2.x86_64-15.6.raw.xz";
    assert_eq!(endpoint.calls_of("OBS")[0].path, path);
}

#[tokio::test]
async fn the_record_is_ahead_of_the_bucket() {
    let endpoint = outside(|_| whole(b"abc"));
    receive(&endpoint, job_of(&record_of(3))).await.unwrap();
    let names = endpoint.names();
    let names: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "PutLogEvents")
        .collect();
    assert_eq!(
        names,
        [
            "UpdateItem", // intent
            "CreateMultipartUpload",
            "UpdateItem", // first checkpoint
            "OBS",
            "UploadPart",
            "UpdateItem", // last checkpoint: after the next call, there is nothing left that could be hashed
            "ListParts",
            "CompleteMultipartUpload",
            "UpdateItem", // the staged file
            "UpdateItem", // the state
        ]
    );
    let checkpoints = recorded(&endpoint, "received");
    let of = |at: usize| {
        (
            checkpoints[at]["bytes"].clone(),
            checkpoints[at]["parts"].clone(),
        )
    };
    assert_eq!((of(0), of(1)), ((json!(0), json!(0)), (json!(3), json!(1))));
    assert!(
        checkpoints
            .iter()
            .all(|checkpoint| checkpoint["upload"] == "u-1")
    );
    let intent = expression(
        &endpoint.calls_of("UpdateItem")[0].json(),
        "UpdateExpression",
    );
    assert!(
        intent.starts_with("SET work.staging_began = if_not_exists("),
        "{intent}"
    );
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_broke() {
    let file = file_of(9 * MIB);
    let (obs, mut breaks) = (file.clone(), vec![100, 8 * MIB + 7]);
    let endpoint = outside(move |call| {
        let answer = rest_of(&obs, call);
        match breaks.pop() {
            Some(at) => answer.broken_after(at),
            None => answer,
        }
    });
    assert!(
        receive(&endpoint, job_of(&record_of(file.len())))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    assert_eq!(asked(&endpoint), [0, 8 * MIB + 7, 8 * MIB + 107]);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&file));
    let updates = endpoint.calls_of("UpdateItem");
    let tries = updates
        .iter()
        .filter(|call| expression(&call.json(), "UpdateExpression") == "ADD try 1");
    assert_eq!(tries.count(), 2);
    let log = endpoint.log();
    let told = log
        .iter()
        .filter(|line| line.contains("; going on from byte "));
    assert_eq!(told.count(), 2, "{log:?}");
}

#[tokio::test]
async fn a_download_that_breaks_starts_over_where_obs_serves_no_ranges() {
    let file = file_of(9 * MIB);
    let (obs, mut breaks) = (file.clone(), vec![8 * MIB + 7]);
    let endpoint = outside(move |_| match breaks.pop() {
        Some(at) => whole(&obs).broken_after(at),
        None => whole(&obs),
    });
    assert!(
        receive(&endpoint, job_of(&record_of(file.len())))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    assert_eq!(asked(&endpoint), [0, 8 * MIB + 7]);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&file));
    let line = "OBS does not serve the rest of a file alone: starting over".to_owned();
    assert!(endpoint.log().contains(&line));
}

#[tokio::test]
async fn a_file_that_was_replaced_meanwhile_starts_over() {
    let (old, new) = (file_of(1000), vec![7; 1000]);
    let served = new.clone();
    let mut is_first = true;
    let endpoint = outside(move |call| {
        if std::mem::take(&mut is_first) {
            return whole(&old).header("ETag", "\"v1\"").broken_after(500);
        }
        rest_of(&served, call).header("ETag", "\"v2\"")
    });
    assert!(receive(&endpoint, job_of(&record_of(1000))).await.unwrap());
    assert!(staged(&endpoint) == new);
    assert_eq!(asked(&endpoint), [0, 500, 0]);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&new));
    let line = "The file was replaced in OBS meanwhile: starting over".to_owned();
    assert!(endpoint.log().contains(&line));
}

#[tokio::test]
async fn a_file_of_another_size_is_not_the_job_s() {
    let endpoint = outside(|_| whole(b"abcd"));
    let reason = failed(&endpoint, job_of(&record_of(3))).await;
    assert_eq!(
        reason,
        "size mismatch: 3 != 4: leap-ec2.x86_64-15.6.raw.xz was replaced in OBS since the job was created"
    );
    assert_eq!(endpoint.calls_of("OBS").len(), 1);
}

#[tokio::test]
async fn more_bytes_than_announced_are_an_error() {
    let endpoint = outside(|_| Answer::new(206, "abcd").header("Content-Range", "bytes 0-2/3"));
    let reason = failed(&endpoint, job_of(&record_of(3))).await;
    assert_eq!(
        reason,
        "OBS sent more than the 3 bytes of leap-ec2.x86_64-15.6.raw.xz"
    );
}

#[tokio::test]
async fn an_obs_that_stays_away_is_given_up() {
    let endpoint = outside(|_| Answer::new(503, ""));
    let reason = failed(&endpoint, job_of(&record_of(3))).await;
    assert!(
        reason.starts_with("remote error: 503 Service Unavailable (http://")
            && reason.ends_with(" (given up after 10 tries)"),
        "{reason}"
    );
    assert_eq!(endpoint.calls_of("OBS").len(), 10);
}

#[tokio::test]
async fn an_obs_that_refuses_is_asked_once() {
    let endpoint = outside(|call| call.refusal(404, "", "leap.raw.xz: no such file"));
    let reason = failed(&endpoint, job_of(&record_of(3))).await;
    assert!(
        reason.starts_with("remote error: leap.raw.xz: no such file ("),
        "{reason}"
    );
    assert_eq!(endpoint.calls_of("OBS").len(), 1);
}

#[tokio::test]
async fn tries_count_anew_after_every_byte() {
    let file = file_of(25);
    let obs = file.clone();
    let endpoint = outside(move |call| rest_of(&obs, call).broken_after(1));
    assert!(receive(&endpoint, job_of(&record_of(25))).await.unwrap());
    assert!(staged(&endpoint) == file);
    assert_eq!(asked(&endpoint), (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_has_six_hours() {
    let endpoint = outside(|_| whole(b"abc"));
    let mut record = record_of(3);
    record["created"] = (Timestamp::now().as_secs() - 6 * 3600 - 1).into();
    let reason = failed(&endpoint, job_of(&record)).await;
    assert_eq!(
        reason,
        "receiving leap-ec2.x86_64-15.6.raw.xz took longer than 6 hours"
    );
    assert!(staged(&endpoint).is_empty());
}

#[tokio::test]
async fn an_invocation_whose_time_is_up_leaves_the_rest_to_the_next() {
    let file = file_of(9 * MIB);
    let obs = file.clone();
    let mut is_first = true;
    let endpoint = outside(move |call| {
        let answer = rest_of(&obs, call);
        match (std::mem::take(&mut is_first), from(call)) {
            (true, _) => answer.broken_after(8 * MIB + 7),
            // The next invocation begins with a whole part.
            (false, from) if from == 8 * MIB => answer,
            (false, _) => answer.after(Duration::from_millis(1600)),
        }
    });
    let mut record = record_of(file.len());
    let time = Duration::from_millis(1500);
    assert!(
        !receive_within(time, &endpoint, job_of(&record))
            .await
            .unwrap()
    );
    assert!(endpoint.calls_of("CompleteMultipartUpload").is_empty());

    let checkpoint = recorded(&endpoint, "received").pop().unwrap();
    assert_eq!(
        (&checkpoint["bytes"], &checkpoint["parts"]),
        (&json!(8 * MIB), &json!(1))
    );
    record["work"]["received"] = checkpoint;
    assert!(receive(&endpoint, job_of(&record)).await.unwrap());
    assert_eq!(asked(&endpoint).pop(), Some(8 * MIB));
    assert_eq!(endpoint.calls_of("CreateMultipartUpload").len(), 1);
    assert!(staged(&endpoint) == file);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&file));
    assert!(
        endpoint
            .log()
            .contains(&"Going on from byte 8388608".to_owned())
    );
}

/// The record after an invocation that received so much of the file.
fn received(file: &[u8], bytes: usize) -> Value {
    use sha2::digest::common::hazmat::SerializableState;

    let hash = Sha256::new_with_prefix(&file[..bytes]).serialize();
    let mut record = record_of(file.len());
    record["work"]["received"] = json!({
        "upload": "u-1", "bytes": bytes, "parts": bytes.div_ceil(8 * MIB), "hash": hex::encode(hash), "version": null,
    });
    record
}

#[tokio::test]
async fn an_obs_that_serves_no_ranges_has_to_be_quick_enough() {
    let file = file_of(9 * MIB);
    let record = received(&file, 8 * MIB);
    let endpoint = outside(move |_| whole(&file).after(Duration::from_millis(100)));
    let time = Duration::from_millis(50);
    match receive_within(time, &endpoint, job_of(&record)).await {
        Err(StepError::Failed(reason)) => assert_eq!(
            reason,
            "OBS serves leap-ec2.x86_64-15.6.raw.xz only as a whole, and that takes longer than a function may run: \
             the uploader's ObsUrl has to be an address that serves ranges of a file"
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_state_of_the_hash_that_cannot_be_read_means_to_begin_anew() {
    let file = file_of(1000);
    let mut record = received(&file, 0);
    record["work"]["received"]["hash"] = "00".into();
    let obs = file.clone();
    let endpoint = outside(move |call| rest_of(&obs, call));
    assert!(receive(&endpoint, job_of(&record)).await.unwrap());
    assert_eq!(endpoint.calls_of("CreateMultipartUpload").len(), 1);
    assert!(staged(&endpoint) == file);
}

/// The function died after it had completed the object, and before it had recorded that.
#[tokio::test]
async fn a_file_that_is_staged_already_is_found_again() {
    let file = file_of(1000);
    let record = received(&file, 1000);
    let endpoint = Endpoint::with_record(&record, |call| match call.name.as_str() {
        "ListParts" => call.refusal(404, "NoSuchUpload", "The specified upload does not exist."),
        "HeadObject" => Answer::ok("")
            .header("Content-Length", "1000")
            .header("ETag", "\"whole-1\""),
        name => panic!("{name} is not needed"),
    });
    assert!(receive(&endpoint, job_of(&record)).await.unwrap());
    let staged = json!({"etag": "\"whole-1\"", "sha256": hash_of(&file)});
    assert_eq!(recorded(&endpoint, "staged"), [staged]);
}

#[tokio::test]
async fn a_job_that_is_past_this_step_needs_nothing() {
    let mut record = record_of(3);
    record["state"] = "scheduled".into();
    let endpoint = Endpoint::new(|call| panic!("{} is not needed", call.name));
    assert!(receive(&endpoint, job_of(&record)).await.unwrap());
}
