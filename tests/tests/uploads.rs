//! Images of every kind go all the way: from OBS, through the API, into an AMI with the same bytes.

use aws_sdk_ec2::types::{ArchitectureValues, BootModeValues, ImdsSupportValues, Tag, VolumeType};
use tests::{Job, Route, Stack, Upload, disk};

/// Uploads the bytes, which has to succeed and to leave nothing behind.
async fn uploaded(stack: &Stack, package: &str, filename: &str, bytes: &[u8]) -> Job {
    let upload = stack.upload(package, filename);
    stack.build(&upload, bytes).await;
    succeeded(stack, &upload, bytes).await
}

async fn succeeded(stack: &Stack, upload: &Upload, bytes: &[u8]) -> Job {
    let job = stack.create(upload).await;
    assert_eq!(
        (job.state(), job.details()),
        ("created", "waiting to receive image")
    );
    assert_eq!(job.field("size"), bytes.len().to_string());
    let job = stack.success(job.id()).await;
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    job
}

async fn assert_becomes_the_disk(package: &str, filename: &str, bytes: &[u8]) {
    let stack = Stack::new().await;
    let job = uploaded(&stack, package, filename, bytes).await;
    let image = stack.image_bytes(job.details()).await;
    assert_same(&image, &disk::disk().await.raw);
}

#[track_caller]
fn assert_same(image: &[u8], disk: &[u8]) {
    // A snapshot has whole GiB; after the disk, all of it is zero.
    assert!(image.len() >= disk.len());
    assert!(
        image[..disk.len()] == *disk,
        "the AMI has other bytes than the disk"
    );
    assert!(image[disk.len()..].iter().all(|&byte| byte == 0));
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> &'a str {
    let tag = tags.iter().find(|tag| tag.key() == Some(key));
    tag.and_then(|tag| tag.value()).unwrap_or_default()
}

/// Each route with a role that allows it, and no wish where it is the first that the role allows.
#[tokio::test]
async fn every_route_gives_the_same_bytes() {
    let stack = Stack::new().await;
    let disk = disk::disk().await;
    for route in Route::ALL {
        let upload = stack.built_disk(&format!("by-{route}")).await;
        let job = succeeded(&stack, &upload.via(route), &disk.xz).await;
        assert_same(&stack.image_bytes(job.details()).await, &disk.raw);
        let log = stack.log(job.id()).await;
        assert!(log.contains(&format!("Route {route}")), "{log}");
    }
}

/// As OBS told its users to make it: it may do `ec2:*`, and nothing of `ebs:`, `s3:`, `iam:PassRole`.
#[tokio::test]
async fn a_role_made_by_the_instructions_of_obs_works() {
    let stack = Stack::new().await;
    let mut upload = stack.built_disk("old-role").await.via(Route::Copy);
    upload.body["route"].take();
    let disk = disk::disk().await;
    let job = succeeded(&stack, &upload, &disk.xz).await;
    assert_same(&stack.image_bytes(job.details()).await, &disk.raw);
    let log = stack.log(job.id()).await;
    assert!(log.contains("Route copy"), "{log}");
    for permission in [
        "ebs:StartSnapshot",
        "ebs:PutSnapshotBlock",
        "ebs:CompleteSnapshot",
    ] {
        assert!(log.contains(permission), "no {permission} in: {log}");
    }
}

#[tokio::test]
async fn an_image_becomes_an_ami() {
    let stack = Stack::new().await;
    let disk = disk::disk().await;
    let file = "leap-ec2.x86_64-15.6.raw.xz";
    let job = uploaded(&stack, "leap-ec2", file, &disk.xz).await;

    assert_eq!(job.field("progress"), "100");
    let image = stack.image(job.details()).await;
    assert!(image.name().unwrap_or_default().starts_with("leap-ec2 "));
    assert_eq!(image.architecture(), Some(&ArchitectureValues::X8664));
    assert_eq!(image.boot_mode(), Some(&BootModeValues::UefiPreferred));
    assert_eq!(image.ena_support(), Some(true));
    assert_eq!(image.imds_support(), Some(&ImdsSupportValues::V20));
    for (key, value) in [
        ("obs:project", "Cloud:Images"),
        ("obs:package", "leap-ec2"),
        ("obs:repository", "images"),
        ("obs:file", file),
    ] {
        assert_eq!(tag(image.tags(), key), value);
    }
    let job_tag = tag(image.tags(), "obs:job");
    assert!(job_tag.ends_with(&format!("/job-{}", job.id())));

    let root = image.block_device_mappings()[0]
        .ebs()
        .expect("the root device is a volume");
    assert_eq!(root.volume_type(), Some(&VolumeType::Gp3));
    let snapshot = root.snapshot_id().expect("the root device has a snapshot");
    let snapshots = stack.ec2.describe_snapshots().snapshot_ids(snapshot);
    let snapshots = snapshots.send().await.expect("the snapshot is there");
    assert_eq!(
        tag(snapshots.snapshots()[0].tags(), "obs:package"),
        "leap-ec2"
    );
    assert_same(&stack.image_bytes(job.details()).await, &disk.raw);
    assert_log_of_success(&stack.log(job.id()).await, file, job.details());
}

#[track_caller]
fn assert_log_of_success(log: &str, file: &str, image: &str) {
    let lines: Vec<&str> = log.lines().collect();
    for line in [
        format!("Start uploading image {file}."),
        "Successfully authenticated.".to_owned(),
        format!("Created image: {image}"),
    ] {
        assert!(lines.contains(&line.as_str()), "no line {line:?} in\n{log}");
    }
    assert!(log.contains("SHA-256 "), "{log}");
    let last = lines.last().expect("the log has lines");
    assert!(last.starts_with("Upload took: 00:0"), "{log}");
}

#[tokio::test]
async fn an_arm_image_boots_by_uefi() {
    let stack = Stack::new().await;
    let mut upload = stack.upload("arm", "arm.aarch64.raw.xz");
    upload.arch = "aarch64".to_owned();
    stack.build(&upload, &disk::disk().await.xz).await;
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    let image = stack.image(job.details()).await;
    assert_eq!(image.architecture(), Some(&ArchitectureValues::Arm64));
    assert_eq!(image.boot_mode(), Some(&BootModeValues::Uefi));
}

#[tokio::test]
async fn one_xz_block_is_enough() {
    let xz = disk::xz(&disk::disk().await.raw).await;
    assert_becomes_the_disk("serial", "serial.raw.xz", &xz).await;
}

#[tokio::test]
async fn a_raw_disk() {
    assert_becomes_the_disk("raw", "plain.raw", &disk::disk().await.raw).await;
}

#[tokio::test]
async fn a_gzipped_disk() {
    let gz = disk::gz(&disk::disk().await.raw).await;
    assert_becomes_the_disk("gz", "disk.raw.gz", &gz).await;
}

#[tokio::test]
async fn a_zstandard_disk() {
    let zst = disk::zst(&disk::disk().await.raw).await;
    assert_becomes_the_disk("zst", "disk.raw.zst", &zst).await;
}

#[tokio::test]
async fn the_footer_of_a_fixed_vhd_stays_behind() {
    let vhd = disk::vhdfixed(&disk::disk().await.raw);
    assert_becomes_the_disk("vhd", "disk.vhdfixed.xz", &disk::xz(&vhd).await).await;
}

#[tokio::test]
async fn the_bytes_decide_not_the_name() {
    let gz = disk::gz(&disk::disk().await.raw).await;
    assert_becomes_the_disk("misnamed", "disk.raw.xz", &gz).await;
}

#[tokio::test]
async fn the_ami_is_named_after_the_file_where_nobody_names_it() {
    let stack = Stack::new().await;
    let mut upload = stack.upload("unnamed", "unnamed.x86_64-1.0.raw.xz");
    upload.body["ami_name"] = "".into();
    stack.build(&upload, &disk::disk().await.xz).await;
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    let image = stack.image(job.details()).await;
    assert_eq!(image.name(), Some("unnamed.x86_64-1.0"));
}
