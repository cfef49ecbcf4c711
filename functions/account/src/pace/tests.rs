mod simulation;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cloudupload::{
    job::JobId,
    retry,
    store::{StoreError, Writers},
    target::AccountRegion,
};
use fake_endpoint::{
    Answer, Call, Endpoint,
    dynamodb::{condition_failed, expression, plain_item},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Pace;

/// A table that has one item.
type Table = Arc<Mutex<Option<Value>>>;

fn replace(item: &Table, call: &Call) -> Answer {
    let (request, mut item) = (call.json(), item.lock().unwrap());
    let holds = match item.as_ref().map(plain_item) {
        None => "attribute_not_exists(place)".to_owned(),
        Some(plain) => format!("stamp = {}", plain["stamp"]),
    };
    if expression(&request, "ConditionExpression") != holds {
        return condition_failed(call, item.as_ref());
    }
    *item = Some(request["Item"].clone());
    Answer::json(&json!({}))
}

/// The claims in the table: the writers without the random part of their names, and their shares.
fn shares(item: &Table) -> Vec<(String, u64)> {
    let item = plain_item(item.lock().unwrap().as_ref().unwrap());
    let writers = item["writers"].as_object().unwrap().iter();
    let shares = writers.map(|(name, claim)| {
        let (name, _) = name.rsplit_once('/').unwrap();
        (name.to_owned(), claim["share"].as_u64().unwrap())
    });
    shares.collect()
}

async fn register(
    endpoint: &Endpoint,
    job: u64,
    slice: u32,
    peers: u32,
) -> Result<Pace, StoreError> {
    retry::testing::skip_pauses();
    let writers = Writers::new(&endpoint.config(), "writers".to_owned());
    let place: AccountRegion = "123456789012/eu-central-1".parse().unwrap();
    Pace::register(&writers, place, JobId::new(job).unwrap(), slice, peers).await
}

async fn waits(pace: &Pace) -> bool {
    let taken = timeout(Duration::from_millis(200), pace.take());
    taken.await.is_err()
}

#[tokio::test]
async fn a_writer_alone_puts_at_once_and_gives_its_share_back() {
    let table = Table::default();
    let item = Arc::clone(&table);
    let endpoint = Endpoint::new(move |call| replace(&item, call));
    let pace = register(&endpoint, 7, 0, 1).await.unwrap();
    for _ in 0..50 {
        pace.take().await;
    }
    assert_eq!(shares(&table), [("job-7/0".to_owned(), 800)]);
    assert_eq!(endpoint.names(), ["PutItem"]);
    pace.leave().await;
    assert_eq!(shares(&table), []);
}

#[tokio::test]
async fn the_slices_of_a_job_share_from_the_start() {
    let table = Table::default();
    let item = Arc::clone(&table);
    let endpoint = Endpoint::new(move |call| replace(&item, call));
    let slices = [0, 1].map(|slice| register(&endpoint, 7, slice, 2));
    for slice in slices {
        slice.await.unwrap().take().await;
    }
    let expected = ["job-7/0", "job-7/1"].map(|slice| (slice.to_owned(), 400));
    assert_eq!(shares(&table), expected);
}

#[tokio::test]
async fn a_writer_that_comes_later_waits_until_the_first_has_made_room() {
    let table = Table::default();
    let item = Arc::clone(&table);
    let endpoint = Endpoint::new(move |call| replace(&item, call));
    let first = register(&endpoint, 7, 0, 1).await.unwrap();
    let second = register(&endpoint, 8, 0, 1).await.unwrap();
    let expected = |shares: [u64; 2]| {
        let names = ["job-7/0", "job-8/0"].map(str::to_owned);
        names.into_iter().zip(shares).collect::<Vec<_>>()
    };
    assert_eq!(shares(&table), expected([800, 0]));
    assert!(waits(&second).await);
    first.look().await.unwrap();
    second.look().await.unwrap();
    assert_eq!(shares(&table), expected([400, 400]));
    // For a second after that, the share is nobody's.
    assert!(waits(&second).await);
    assert!(!waits(&first).await);
}

#[tokio::test]
async fn trouble_of_dynamodb_is_waited_for() {
    let table = Table::default();
    let item = Arc::clone(&table);
    let mut troubled = 2;
    let endpoint = Endpoint::new(move |call| {
        if troubled > 0 {
            troubled -= 1;
            return call.refusal(500, "InternalServerError", "try again");
        }
        replace(&item, call)
    });
    let pace = register(&endpoint, 7, 0, 1).await.unwrap();
    assert!(waits(&pace).await);
    tokio::select! {
        () = pace.take() => {}
        error = pace.keep() => panic!("{error}"),
    }
    assert_eq!(endpoint.names().len(), 3);
}

#[tokio::test]
async fn what_does_not_pass_ends_the_work() {
    let denied = |call: &Call| call.refusal(400, "AccessDeniedException", "not authorized");
    let endpoint = Endpoint::new(denied);
    let error = register(&endpoint, 7, 0, 1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dynamodb:PutItem failed: AccessDeniedException: not authorized"
    );

    let mut allowed = 1;
    let endpoint = Endpoint::new(move |call| match allowed {
        0 => denied(call),
        _ => {
            allowed -= 1;
            call.refusal(500, "InternalServerError", "try again")
        }
    });
    let pace = register(&endpoint, 7, 0, 1).await.unwrap();
    let error = pace.keep().await;
    assert!(matches!(error, StoreError::Aws(_)), "{error}");
    // The function ends all the same.
    pace.leave().await;
}

#[tokio::test]
async fn throttled_a_writer_slows_down() {
    let table = Table::default();
    let item = Arc::clone(&table);
    let endpoint = Endpoint::new(move |call| replace(&item, call));
    // Of a share of one, there is nothing to halve; of two, the second put of a second waits.
    let pace = register(&endpoint, 7, 0, 400).await.unwrap();
    pace.take().await;
    pace.throttled();
    assert!(waits(&pace).await);
}

#[tokio::test]
async fn a_crowd_that_always_comes_between_is_trouble_and_no_end() {
    let item = Table::default();
    let mut stamp = 1;
    let endpoint = Endpoint::new(move |call| {
        stamp += 1;
        let mut other = call.json()["Item"].clone();
        other["stamp"] = json!({"N": stamp.to_string()});
        *item.lock().unwrap() = Some(other);
        replace(&item, call)
    });
    let pace = register(&endpoint, 7, 0, 1).await.unwrap();
    assert_eq!(endpoint.names().len(), 20);
    assert!(waits(&pace).await);
}
