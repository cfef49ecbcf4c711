//! The download from OBS into the staging bucket, by one invocation or several.

use std::{collections::BTreeMap, ops::Range};

use cloudupload::{
    aws,
    journal::Journal,
    meter::Meter,
    retry,
    store::{Jobs, Outbox},
    usage::UsageCounter,
};
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

/// An OBS without a checksum of the file, and a staging bucket that takes an upload.
fn outside(mut obs: impl FnMut(&Call) -> Answer + Send + 'static) -> Endpoint {
    outside_with(move |call| match is_checksum(call) {
        true => call.refusal(404, "", "no such file"),
        false => obs(call),
    })
}

fn is_checksum(call: &Call) -> bool {
    call.path.ends_with(".sha256")
}

/// The same with whatever OBS has beside the file.
fn outside_with(obs: impl FnMut(&Call) -> Answer + Send + 'static) -> Endpoint {
    outside_holding(BTreeMap::new(), obs)
}

/// The same with an upload that has these parts already, by number and size.
fn outside_holding(
    mut parts: BTreeMap<i32, u64>,
    mut obs: impl FnMut(&Call) -> Answer + Send + 'static,
) -> Endpoint {
    let mut staged = BTreeMap::new();
    Endpoint::with_record(&record_of(0), move |call| match call.name.as_str() {
        "OBS" => obs(call),
        "CreateMultipartUpload" => s3::upload("u-1"),
        "UploadPart" => {
            let number: i32 = call.parameter("partNumber").parse().unwrap();
            parts.insert(number, call.body.len() as u64);
            staged.insert(number, call.body.clone());
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
        "GetObject" => {
            let staged: Vec<u8> = staged.values().flatten().copied().collect();
            Answer::new(206, &staged[range_of(call)])
        }
        name => panic!("{name} is not needed"),
    })
}

/// The bytes that are asked for with a range.
fn range_of(call: &Call) -> Range<usize> {
    let range = call.headers["range"].strip_prefix("bytes=").unwrap();
    let (from, last) = range.split_once('-').unwrap();
    from.parse().unwrap()..last.parse::<usize>().unwrap() + 1
}

/// An OBS that serves pieces of a file, which has a version.
fn piece_of(file: &[u8], call: &Call) -> Answer {
    let range = range_of(call);
    let content = format!("bytes {}-{}/{}", range.start, range.end - 1, file.len());
    Answer::new(206, &file[range])
        .header("Content-Range", content)
        .header("ETag", "\"v1\"")
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

/// What an invocation works with, and the step that reads over so many connections.
fn step(endpoint: &Endpoint, connections: &str) -> (Environment, Receive) {
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
        config,
        usage: UsageCounter::new("AKIASERVICE"),
    };
    let account = "999999999999".parse().unwrap();
    let step = Receive {
        staging: Staging::new(aws::s3(&environment.config), "staging".to_owned(), account),
        obs: Obs::new(endpoint.url()).unwrap(),
        connections: connections.parse().unwrap(),
    };
    (environment, step)
}

fn invocation(environment: &Environment, job: Job, time: Duration) -> Invocation<'_, JobAlone> {
    Invocation {
        environment,
        job,
        input: JobAlone {},
        deadline: Instant::now() + RESERVE + time,
        meter: Meter::new(),
    }
}

/// Receives a file over so many connections, in so much time. It need not be a disk: it is not inspected.
async fn receive_over(
    connections: &str,
    time: Duration,
    endpoint: &Endpoint,
    job: Job,
) -> Result<bool, StepError> {
    let (environment, step) = step(endpoint, connections);
    let invocation = invocation(&environment, job, time);
    let is_staged = step.stage(&invocation).await?.is_some();
    if is_staged {
        step.schedule(&invocation).await?;
    }
    Ok(is_staged)
}

async fn receive_within(time: Duration, endpoint: &Endpoint, job: Job) -> Result<bool, StepError> {
    receive_over("1", time, endpoint, job).await
}

/// The whole step, with the inspection.
async fn run(endpoint: &Endpoint, job: Job) -> Result<bool, StepError> {
    let (environment, step) = step(endpoint, "1");
    let invocation = invocation(&environment, job, Duration::from_secs(600));
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
    let calls = endpoint.calls_of("OBS").into_iter();
    calls
        .filter(|call| !is_checksum(call))
        .map(|call| from(&call))
        .collect()
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

/// The job's state was changed once, and waits for a slot then.
#[track_caller]
fn assert_scheduled(endpoint: &Endpoint) {
    let transactions = endpoint.calls_of("TransactWriteItems");
    assert_eq!(transactions.len(), 1);
    let record = &transactions[0].json()["TransactItems"][0]["Update"];
    let update = expression(record, "UpdateExpression");
    let scheduled = r#"SET state = "scheduled", details = "waiting to upload", "#;
    assert!(update.starts_with(scheduled), "{update}");
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
            "OBS", // the checksum
            "ListParts",
            "CompleteMultipartUpload"
        ]
    );
    let staged = json!({"etag": "\"whole-1\"", "sha256": hash_of(&file)});
    assert_eq!(recorded(&endpoint, "staged"), [staged]);
    assert_scheduled(&endpoint);
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
            "UpdateItem", // last checkpoint: after the upload is completed, there is nothing left that could be hashed
            "OBS",        // the checksum
            "ListParts",
            "CompleteMultipartUpload",
            "UpdateItem",         // the staged file
            "TransactWriteItems", // the state, and its event
            "GetItem",
            "PutEvents",
            "DeleteItem",
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
        "OBS" => call.refusal(404, "", "no such file"),
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
    assert!(run(&endpoint, job_of(&record)).await.unwrap());
}

/// The first bytes that OBS was asked for, in their order in the file.
fn asked_in_order(endpoint: &Endpoint) -> Vec<usize> {
    let calls = endpoint.calls_of("OBS").into_iter();
    let calls = calls.filter(|call| !is_checksum(call));
    let mut from: Vec<usize> = calls.map(|call| range_of(&call).start).collect();
    from.sort_unstable();
    from
}

async fn receive_in_pieces(endpoint: &Endpoint, record: &Value) -> Result<bool, StepError> {
    receive_over("4", Duration::from_secs(600), endpoint, job_of(record)).await
}

#[tokio::test]
async fn a_file_is_read_in_pieces_where_obs_serves_them() {
    let file = file_of(50 * MIB + 5);
    let obs = file.clone();
    let endpoint = outside(move |call| {
        // Later pieces come first.
        let wait = Duration::from_millis(50 - (range_of(call).start / MIB) as u64);
        piece_of(&obs, call).after(wait)
    });
    let record = record_of(file.len());
    assert!(receive_in_pieces(&endpoint, &record).await.unwrap());
    assert!(staged(&endpoint) == file);
    let staged = json!({"etag": "\"whole-1\"", "sha256": hash_of(&file)});
    assert_eq!(recorded(&endpoint, "staged"), [staged]);
    let pieces: Vec<usize> = (0..7).map(|piece| piece * 8 * MIB).collect();
    assert_eq!(asked_in_order(&endpoint), pieces);
    let most = endpoint.most_at_once("OBS");
    assert!((2..=4).contains(&most), "{most}");
}

#[tokio::test]
async fn a_small_file_is_read_over_one_connection() {
    let file = file_of(8 * MIB);
    let obs = file.clone();
    let endpoint = outside(move |call| rest_of(&obs, call).header("ETag", "\"v1\""));
    assert!(
        receive_in_pieces(&endpoint, &record_of(file.len()))
            .await
            .unwrap()
    );
    assert_eq!(asked(&endpoint), [0]);
}

#[tokio::test]
async fn a_piece_that_breaks_goes_on_where_it_broke() {
    let file = file_of(30 * MIB);
    let (obs, mut broken) = (file.clone(), Vec::new());
    let endpoint = outside(move |call| {
        let from = range_of(call).start;
        let answer = piece_of(&obs, call);
        match broken.contains(&from) {
            false if from.is_multiple_of(8 * MIB) => {
                broken.push(from);
                answer.broken_after(from / MIB + 1)
            }
            _ => answer,
        }
    });
    assert!(
        receive_in_pieces(&endpoint, &record_of(file.len()))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&file));
    let asked: Vec<usize> = (0..4)
        .flat_map(|n| [n * 8 * MIB, n * 8 * MIB + n * 8 + 1])
        .collect();
    assert_eq!(asked_in_order(&endpoint), asked);
    let updates = endpoint.calls_of("UpdateItem");
    let tries = updates
        .iter()
        .filter(|call| expression(&call.json(), "UpdateExpression") == "ADD try 1");
    assert_eq!(tries.count(), 4);
    let log = endpoint.log();
    assert!(
        log.iter()
            .any(|line| line.contains("; going on from byte 8388617 in ")),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_piece_that_ends_early_goes_on_too() {
    let file = file_of(20 * MIB);
    let (obs, mut is_short) = (file.clone(), true);
    let endpoint = outside(move |call| {
        let range = range_of(call);
        match range.start == 8 * MIB && std::mem::take(&mut is_short) {
            true => {
                let content = format!("bytes {}-{}/{}", range.start, range.end - 1, obs.len());
                let answer = Answer::new(206, &obs[range.start..range.start + 7]);
                answer
                    .header("Content-Range", content)
                    .header("ETag", "\"v1\"")
            }
            false => piece_of(&obs, call),
        }
    });
    assert!(
        receive_in_pieces(&endpoint, &record_of(file.len()))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    let line = "OBS sent only 7 of 8388608 bytes of a part of leap-ec2.x86_64-15.6.raw.xz; going on from byte 8388615 in ";
    assert!(
        endpoint.log().iter().any(|logged| logged.starts_with(line)),
        "{:?}",
        endpoint.log()
    );
}

#[tokio::test]
async fn a_piece_that_never_comes_is_given_up() {
    let file = file_of(20 * MIB);
    let obs = file.clone();
    let endpoint = outside(move |call| match range_of(call).start {
        0 => piece_of(&obs, call),
        from if from == 8 * MIB => Answer::new(503, ""),
        _ => piece_of(&obs, call),
    });
    let error = receive_in_pieces(&endpoint, &record_of(file.len()))
        .await
        .unwrap_err();
    let StepError::Failed(reason) = error else {
        panic!("{error:?}");
    };
    assert!(
        reason.starts_with("remote error: 503 Service Unavailable (http://")
            && reason.ends_with(" (given up after 10 tries)"),
        "{reason}"
    );
    let asked = asked_in_order(&endpoint);
    assert_eq!(asked.iter().filter(|from| **from == 8 * MIB).count(), 10);
}

#[tokio::test]
async fn an_obs_that_ignores_ranges_is_read_over_one_connection() {
    let file = file_of(20 * MIB);
    let obs = file.clone();
    let endpoint = outside(move |_| whole(&obs).header("ETag", "\"v1\""));
    assert!(
        receive_in_pieces(&endpoint, &record_of(file.len()))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    assert_eq!(asked_in_order(&endpoint), [0]);
}

#[tokio::test]
async fn a_file_without_a_version_is_read_over_one_connection() {
    let file = file_of(20 * MIB);
    let obs = file.clone();
    let endpoint = outside(move |call| match call.headers.get("range") {
        Some(range) if !range.ends_with('-') => {
            let range = range_of(call);
            let content = format!("bytes {}-{}/{}", range.start, range.end - 1, obs.len());
            Answer::new(206, &obs[range]).header("Content-Range", content)
        }
        _ => rest_of(&obs, call),
    });
    assert!(
        receive_in_pieces(&endpoint, &record_of(file.len()))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    let calls = endpoint.calls_of("OBS");
    let ranges = calls
        .iter()
        .map(|call| call.headers.get("range").map(String::as_str));
    let ranges: Vec<Option<&str>> = ranges.collect();
    assert_eq!(
        ranges,
        [Some("bytes=0-8388607"), Some("bytes=8388608-"), None]
    );
}

/// Build results replaced while they are read: no piece of one is put beside a piece of the other.
#[tokio::test]
async fn pieces_of_two_versions_are_never_mixed() {
    let (old, new) = (file_of(40 * MIB), vec![7; 40 * MIB]);
    let served = new.clone();
    let endpoint = outside(move |call| match call.headers.get("range") {
        Some(range) if !range.ends_with('-') => match range_of(call) {
            range if range.start < 16 * MIB => piece_of(&old, call),
            range => {
                let content = format!("bytes {}-{}/{}", range.start, range.end - 1, served.len());
                let answer = Answer::new(206, &served[range]);
                answer
                    .header("Content-Range", content)
                    .header("ETag", "\"v2\"")
            }
        },
        _ => rest_of(&served, call).header("ETag", "\"v2\""),
    });
    assert!(
        receive_in_pieces(&endpoint, &record_of(new.len()))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == new);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&new));
    let line = "OBS sent another version of leap-ec2.x86_64-15.6.raw.xz over another connection: reading it over one \
                connection";
    assert!(
        endpoint.log().contains(&line.to_owned()),
        "{:?}",
        endpoint.log()
    );
}

#[tokio::test]
async fn other_bytes_than_those_asked_for_are_not_taken_for_them() {
    let file = file_of(40 * MIB);
    let obs = file.clone();
    let endpoint = outside(move |call| match call.headers.get("range") {
        Some(range) if !range.ends_with('-') => match range_of(call).start {
            from if from < 8 * MIB => piece_of(&obs, call),
            _ => whole(&obs).header("ETag", "\"v1\""),
        },
        _ => rest_of(&obs, call).header("ETag", "\"v1\""),
    });
    assert!(
        receive_in_pieces(&endpoint, &record_of(file.len()))
            .await
            .unwrap()
    );
    assert!(staged(&endpoint) == file);
    let line = "OBS sent other bytes of leap-ec2.x86_64-15.6.raw.xz than those that it was asked for: reading it over \
                one connection";
    assert!(
        endpoint.log().contains(&line.to_owned()),
        "{:?}",
        endpoint.log()
    );
}

/// The checkpoint may be of an invocation that read over one connection, as those of the release before.
#[tokio::test]
async fn pieces_go_on_from_a_checkpoint() {
    let file = file_of(40 * MIB);
    let mut record = received(&file, 8 * MIB);
    record["work"]["received"]["version"] = "\"v1\"".into();
    let obs = file.clone();
    let held = BTreeMap::from([(1, 8 * MIB as u64)]);
    let endpoint = outside_holding(held, move |call| match is_checksum(call) {
        true => call.refusal(404, "", "no such file"),
        false => piece_of(&obs, call),
    });
    assert!(receive_in_pieces(&endpoint, &record).await.unwrap());
    assert!(staged(&endpoint) == file[8 * MIB..]);
    assert_eq!(recorded(&endpoint, "staged")[0]["sha256"], hash_of(&file));
    assert_eq!(
        asked_in_order(&endpoint),
        [8, 16, 24, 32].map(|mib| mib * MIB)
    );
    let numbers = endpoint.calls_of("UploadPart");
    let mut numbers: Vec<&str> = numbers
        .iter()
        .map(|call| call.parameter("partNumber"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["2", "3", "4", "5"]);
}

#[tokio::test]
async fn pieces_whose_time_is_up_leave_the_rest_to_the_next_invocation() {
    let file = file_of(40 * MIB);
    let obs = file.clone();
    let endpoint = outside(move |call| match range_of(call).start {
        from if from < 16 * MIB => piece_of(&obs, call),
        from if from == 16 * MIB => Answer::never(),
        _ => piece_of(&obs, call),
    });
    let time = Duration::from_secs(3);
    let job = job_of(&record_of(file.len()));
    assert!(!receive_over("4", time, &endpoint, job).await.unwrap());
    let checkpoint = recorded(&endpoint, "received").pop().unwrap();
    assert_eq!(checkpoint["bytes"], 16 * MIB);
    assert_eq!(checkpoint["version"], "\"v1\"");
    assert!(endpoint.calls_of("CompleteMultipartUpload").is_empty());
}

/// Receives a file beside which OBS has this checksum.
async fn receive_beside(checksum: Answer, file: &[u8]) -> (Endpoint, Result<bool, StepError>) {
    let obs = file.to_vec();
    let endpoint = outside_with(move |call| match is_checksum(call) {
        true => checksum.clone(),
        false => whole(&obs),
    });
    let result = receive(&endpoint, job_of(&record_of(file.len()))).await;
    (endpoint, result)
}

#[tokio::test]
async fn the_checksum_beside_a_file_is_compared() {
    let sum = format!("{}  leap-ec2.x86_64-15.6.raw.xz\n", hash_of(b"abc"));
    let (endpoint, result) = receive_beside(Answer::ok(sum), b"abc").await;
    assert!(result.unwrap());
    let line = "The SHA-256 is the one in leap-ec2.x86_64-15.6.raw.xz.sha256".to_owned();
    assert!(endpoint.log().contains(&line), "{:?}", endpoint.log());
}

#[tokio::test]
async fn a_file_that_is_not_as_its_checksum_says_ends_the_job() {
    let (says, is) = (hash_of(b"abd"), hash_of(b"abc"));
    let (endpoint, result) = receive_beside(Answer::ok(says.clone()), b"abc").await;
    match result {
        Err(StepError::Failed(reason)) => assert_eq!(
            reason,
            format!(
                "the SHA-256 of leap-ec2.x86_64-15.6.raw.xz as it was received is {is}, but \
                 leap-ec2.x86_64-15.6.raw.xz.sha256 in OBS says {says}: the file was damaged on its way or replaced in OBS \
                 meanwhile; upload it again"
            )
        ),
        other => panic!("{other:?}"),
    }
    assert!(endpoint.calls_of("CompleteMultipartUpload").is_empty());
}

#[tokio::test]
async fn a_checksum_that_cannot_be_read_is_told_and_no_more() {
    for (checksum, reason) in [
        (Answer::ok("<html>"), ": it has no line with a SHA-256"),
        (Answer::new(403, ""), "remote error: 403 Forbidden"),
        (
            Answer::new(503, ""),
            "remote error: 503 Service Unavailable",
        ),
    ] {
        let (endpoint, result) = receive_beside(checksum, b"abc").await;
        assert!(result.unwrap());
        let log = endpoint.log();
        let start = "The SHA-256 is not checked: leap-ec2.x86_64-15.6.raw.xz.sha256: ";
        let told = log
            .iter()
            .filter(|line| line.starts_with(start) && line.contains(reason));
        assert_eq!(told.count(), 1, "{log:?}");
    }
}

/// A disk with a partition table.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 4 * MIB];
    disk[450] = 0x83;
    disk[454..462].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk
}

#[tokio::test]
async fn a_disk_is_inspected_before_it_waits_for_a_slot() {
    let obs = disk();
    let endpoint = outside(move |_| whole(&obs));
    assert!(run(&endpoint, job_of(&record_of(4 * MIB))).await.unwrap());
    assert_scheduled(&endpoint);
    for read in endpoint.calls_of("GetObject") {
        assert_eq!(read.headers["if-match"], "\"whole-1\"");
    }
}

#[tokio::test]
async fn what_is_no_disk_fails_before_it_waits_for_a_slot() {
    let endpoint = outside(|_| whole(b"QFI\xFB\0\0\0\x03"));
    match run(&endpoint, job_of(&record_of(8))).await {
        Err(StepError::Failed(reason)) => assert_eq!(
            reason,
            "the image is a qcow2 file, not a raw disk; with kiwi, <type image=\"oem\"> without a format attribute makes \
             a raw disk"
        ),
        other => panic!("{other:?}"),
    }
    assert!(endpoint.calls_of("TransactWriteItems").is_empty());
    assert_eq!(recorded(&endpoint, "staged").len(), 1);
}

/// The function died after it had recorded the staged file: only the inspection is left.
#[tokio::test]
async fn a_file_that_is_recorded_already_is_only_inspected() {
    let file = disk();
    let mut record = record_of(file.len());
    record["work"]["staged"] = json!({"etag": "\"whole-1\"", "sha256": "00"});
    let endpoint = Endpoint::with_record(&record, move |call| match call.name.as_str() {
        "GetObject" => Answer::new(206, &file[range_of(call)]),
        name => panic!("{name} is not needed"),
    });
    assert!(run(&endpoint, job_of(&record)).await.unwrap());
    assert_scheduled(&endpoint);
}

#[tokio::test]
async fn a_pushed_file_is_made_of_its_parts_without_obs() {
    let endpoint = outside_holding(BTreeMap::from([(1, 8 << 20), (2, 5)]), |_| {
        panic!("OBS is not needed")
    });
    let mut record = record_of(8 * MIB + 5);
    record["order"]["source"] = "push".into();
    record["work"] = json!({"push_upload": "u-1", "pushed": "y/Q5Jg=="});
    let (environment, step) = step(&endpoint, "1");
    let invocation = invocation(&environment, job_of(&record), Duration::from_secs(600));
    let staged = step.take_pushed(&invocation).await.unwrap();
    assert_eq!(
        (staged.etag.as_str(), &staged.sha256),
        ("\"whole-1\"", &None)
    );
    let completed = &endpoint.calls_of("CompleteMultipartUpload")[0];
    assert_eq!(completed.headers["x-amz-checksum-crc32"], "y/Q5Jg==");
    assert_eq!(
        recorded(&endpoint, "staged"),
        [json!({"etag": "\"whole-1\""})]
    );
}
