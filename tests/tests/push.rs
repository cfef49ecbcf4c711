//! Files that come from their users: put into the staging bucket part by part, then on the way of all others.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{Fault, FaultClient, Job, JobId, Route, Rule, Stack, crc32, disk, function, put};

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;

/// A job of the test disk, uncompressed, which has six parts.
async fn begun(stack: &Stack, package: &str) -> Job {
    let upload = stack.upload(package, "disk.raw");
    stack
        .create_push(&upload, disk::disk().await.raw.len())
        .await
}

async fn assert_succeeds(stack: &Stack, id: JobId) {
    let job = stack.success(id).await;
    let image = stack.image_bytes(job.details()).await;
    let disk = &disk::disk().await.raw;
    assert!(image[..disk.len()] == *disk, "the AMI has other bytes");
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
}

fn detail(problem: &Value) -> &str {
    problem["detail"]
        .as_str()
        .unwrap_or_else(|| panic!("no problem: {problem}"))
}

#[tokio::test]
async fn a_pushed_file_goes_the_way_of_all_others() {
    let stack = Stack::new().await;
    let disk = disk::disk().await;
    for route in Route::ALL {
        let upload = stack
            .upload(&format!("push-{route}"), "disk.raw.xz")
            .via(route);
        let job = stack.create_push(&upload, disk.xz.len()).await;
        assert_eq!(job.field("size"), disk.xz.len().to_string());
        stack.push(job.id(), &disk.xz).await;
        assert_succeeds(&stack, job.id()).await;
        let log = stack.log(job.id()).await;
        let line = format!("Received {} bytes of disk.raw.xz, CRC32", disk.xz.len());
        assert!(log.contains(&line), "{log}");
    }
}

#[tokio::test]
async fn a_push_shows_progress_and_goes_on_after_a_break() {
    let stack = Stack::new().await;
    let raw = &disk::disk().await.raw;
    let job = begun(&stack, "push-break").await;
    let id = job.id();
    let fresh = json!({
        "size": raw.len(), "part_size": PART, "parts": 6, "missing": [1, 2, 3, 4, 5, 6], "done": false,
    });
    assert_eq!(stack.push_state(id).await, fresh);
    stack.wait_for_state(id, "receiving").await;
    for part in stack.part_urls(id, &[2, 5], 0).await {
        let start = (part.number as usize - 1) * PART;
        let (status, answer) = part.put(&raw[start..][..part.size]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    // Another client knows from the job alone what is left.
    assert_eq!(stack.push_state(id).await["missing"], json!([1, 3, 4, 6]));
    let (status, problem) = stack.push_done(id, &crc32(raw)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        detail(&problem).starts_with("4 parts of the file are missing, the first of them part 1"),
        "{problem}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    stack.part_urls(id, &[], 2 * PART).await;
    let job = stack.job(id).await;
    assert_eq!((job.state(), job.field("progress")), ("receiving", "8"));
    stack.logs(id, "Received 33% (16 of 48 MiB)").await.unwrap();
    stack.push_missing(id, raw).await;
    let (status, answer) = stack.push_done(id, &crc32(raw)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    // Said again, as after an answer that was lost.
    let (status, answer) = stack.push_done(id, &crc32(raw)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, problem) = stack.push_done(id, &crc32(b"another")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert_eq!(stack.push_state(id).await["done"], json!(true));
    assert_succeeds(&stack, id).await;
}

#[tokio::test]
async fn a_url_is_good_for_its_part_alone() {
    let stack = Stack::new().await;
    let raw = &disk::disk().await.raw;
    let one = begun(&stack, "push-url").await;
    let other = begun(&stack, "push-url-other").await;
    let part = &stack.part_urls(one.id(), &[1], 0).await[0];
    let bytes = &raw[..part.size];
    for wrong in [&raw[..PART + 1], &raw[..PART - 1], b""] {
        let (status, answer) = part.put(wrong).await;
        assert_eq!(
            status,
            StatusCode::FORBIDDEN,
            "{} bytes: {answer}",
            wrong.len()
        );
    }
    let key = |id| format!("/job-{id}/");
    for (of, instead) in [
        ("partNumber=1", "partNumber=2"),
        (&*key(one.id()), &*key(other.id())),
        ("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
    ] {
        let changed = part.url.replace(of, instead);
        assert_ne!(changed, part.url, "{of}");
        let (status, answer) = put(&changed, bytes).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{instead}: {answer}");
    }
    assert_eq!(part.put(bytes).await.0, StatusCode::OK);
    let (status, problem) = stack.ask_for_parts(one.id(), json!({"numbers": [7]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        detail(&problem),
        "there is no part 7: the file has parts 1 to 6"
    );
    for job in [one, other] {
        stack.kill(job.id()).await;
        let job = stack.failure(job.id()).await;
        assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    }
    // The upload is gone, and so is what the URL was good for.
    assert_eq!(part.put(bytes).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn other_bytes_than_were_said_end_the_job() {
    let stack = Stack::new().await;
    let raw = &disk::disk().await.raw;
    let job = begun(&stack, "push-damaged").await;
    let mut damaged = raw.clone();
    damaged[3 * PART] ^= 1;
    stack.push_missing(job.id(), &damaged).await;
    let (status, answer) = stack.push_done(job.id(), &crc32(raw)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let job = stack.failure(job.id()).await;
    let sum = crc32(raw);
    assert!(
        job.details()
            .starts_with(&format!("the bytes that came do not have the CRC32 {sum}")),
        "{job:?}"
    );
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    let (status, problem) = stack.ask_for_parts(job.id(), json!({"numbers": [1]})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        detail(&problem).contains("takes no file any more: it has failed"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_push_that_is_given_up_leaves_nothing() {
    let stack = Stack::new().await;
    let job = begun(&stack, "push-given-up").await;
    let id = job.id();
    stack.part_urls(id, &[1], 0).await;
    stack.wait_for_state(id, "receiving").await;
    stack.age_push(id, 24 * 3600).await;
    stack.sweep().await;
    let job = stack.failure(id).await;
    assert_eq!(
        job.details(),
        "no part of the file was pushed for 24 hours: create another job"
    );
    assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
}

/// The file is there before the execution waits for it, and the other way round, and the message of it gets lost.
#[tokio::test]
async fn the_job_goes_on_whatever_comes_first() {
    let stack = Stack::new().await;
    let raw = &disk::disk().await.raw;
    let faults = FaultClient::from_env();
    let job = begun(&stack, "push-first").await;
    let call = "dynamodb:TransactWriteItems";
    let held = Rule::of_job(job.id(), function::PUSH, call, Fault::Hold);
    let held = faults.add(held).await;
    stack.push(job.id(), raw).await;
    assert_eq!(stack.job(job.id()).await.state(), "created");
    held.until_it_holds().await;
    drop(held);
    assert_succeeds(&stack, job.id()).await;

    let job = begun(&stack, "push-lost").await;
    stack.wait_for_state(job.id(), "receiving").await;
    stack.push_missing(job.id(), raw).await;
    let call = "states:SendTaskSuccess";
    let lost = Rule::of_job(job.id(), function::API, call, Fault::AccessDenied);
    let lost = faults.add(lost.for_all()).await;
    let (status, answer) = stack.push_done(job.id(), &crc32(raw)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(lost.hits().await > 0);
    drop(lost);
    stack.sweep().await;
    assert_succeeds(&stack, job.id()).await;
}

#[tokio::test]
async fn what_is_no_push_takes_no_parts() {
    let stack = Stack::new().await;
    let upload = stack.built_disk("push-not").await;
    let job = stack.create(&upload).await;
    let (status, problem) = stack.ask_for_parts(job.id(), json!({"numbers": [1]})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        detail(&problem),
        format!(
            "the file of job {} is read from OBS, and not pushed",
            job.id()
        )
    );
    stack.success(job.id()).await;
}
