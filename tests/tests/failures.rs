//! Jobs that cannot succeed say why, and leave nothing behind.

use serde_json::json;
use tests::{Stack, disk};

/// Uploads the bytes, which has to fail, and returns the reason.
async fn failure_of(stack: &Stack, package: &str, filename: &str, bytes: &[u8]) -> String {
    let upload = stack.upload(package, filename);
    stack.build(&upload, bytes).await;
    let job = stack.create(&upload).await;
    stack.failure(job.id()).await.details().to_owned()
}

#[track_caller]
fn assert_says(details: &str, words: &[&str]) {
    for word in words {
        assert!(details.contains(word), "no {word:?} in: {details}");
    }
}

#[tokio::test]
async fn truncated_xz() {
    let stack = Stack::new().await;
    let xz = &disk::disk().await.xz;
    let details = failure_of(&stack, "truncated", "disk.raw.xz", &xz[..xz.len() * 2 / 3]).await;
    assert_says(&details, &["cut off"]);
}

#[tokio::test]
async fn corrupt_xz() {
    let stack = Stack::new().await;
    let mut xz = disk::disk().await.xz.clone();
    let middle = xz.len() / 2;
    xz[middle..middle + 16].fill(0x5a);
    let details = failure_of(&stack, "corrupt", "disk.raw.xz", &xz).await;
    assert_says(&details, &["damaged"]);
}

#[tokio::test]
async fn truncated_gz() {
    let stack = Stack::new().await;
    let gz = disk::gz(&disk::disk().await.raw).await;
    let details = failure_of(&stack, "truncated-gz", "disk.raw.gz", &gz[..gz.len() / 2]).await;
    assert_says(&details, &["cut off"]);
}

#[tokio::test]
async fn a_disk_shorter_than_its_partition_table() {
    let stack = Stack::new().await;
    let raw = &disk::disk().await.raw;
    let details = failure_of(&stack, "short", "disk.raw", &raw[..raw.len() / 2]).await;
    assert_says(&details, &["partition table"]);
}

#[tokio::test]
async fn half_a_sector() {
    let stack = Stack::new().await;
    let mut raw = disk::disk().await.raw.clone();
    raw.extend([0; 100]);
    let details = failure_of(&stack, "sector", "disk.raw.xz", &disk::xz(&raw).await).await;
    assert_says(&details, &["512"]);
}

#[tokio::test]
async fn qcow2_in_xz_clothes() {
    let stack = Stack::new().await;
    let mut qcow2 = vec![0; 1 << 20];
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    let details = failure_of(&stack, "qcow2", "disk.raw.xz", &disk::xz(&qcow2).await).await;
    assert_says(&details, &["qcow2"]);
}

#[tokio::test]
async fn a_wrong_external_id() {
    let stack = Stack::new().await;
    let mut upload = stack.built_disk("external-id").await;
    upload.body["external_id"] = "another".into();
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    assert_says(
        job.details(),
        &["sts:AssumeRole", "AccessDenied", "external ID"],
    );
    assert_says(
        &stack.log(job.id()).await,
        &["sts:AssumeRole failed: AccessDenied"],
    );
}

#[tokio::test]
async fn an_ami_name_that_is_taken() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("taken").await;
    let first = stack.create(&upload).await;
    let first = stack.success(first.id()).await;
    let second = stack.create(&upload).await;
    let second = stack.failure(second.id()).await;
    assert_says(second.details(), &["is taken", first.details()]);
}

#[tokio::test]
async fn a_file_replaced_by_one_of_another_size() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("replaced").await;
    let size = disk::disk().await.xz.len();
    let other = size + 512;
    stack.set_obs_faults(&upload, json!([{"lie": other}])).await;
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    let mismatch = format!("size mismatch: {size} != {other}");
    assert_says(job.details(), &[&mismatch]);
}

#[tokio::test]
async fn a_broken_download_is_taken_up_again() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("broken").await;
    let faults = json!([
        {"after": 1 << 20, "do": "reset", "range": true},
        {"status": 503},
        {"after": 2 << 20, "do": "close", "range": true},
        {"after": 1 << 20, "do": "close"},
    ]);
    stack.set_obs_faults(&upload, faults).await;
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    assert_eq!(job.field("try"), "4", "{job:?}");
    let log = stack.log(job.id()).await;
    assert_says(&log, &["going on from byte", "starting over"]);
    let image = stack.image_bytes(job.details()).await;
    assert!(image.starts_with(&disk::disk().await.raw));
}

#[tokio::test]
async fn a_file_that_is_gone_when_it_is_fetched() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("gone").await;
    stack
        .set_obs_faults(&upload, json!([{"status": 404}]))
        .await;
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    assert_says(job.details(), &["remote error: Not Found", "disk.raw.xz"]);
}
