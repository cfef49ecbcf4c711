//! AWS is away for some time: the source server waits, and nothing fails.

use std::time::Duration;

use hyper::StatusCode;
use tokio::time::sleep;

use crate::{
    cloud::{Closed, Cloud, Job, Outcome},
    relay::Home,
    source_server::{image, put},
};

const PART: u64 = 64 << 10;

#[tokio::test]
async fn api_and_s3_may_refuse_connections_for_some_time() {
    let home = Home::of("refused");
    let closed = Closed::of([(17, Job::of(3 * PART, PART))]);
    let relay = home.start(closed.cloud()).await;
    let image = image(3 * PART);
    let sending = tokio::spawn(put(relay.address, 17, image.clone()));
    let cloud = async {
        sleep(Duration::from_secs(2)).await;
        closed.open(Duration::from_secs(2)).await
    };
    let cloud = cloud.await;
    let (status, text) = sending.await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    cloud.assert_has(17, &image, 1..=3);
    assert_eq!(cloud.ends(17), [""; 0]);
}

#[tokio::test]
async fn what_s3_does_not_take_is_put_again() {
    let home = Home::of("s3-errors");
    let cloud = Cloud::of([(17, Job::of(4 * PART, PART))]).await;
    let slow_down = Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    let internal = Outcome::Answer(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    let too_many = Outcome::Answer(StatusCode::TOO_MANY_REQUESTS, "");
    cloud.next("PUT /s3/17/1?", [internal, Outcome::HangUp]);
    cloud.next("PUT /s3/17/2?", [slow_down]);
    cloud.next("PUT /s3/17/4?", [too_many]);
    let relay = home.start(&cloud).await;
    let image = image(4 * PART);
    let (status, text) = put(relay.address, 17, image.clone()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    cloud.assert_has(17, &image, 1..=4);
    let puts = |part: &str| cloud.calls(&format!("PUT /s3/17/{part}?")).len();
    assert_eq!(["1", "2", "3", "4"].map(puts), [3, 2, 1, 2]);
    assert_eq!(cloud.ends(17), [""; 0]);
}

#[tokio::test]
async fn each_call_of_the_api_is_made_again_until_it_has_an_answer() {
    let home = Home::of("api-errors");
    let cloud = Cloud::of([(17, Job::of(2 * PART, PART))]).await;
    let unavailable = Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"message": "no"}"#);
    let internal = Outcome::Answer(StatusCode::INTERNAL_SERVER_ERROR, "not JSON");
    let too_many = Outcome::Answer(StatusCode::TOO_MANY_REQUESTS, "{}");
    cloud.next(
        "GET /v1/jobs/17/push",
        [unavailable.clone(), Outcome::HangUp],
    );
    cloud.next("POST /v1/jobs/17/push/parts", [too_many]);
    cloud.next("POST /v1/jobs/17/push/done", [internal, unavailable]);
    let relay = home.start(&cloud).await;
    let image = image(2 * PART);
    let (status, text) = put(relay.address, 17, image.clone()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    cloud.assert_has(17, &image, 1..=2);
    assert_eq!(cloud.calls("POST /v1/jobs/17/push/done").len(), 3);
    assert_eq!(cloud.ends(17), [""; 0]);
}

#[tokio::test]
async fn a_url_that_has_expired_is_not_used_again() {
    let home = Home::of("expired");
    let cloud = Cloud::of([(17, Job::of(3 * PART, PART))]).await;
    let expired = Outcome::Answer(StatusCode::FORBIDDEN, "<Code>AccessDenied</Code>");
    cloud.next("PUT /s3/17/2?before=0", [expired.clone(), expired.clone()]);
    cloud.next("PUT /s3/17/2?before=1", [expired]);
    let relay = home.start(&cloud).await;
    let image = image(3 * PART);
    let (status, text) = put(relay.address, 17, image.clone()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    cloud.assert_has(17, &image, 1..=3);
    let puts = cloud.calls("PUT /s3/17/2?");
    let used: Vec<&str> = puts.iter().map(|call| call.path.as_str()).collect();
    let expected = [0, 1, 2].map(|before| format!("/s3/17/2?before={before}"));
    assert_eq!(used, expected);
}

#[tokio::test]
async fn an_end_that_cannot_be_told_is_told_again() {
    let home = Home::of("end-again");
    let cloud = Cloud::of([(17, Job::of(5, PART))]).await;
    let unavailable = Outcome::Answer(StatusCode::SERVICE_UNAVAILABLE, "{}");
    cloud.next(
        "POST /v1/jobs/17/push/abort",
        [unavailable, Outcome::HangUp],
    );
    let relay = home.start(&cloud).await;
    let (status, _) = put(relay.address, 17, image(4)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(cloud.ends(17).len(), 3);
    assert_eq!(home.jobs(), [""; 0]);
}
