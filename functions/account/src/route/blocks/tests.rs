//! Blocks, from the slices of a disk to the snapshot.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use cloudupload::{error::is_transient, retry, store::Writers};
use fake_endpoint::{Answer, Call, Endpoint, dynamodb};
use image::{
    decode::Decoder,
    format::Compression,
    slice::{Coding, End},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{reader::Block, *};
use crate::{
    route,
    testing::{self, DEPLOYMENT},
};

const BLOCK_LEN: u64 = BLOCK as u64;

/// A disk cut at these places.
fn slices(len: u64, cuts: &[u64]) -> Vec<Slice> {
    let borders: Vec<u64> = [&[0], cuts, &[len]].concat();
    let ranges = borders.windows(2).map(|pair| pair[0]..pair[1]);
    (0..)
        .zip(ranges)
        .map(|(index, range)| Slice {
            index,
            staged: range.clone(),
            coding: Coding::Whole(Compression::Plain),
            end: (range.end == len).then_some(End { needs: 0 }),
            image: Some(range),
        })
        .collect()
}

fn open<'a>(slice: &Slice, disk: &'a [u8]) -> SliceReader<'a> {
    let staged = &disk[slice.staged.start as usize..slice.staged.end as usize];
    SliceReader::new(slice, Decoder::whole(Compression::Plain, staged))
}

/// A disk whose bytes tell where they are.
fn disk(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 512 + at) as u8 | 1).collect()
}

/// The blocks of all slices, and the bytes that each slice had.
async fn read_all(disk: &[u8], slices: &[Slice]) -> (Vec<Block>, Vec<u64>) {
    let (mut blocks, mut lengths) = (Vec::new(), Vec::new());
    for to in pair(slices.to_vec()) {
        let SliceTarget::Blocks(Blocks { next, .. }) = to.target else {
            panic!("{:?}", to.target);
        };
        let mut slice = open(&to.slice, disk);
        let next = next.map(|next| open(&next, disk));
        let start = to.slice.image.unwrap().start;
        let mut reader = BlockReader::new(start, &mut slice, next);
        while let Some(block) = reader.read().await.unwrap() {
            blocks.push(block);
        }
        lengths.push(reader.bytes());
    }
    (blocks, lengths)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Slices end anywhere: no block is written by two, none is lost.
    #[test]
    fn the_blocks_of_all_slices_are_the_disk(
        sectors in prop::collection::vec(1024u64..3000, 0..4),
        last in 1u64..3000,
    ) {
        let mut cuts = Vec::new();
        let mut end = 0;
        for length in sectors {
            end += length * 512;
            cuts.push(end);
        }
        let len = end + last * 512;
        let disk = disk(len as usize);
        let slices = slices(len, &cuts);
        let (blocks, lengths) = run(read_all(&disk, &slices));
        prop_assert_eq!(blocks.len() as u64, len.div_ceil(BLOCK_LEN));
        for (index, block) in (0..).zip(&blocks) {
            prop_assert_eq!(block.index, index);
            let start = index as usize * BLOCK;
            let whole = disk[start..disk.len().min(start + BLOCK)].to_vec();
            let padded = [&whole[..], &vec![0; BLOCK - whole.len()]].concat();
            prop_assert!(block.data == padded, "block {} has other bytes", index);
        }
        let expected: Vec<u64> = slices
            .iter()
            .map(|slice| slice.staged.end - slice.staged.start)
            .collect();
        prop_assert_eq!(lengths, expected);
    }
}

#[test]
fn a_volume_has_whole_gib() {
    for (len, gib) in [(0, 1), (512, 1), (GIB, 1), (GIB + 512, 2), (10 * GIB, 10)] {
        assert_eq!(volume_gib(len), gib, "{len}");
    }
}

/// The workflow, of `Transfer`: all the time in which nothing may be put.
#[test]
fn ebs_waits_longer_than_a_step_can_be_silent() {
    let workflow = include_str!("../../../../../infra/upload.asl.json");
    let workflow: Value = serde_json::from_str(workflow).unwrap();
    let states = &workflow["States"]["Transfer"]["ItemProcessor"]["States"];
    let task = states.as_object().unwrap().values().next().unwrap();
    let run = task["TimeoutSeconds"].as_u64().unwrap();
    let silent: u64 = task["Retry"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|retry| retry["MaxAttempts"] != 0)
        .map(|retry| {
            let attempts = retry["MaxAttempts"].as_u64().unwrap();
            let longest = retry["MaxDelaySeconds"].as_u64().unwrap();
            let runs = match retry["ErrorEquals"][0].as_str() {
                Some("States.ALL") => attempts + 1,
                _ => 0,
            };
            attempts * longest + runs * run
        })
        .sum();
    assert!(silent < IDLE_MINUTES as u64 * 60, "{silent} s");
}

/// An EBS that keeps what is put, refuses a put whose checksum is wrong, and first answers as it is told.
struct Ebs {
    endpoint: Endpoint,
    blocks: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
}

impl Ebs {
    fn new(mut first: impl FnMut(&Call) -> Option<Answer> + Send + 'static) -> Self {
        let blocks: Arc<Mutex<BTreeMap<u64, Vec<u8>>>> = Arc::default();
        let kept = blocks.clone();
        let endpoint = Endpoint::new(move |call| {
            if call.name == "PutItem" {
                // The ledger of writers.
                return Answer::json(&json!({}));
            }
            assert_eq!(call.name, "PutSnapshotBlock");
            if let Some(answer) = first(call) {
                return answer;
            }
            let checksum = BASE64_STANDARD.encode(Sha256::digest(&call.body));
            assert_eq!(call.headers["x-amz-checksum"], checksum);
            assert_eq!(call.headers["x-amz-checksum-algorithm"], "SHA256");
            assert_eq!(call.headers["x-amz-data-length"], "524288");
            let index = call.path.rsplit('/').next().unwrap().parse().unwrap();
            kept.lock().unwrap().insert(index, call.body.clone());
            Answer::new(201, "{}").header("x-amz-Checksum", checksum)
        });
        Self { endpoint, blocks }
    }

    async fn writer(&self, volume: u64, writes_zeros: bool) -> BlockWriter {
        retry::testing::skip_pauses();
        let job = testing::job();
        let place = route::place_of_blocks(&job, &"999999999999".parse().unwrap());
        let writers = Writers::new(&self.endpoint.config(), "writers".to_owned());
        let pace = Pace::register(&writers, place, job.id, 0, 1).await;
        BlockWriter {
            pace: Arc::new(pace.unwrap()),
            ebs: aws_sdk_ebs::Client::new(&self.endpoint.config()),
            snapshot: "snap-1".parse().unwrap(),
            volume,
            writes_zeros,
            retries: RetryCount::default(),
        }
    }

    async fn write(
        &self,
        disk: &[u8],
        volume: u64,
        writes_zeros: bool,
    ) -> Result<TransferOutput, WriteError> {
        let slice = &slices(disk.len() as u64, &[])[0];
        let mut slice = open(slice, disk);
        let writer = self.writer(volume, writes_zeros).await;
        writer.write(BlockReader::new(0, &mut slice, None)).await
    }

    /// How many blocks it was asked to write.
    fn puts(&self) -> usize {
        let names = self.endpoint.names();
        let puts = names.iter().filter(|name| *name == "PutSnapshotBlock");
        puts.count()
    }

    fn indices(&self) -> Vec<u64> {
        self.blocks.lock().unwrap().keys().copied().collect()
    }
}

/// A disk of five blocks, of which those with these numbers are zero.
fn with_zeros(zeros: &[usize]) -> Vec<u8> {
    let mut disk = disk(5 * BLOCK);
    for block in zeros {
        disk[block * BLOCK..(block + 1) * BLOCK].fill(0);
    }
    disk
}

#[tokio::test]
async fn zeros_are_left_out_only_where_they_read_as_zeros() {
    for (writes_zeros, written) in [
        (false, vec![0, 2, 4]),
        // To the end of the volume, so that nothing of it is noise.
        (true, (0..8).collect()),
    ] {
        let ebs = Ebs::new(|_| None);
        let disk = with_zeros(&[1, 3]);
        let output = ebs.write(&disk, 8, writes_zeros).await.unwrap();
        assert_eq!(ebs.indices(), written);
        assert_eq!(
            (output.bytes, output.blocks),
            (disk.len() as u64, Some(written.len() as u64))
        );
        for (&index, data) in ebs.blocks.lock().unwrap().iter() {
            let start = index as usize * BLOCK;
            let expected = disk.get(start..start + BLOCK);
            assert!(*data == expected.map_or(vec![0; BLOCK], <[u8]>::to_vec));
        }
    }
}

#[tokio::test]
async fn what_the_volume_has_no_room_for_is_no_loss_only_if_it_is_zero() {
    let ebs = Ebs::new(|_| None);
    let output = ebs.write(&with_zeros(&[4]), 4, true).await.unwrap();
    assert_eq!(output.blocks, Some(4));
    let error = ebs.write(&with_zeros(&[]), 4, false).await.unwrap_err();
    assert!(matches!(error, WriteError::TooLong { .. }), "{error}");
    assert!(!is_transient(&error));
}

#[tokio::test]
async fn a_put_that_is_throttled_or_not_known_yet_is_no_error() {
    let codes = [
        (429, "RequestThrottledException"),
        (404, "ResourceNotFoundException"),
        (500, "InternalServerException"),
    ];
    for (status, code) in codes {
        let mut left = 5;
        let ebs = Ebs::new(move |call| {
            left -= 1;
            (left >= 0).then(|| call.refusal(status, code, "later"))
        });
        ebs.write(&disk(BLOCK), 1, false).await.unwrap();
        assert_eq!(ebs.puts(), 6, "{code}");
    }
}

#[tokio::test]
async fn a_put_that_is_refused_ends_the_slice() {
    for (status, code, transient) in [
        (403, "AccessDeniedException", false),
        (400, "ValidationException", false),
        (404, "ResourceNotFoundException", true),
    ] {
        let ebs = Ebs::new(move |call| Some(call.refusal(status, code, "no")));
        let error = ebs.write(&disk(BLOCK), 1, false).await.unwrap_err();
        assert_eq!(is_transient(&error), transient, "{code}");
        let calls = if transient { 16 } else { 1 };
        assert_eq!(ebs.puts(), calls, "{code}");
    }
}

fn block_snapshot<'a>(
    endpoint: &Endpoint,
    job: &'a Job,
    tag: &'a JobTag,
    jobs: &'a Jobs,
) -> BlockSnapshot<'a> {
    let config = endpoint.config();
    BlockSnapshot {
        job,
        tag,
        jobs,
        ebs: aws_sdk_ebs::Client::new(&config),
        ec2: aws_sdk_ec2::Client::new(&config),
    }
}

async fn start(volume_bytes: u64, answer: Value) -> (Endpoint, Result<bool, BlocksError>) {
    let slices = image::plan::serial(Compression::Xz, volume_bytes / 3, 0);
    let endpoint =
        Endpoint::with_record(&dynamodb::record(), move |call| match call.name.as_str() {
            "StartSnapshot" => Answer::new(201, answer.to_string()),
            name => panic!("{name}"),
        });
    let job = testing::job();
    let tag = JobTag::new(DEPLOYMENT, job.id);
    let jobs = testing::jobs_at(&endpoint);
    let snapshot = block_snapshot(&endpoint, &job, &tag, &jobs);
    let new = New {
        volume_bytes,
        slices: &slices,
        encryption: &Encryption::Default,
        key_arn: None,
        is_copied_encrypted: false,
    };
    let started = snapshot.start(new, Artifacts::default()).await;
    (endpoint, started)
}

#[tokio::test]
async fn a_snapshot_is_intended_before_it_is_started() {
    let (endpoint, started) = start(10 * GIB, json!({"SnapshotId": "snap-1"})).await;
    assert!(!started.unwrap());
    assert_eq!(
        endpoint.names(),
        ["UpdateItem", "StartSnapshot", "UpdateItem"]
    );
    let call = endpoint.calls()[1].json();
    assert_eq!(call["VolumeSize"], 10);
    assert_eq!(call["ClientToken"], "0a1b-job-1");
    assert_eq!(call["Timeout"], IDLE_MINUTES);
    let record = dynamodb::expression(&endpoint.calls()[2].json(), "UpdateExpression");
    for fact in [
        r#""snap-1""#,
        "work.volume_gib",
        "work.writes_zeros",
        "false",
    ] {
        assert!(record.contains(fact), "no {fact} in {record}");
    }
    let tags = call["Tags"].as_array().unwrap();
    assert!(tags.contains(&json!({"Key": "obs:job", "Value": "0a1b/job-1"})));
}

#[tokio::test]
async fn any_sign_of_encryption_counts() {
    for (answer, encrypted) in [
        (json!({"SnapshotId": "snap-1"}), false),
        (json!({"SnapshotId": "snap-1", "SseType": "none"}), false),
        (json!({"SnapshotId": "snap-1", "SseType": "sse-kms"}), true),
        (json!({"SnapshotId": "snap-1", "SseType": "sse-ebs"}), true),
        (json!({"SnapshotId": "snap-1", "SseType": "sse-new"}), true),
        (
            json!({"SnapshotId": "snap-1", "KmsKeyArn": "arn:aws:kms:k"}),
            true,
        ),
    ] {
        let (_, started) = start(1, answer.clone()).await;
        assert_eq!(started.unwrap(), encrypted, "{answer}");
    }
}

#[tokio::test]
async fn a_disk_over_64_tib_is_refused_before_anything_is_made() {
    let (endpoint, started) = start((64 << 40) + 512, json!({})).await;
    assert!(matches!(
        started,
        Err(BlocksError::TooLarge { gib: 65_537 })
    ));
    assert_eq!(endpoint.names(), [""; 0]);
}

/// Of which it is told only when it has been started.
#[tokio::test]
async fn a_disk_with_too_many_zeros_for_an_encrypted_snapshot_is_refused() {
    const SIZE: u64 = 40 * GIB;
    let (_, started) = start(SIZE, json!({"SnapshotId": "snap-1"})).await;
    assert!(!started.unwrap());
    let encrypted = json!({"SnapshotId": "snap-1", "SseType": "sse-ebs"});
    let (_, started) = start(SIZE, encrypted).await;
    let refusal = started.unwrap_err();
    assert!(matches!(
        refusal,
        BlocksError::TooSlow(TooSlow::Written { .. })
    ));
    assert!(!is_transient(&refusal));
}
