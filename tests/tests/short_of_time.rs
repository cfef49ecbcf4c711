//! Functions whose time is up before their work is done. Here they get seconds, where on AWS they have 15 minutes.

use serde_json::{Value, json};
use tests::{Stack, Upload, disk};

/// In seconds: one more than `receive` reserves for its end.
const RECEIVE: u32 = 91;

/// In seconds: what `transfer` reserves for its end, so that it has no time to work.
const TRANSFER: u32 = 30;

/// In seconds: the timeout of both in the template.
const ENOUGH: u32 = 900;

const TRANSFER_SLICE: &str = "Transfer/ItemProcessor/States/TransferSlice";

/// One after the other: each changes a function that all jobs call.
#[tokio::test]
async fn who_is_called_again_and_who_fails() {
    let stack = Stack::new().await;
    stack.set_timeout("Receive", RECEIVE).await;
    a_file_that_comes_in_two_goes(&stack).await;
    a_file_that_obs_serves_only_as_a_whole(&stack).await;
    stack.set_timeout("Receive", ENOUGH).await;
    stack.set_timeout(TRANSFER_SLICE, TRANSFER).await;
    what_only_one_stream_can_decompress(&stack).await;
    stack.set_timeout(TRANSFER_SLICE, ENOUGH).await;
}

/// In bytes: what `receive` reads over one connection.
const PIECE: usize = 8 << 20;

/// An upload of a file while OBS serves it like that.
async fn slow(stack: &Stack, package: &str, faults: Vec<Value>) -> Upload {
    let upload = stack.upload(package, "disk.raw");
    stack.build(&upload, &disk::disk().await.raw).await;
    stack.set_obs_faults(&upload, faults.into()).await;
    upload
}

async fn a_file_that_comes_in_two_goes(stack: &Stack) {
    // The second piece comes only when the function's time is up; pieces are served as often as they are asked for.
    let pause = json!({"from": PIECE, "after": 1 << 20, "pause": 2.5, "range": true});
    let pieces = (0..6).map(|piece| json!({"from": piece * PIECE, "range": true}));
    let faults = [pause].into_iter().chain(pieces.cycle().take(6 * 4));
    let upload = slow(stack, "two-goes", faults.collect()).await;
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    let log = stack.log(job.id()).await;
    // Whole parts of 8 MiB.
    assert!(log.contains("Going on from byte 8388608\n"), "{log}");
    let image = stack.image_bytes(job.details()).await;
    assert!(image.starts_with(&disk::disk().await.raw));
}

async fn a_file_that_obs_serves_only_as_a_whole(stack: &Stack) {
    let pause = json!({"after": 12 << 20, "pause": 2.5, "range": false});
    let upload = slow(stack, "as-a-whole", vec![pause; 12]).await;
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    let details = job.details();
    assert!(details.contains("only as a whole"), "{details}");
    assert!(details.contains("ObsUrl"), "{details}");
}

async fn what_only_one_stream_can_decompress(stack: &Stack) {
    let upload = stack.upload("one-stream", "disk.raw.gz");
    let disk = disk::disk().await;
    stack.build(&upload, &disk::gz(&disk.raw).await).await;
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    let details = job.details();
    assert!(details.contains("xz -T0"), "{details}");
}
