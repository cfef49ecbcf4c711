//! Images that do not get to their end, and a relay that is ended.

use std::time::Duration;

use hyper::StatusCode;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{
    cloud::{Cloud, Job, Outcome},
    relay::{Home, Relay},
    source_server::{Sending, image, put},
};

const PART: u64 = 64 << 10;
const SIZE: u64 = 3 * PART;

const STOPPED: &str = "the relay beside OBS was stopped while the image came in: upload it again";
const INTERRUPTED: &str =
    "the relay beside OBS was interrupted while the image came in: upload it again";

async fn cloud() -> Cloud {
    Cloud::of([(17, Job::of(SIZE, PART))]).await
}

/// What the API answers to any call for a push whose job was killed.
fn killed() -> Outcome {
    let problem = r#"{"status": 409, "detail": "job 17 has failed: killed by <tux> & co."}"#;
    Outcome::Answer(StatusCode::CONFLICT, problem)
}

const KILLED: &str = "<summary>job 17 has failed: killed by &lt;tux&gt; &amp; co.</summary>";

/// Sends an image to its half, of which one part gets to S3.
async fn half_an_image(relay: &Relay, cloud: &Cloud) -> Sending {
    let mut sending = Sending::begin(relay.address, 17, SIZE).await;
    sending.send(&image(SIZE)[..SIZE as usize / 2]).await;
    let first = "part 1 is there";
    cloud.wait(first, |cloud| cloud.part_numbers() == [1]).await;
    sending
}

/// Starts a relay where another one has left its job.
async fn assert_next_start_ends_the_job(home: &Home, cloud: &Cloud) {
    let _next = home.start(cloud).await;
    cloud
        .wait("the job is off the list", |_| home.jobs().is_empty())
        .await;
    assert_eq!(cloud.ends(17), [INTERRUPTED]);
}

#[tokio::test]
async fn nothing_more_is_sent_for_a_job_that_has_ended() {
    let home = Home::of("ended");
    let cloud = cloud().await;
    let refused = Outcome::Answer(StatusCode::FORBIDDEN, "<Code>AccessDenied</Code>");
    cloud.always("PUT /s3/17", refused);
    let relay = home.start(&cloud).await;
    let sending = tokio::spawn(put(relay.address, 17, image(SIZE)));
    let some = "parts were put";
    cloud
        .wait(some, |cloud| !cloud.calls("PUT /s3/17").is_empty())
        .await;
    cloud.always("POST /v1/jobs/17/push", killed());
    let (status, text) = sending.await.unwrap();
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(text.contains(KILLED), "{text}");
    assert_eq!(home.jobs(), [""; 0]);
    let before = cloud.calls("").len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(cloud.calls("").len(), before);
    assert_eq!(cloud.calls("POST /v1/jobs/17/push/done").len(), 0);
}

#[tokio::test]
async fn a_kill_is_seen_although_the_source_server_sends_nothing() {
    let home = Home::of("kill");
    let cloud = cloud().await;
    let relay = home.start(&cloud).await;
    let sending = half_an_image(&relay, &cloud).await;
    cloud.always("POST /v1/jobs/17/push", killed());
    let answer = sending.answer().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains(KILLED), "{answer}");
}

#[tokio::test]
async fn an_image_that_breaks_off_ends_its_job_with_the_reason() {
    let home = Home::of("breaks-off");
    let cloud = cloud().await;
    let relay = home.start(&cloud).await;
    drop(half_an_image(&relay, &cloud).await);
    let over = "the job is off the list";
    cloud.wait(over, |_| home.jobs().is_empty()).await;
    let begin = format!(
        "the source server sent only {} of {SIZE} bytes of the image: ",
        SIZE / 2
    );
    let ends = cloud.ends(17);
    assert_eq!(ends.len(), 1);
    assert!(ends[0].starts_with(&begin), "{ends:?}");
    assert_eq!(cloud.calls("POST /v1/jobs/17/push/done").len(), 0);
    assert_eq!(cloud.part_numbers(), [1]);
}

#[tokio::test]
async fn an_image_of_another_length_ends_its_job_before_a_byte_is_sent_on() {
    let home = Home::of("length");
    let cloud = cloud().await;
    let relay = home.start(&cloud).await;
    let sending = Sending::begin(relay.address, 17, SIZE + 1).await;
    let answer = sending.answer().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let reason = format!(
        "the source server said that it sends {} bytes, and the job is of {SIZE}",
        SIZE + 1
    );
    assert!(answer.contains(&reason), "{answer}");
    assert_eq!(cloud.ends(17), [reason]);
    assert_eq!(cloud.part_numbers(), [0; 0]);
    assert_eq!(home.jobs(), [""; 0]);
}

#[tokio::test]
async fn a_relay_that_is_stopped_ends_the_jobs_of_images_that_come_in() {
    for (name, signal) in [("sigterm", Signal::TERM), ("sigint", Signal::INT)] {
        let home = Home::of(name);
        let cloud = cloud().await;
        let relay = home.start(&cloud).await;
        let sending = half_an_image(&relay, &cloud).await;
        relay.signal(signal);
        let answer = sending.answer().await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(answer.contains(STOPPED), "{answer}");
        assert!(relay.exit().await.success());
        assert_eq!(cloud.ends(17), [STOPPED]);
        assert_eq!(home.jobs(), [""; 0]);
    }
}

#[tokio::test]
async fn a_relay_between_two_images_stops_without_a_call() {
    let home = Home::of("idle");
    let cloud = cloud().await;
    let relay = home.start(&cloud).await;
    assert_eq!(put(relay.address, 17, image(SIZE)).await.0, StatusCode::OK);
    let before = cloud.calls("").len();
    relay.signal(Signal::TERM);
    assert!(relay.exit().await.success());
    assert_eq!(cloud.calls("").len(), before);
}

#[tokio::test]
async fn the_next_start_ends_the_jobs_of_a_relay_that_was_killed() {
    let home = Home::of("sigkill");
    let cloud = cloud().await;
    let relay = home.start(&cloud).await;
    let _sending = half_an_image(&relay, &cloud).await;
    relay.signal(Signal::KILL);
    assert!(!relay.exit().await.success());
    assert_eq!(cloud.ends(17), [""; 0]);
    assert_eq!(home.jobs(), ["17"]);

    assert_next_start_ends_the_job(&home, &cloud).await;
}

#[tokio::test]
async fn a_job_is_ended_by_the_next_start_if_the_secret_was_refused() {
    let home = Home::of("secret");
    let refusing = cloud().await;
    let relay = home.start(&refusing).await;
    let _sending = half_an_image(&relay, &refusing).await;
    let problem = r#"{"status": 401, "detail": "the secret is wrong"}"#;
    refusing.always(
        "POST /v1/jobs/17/push",
        Outcome::Answer(StatusCode::UNAUTHORIZED, problem),
    );
    relay.signal(Signal::TERM);
    assert!(relay.exit().await.success());
    assert_eq!(home.jobs(), ["17"]);

    assert_next_start_ends_the_job(&home, &cloud().await).await;
}

#[tokio::test]
async fn a_relay_that_is_stopped_ends_jobs_whose_source_server_has_hung_up() {
    let home = Home::of("hung-up");
    let cloud = cloud().await;
    let unavailable = Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE, "{}");
    cloud.next("POST /v1/jobs/17/push/abort", [unavailable]);
    let relay = home.start(&cloud).await;
    drop(half_an_image(&relay, &cloud).await);
    cloud
        .wait("an end is tried", |cloud| cloud.ends(17).len() == 1)
        .await;
    relay.signal(Signal::TERM);
    assert!(relay.exit().await.success());
    assert_eq!(cloud.ends(17).len(), 2);
    assert_eq!(home.jobs(), [""; 0]);
}

#[tokio::test]
async fn a_job_that_cannot_be_ended_is_left_to_the_next_start() {
    let home = Home::of("left");
    let away = cloud().await;
    let unavailable = Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE, "{}");
    away.always("POST /v1/jobs/17/push/abort", unavailable);
    let relay = home.start(&away).await;
    let _sending = half_an_image(&relay, &away).await;
    relay.signal(Signal::TERM);
    away.wait("an end is tried", |away| away.ends(17).len() > 1)
        .await;
    // A second signal ends the relay before its minute is over.
    relay.signal(Signal::TERM);
    assert!(relay.exit().await.success());
    assert_eq!(home.jobs(), ["17"]);

    assert_next_start_ends_the_job(&home, &cloud().await).await;
}
