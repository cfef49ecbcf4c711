//! Images on their way, while all is well.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use crate::{
    cloud::{Cloud, Job},
    relay::Home,
    source_server::{Sending, image, put},
};

const PART: u64 = 64 << 10;

#[tokio::test]
async fn an_image_is_cut_into_parts_exactly() {
    for size in [0, 1, PART - 1, PART, PART + 1, 5 * PART, 5 * PART + 1] {
        let home = Home::of("cut");
        let cloud = Cloud::of([(17, Job::of(size, PART))]).await;
        let relay = home.start(&cloud).await;
        let image = image(size);
        let mut sending = Sending::begin(relay.address, 17, size).await;
        sending.send(&image).await;
        let answer = sending.answer().await;
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{size} bytes: {answer}"
        );
        cloud.assert_has(17, &image, 1..=size.div_ceil(PART) as u32);
        assert_eq!(home.jobs(), [""; 0]);
    }
}

#[tokio::test]
async fn the_checksum_is_that_of_the_image_in_whatever_order_its_parts_arrive() {
    let home = Home::of("order");
    let cloud = Cloud::of([(17, Job::of(4 * PART - 1, PART))]).await;
    let relay = home.start(&cloud).await;
    let image = image(4 * PART - 1);
    cloud.hold([1, 3]);
    let sending = tokio::spawn(put(relay.address, 17, image.clone()));
    let some = "parts 2 and 4 are there";
    cloud
        .wait(some, |cloud| cloud.part_numbers().len() == 2)
        .await;
    cloud.hold([1]);
    let more = "part 3 is there";
    cloud
        .wait(more, |cloud| cloud.part_numbers().len() == 3)
        .await;
    cloud.hold([]);
    assert_eq!(sending.await.unwrap().0, StatusCode::OK);
    assert_eq!(cloud.part_numbers()[2..], [3, 1]);
    cloud.assert_has(17, &image, 1..=4);
}

#[tokio::test]
async fn parts_that_are_there_are_not_sent_again() {
    let home = Home::of("there");
    let job = Job {
        there: [1, 3].into(),
        ..Job::of(4 * PART, PART)
    };
    let cloud = Cloud::of([(17, job)]).await;
    let relay = home.start(&cloud).await;
    let image = image(4 * PART);
    assert_eq!(
        put(relay.address, 17, image.clone()).await.0,
        StatusCode::OK
    );
    cloud.assert_has(17, &image, [2, 4]);
    let asked = cloud.calls("POST /v1/jobs/17/push/parts");
    assert_eq!(asked[0].json()["numbers"], json!([2, 4]));
}

#[tokio::test]
async fn urls_are_asked_for_a_hundred_at_a_time() {
    let home = Home::of("urls");
    let cloud = Cloud::of([(17, Job::of(250_000, 1000))]).await;
    let relay = home.start(&cloud).await;
    let image = image(250_000);
    assert_eq!(
        put(relay.address, 17, image.clone()).await.0,
        StatusCode::OK
    );
    cloud.assert_has(17, &image, 1..=250);
    let asked = cloud.calls("POST /v1/jobs/17/push/parts");
    let numbers = asked
        .iter()
        .map(|call| call.json()["numbers"].as_array().unwrap().len());
    // Reports ask for none.
    let numbers = numbers.filter(|count| *count > 0);
    assert_eq!(numbers.collect::<Vec<_>>(), [100, 100, 50]);
}

#[tokio::test]
async fn a_source_server_that_hangs_up_after_the_last_byte_has_sent_its_image() {
    let home = Home::of("last-byte");
    let cloud = Cloud::of([(17, Job::of(3 * PART, PART))]).await;
    let relay = home.start(&cloud).await;
    let image = image(3 * PART);
    cloud.hold(1..=3);
    let mut sending = Sending::begin(relay.address, 17, 3 * PART).await;
    sending.send(&image).await;
    let all = "all parts are on their way";
    cloud
        .wait(all, |cloud| cloud.calls("PUT /s3/17").len() == 3)
        .await;
    drop(sending);
    cloud.hold([]);
    let done = "the image is complete";
    cloud.wait(done, |_| home.jobs().is_empty()).await;
    cloud.assert_has(17, &image, 1..=3);
    assert_eq!(cloud.ends(17), [""; 0]);
}

/// Bytes that the kernel takes for a connection that nobody reads from, at most: 4 MiB to be sent and 32 MiB that came
/// (`tcp_wmem` and `tcp_rmem` of current kernels).
const BUFFERS: usize = 36 << 20;

const MIB: u64 = 1 << 20;

/// The time in which something is taken of what can be taken.
const PAUSE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn while_s3_takes_nothing_the_source_server_waits() {
    const PART: u64 = 8 * MIB;
    const SIZE: u64 = 24 * PART;
    let home = Home::of("waits");
    let cloud = Cloud::of([(17, Job::of(SIZE, PART))]).await;
    let relay = home.start(&cloud).await;
    let image = image(SIZE);
    cloud.hold(1..=24);
    let mut sending = Sending::begin(relay.address, 17, SIZE).await;
    let taken = sending.send_what_is_taken(&image, PAUSE).await;
    // Four parts are on their way, and the next one waits.
    let parts = 5 * PART as usize;
    assert!((parts..parts + BUFFERS).contains(&taken), "{taken} bytes");
    assert_eq!(cloud.ends(17), [""; 0]);
    cloud.hold([]);
    sending.send(&image[taken..]).await;
    let answer = sending.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    cloud.assert_has(17, &image, 1..=24);
    let memory = relay.most_memory();
    assert!(memory < 128 * MIB, "{memory} bytes");
}

#[tokio::test]
async fn all_images_together_have_256_mib() {
    const PART: u64 = 48 * MIB;
    const SIZE: u64 = 5 * PART;
    let home = Home::of("memory");
    let cloud = Cloud::of([17, 18].map(|id| (id, Job::of(SIZE, PART)))).await;
    let relay = home.start(&cloud).await;
    let image = image(SIZE);
    cloud.hold(1..=5);
    let mut first = Sending::begin(relay.address, 17, SIZE).await;
    let mut second = Sending::begin(relay.address, 18, SIZE).await;
    let (one, other) = tokio::join!(
        first.send_what_is_taken(&image, PAUSE),
        second.send_what_is_taken(&image, PAUSE),
    );
    // Each of them alone would have five parts, and there is room for five in all.
    let (taken, room) = (one + other, 5 * PART as usize);
    assert!((room..room + 2 * BUFFERS).contains(&taken), "{taken} bytes");
    let memory = relay.most_memory();
    assert!(memory < 6 * PART, "{memory} bytes");
    cloud.hold([]);
    let (first, second) = tokio::join!(
        async {
            first.send(&image[one..]).await;
            first.answer().await
        },
        async {
            second.send(&image[other..]).await;
            second.answer().await
        },
    );
    for answer in [first, second] {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    cloud.assert_has(17, &image, 1..=5);
    cloud.assert_has(18, &image, 1..=5);
}

#[tokio::test]
async fn a_second_image_of_a_job_is_refused_while_the_first_comes_in() {
    let home = Home::of("twice");
    let cloud = Cloud::of([(17, Job::of(2 * PART, PART))]).await;
    let relay = home.start(&cloud).await;
    let image = image(2 * PART);
    let mut first = Sending::begin(relay.address, 17, 2 * PART).await;
    first.send(&image[..10]).await;
    cloud
        .wait("job 17 is listed", |_| home.jobs() == ["17"])
        .await;
    let second = Sending::begin(relay.address, 17, 2 * PART).await;
    let answer = second.answer().await;
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(
        answer.contains("<summary>the image of job 17 comes in already</summary>"),
        "{answer}"
    );
    first.send(&image[10..]).await;
    let answer = first.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    cloud.assert_has(17, &image, 1..=2);
    assert_eq!(cloud.ends(17), [""; 0]);
}
