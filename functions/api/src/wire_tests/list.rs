use std::io::Read;

use flate2::read::GzDecoder;
use lambda_http::{
    Body,
    http::{HeaderValue, header::ACCEPT_ENCODING},
};
use serde_json::{Value, json};

use super::{World, item, job_xml, list_xml, ok};
use crate::sample_event::event;

#[tokio::test]
async fn a_list_has_the_jobs_in_the_order_asked() {
    let world = World::new(|call, body| {
        assert_eq!(call, "BatchGetItem");
        assert_eq!(
            body["RequestItems"]["jobs"]["Keys"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        ok(json!({"Responses": {"jobs": [
            item("1", "succeeded", "ami-0123456789abcdef0"),
            item("2", "failed", "killed"),
        ]}}))
    });
    let (status, xml) = world
        .ask("GET", "/cloudupload?name=2&name=99&name=1&name=2", "")
        .await;
    let [one, two] = [
        job_xml("1", "succeeded", "ami-0123456789abcdef0"),
        job_xml("2", "failed", "killed"),
    ];
    assert_eq!((status, xml), (200, list_xml(&[two.clone(), one, two])));
}

#[tokio::test]
async fn a_list_of_all_jobs_is_in_the_order_of_their_numbers() {
    let world = World::new(|call, body| {
        assert_eq!(call, "Scan");
        ok(match body.get("ExclusiveStartKey") {
            None => json!({
                "Items": [item("10", "created", "x"), item("9", "created", "x")],
                "LastEvaluatedKey": {"id": {"S": "9"}},
            }),
            Some(_) => json!({"Items": [item("2", "created", "x")]}),
        })
    });
    let (_, xml) = world.ask("GET", "/cloudupload", "").await;
    let jobs = ["2", "9", "10"].map(|id| job_xml(id, "created", "x"));
    assert_eq!(xml, list_xml(&jobs));
}

#[tokio::test]
async fn an_empty_list_is_as_obs_writes_it() {
    let world = World::new(|_, _| ok(json!({"Items": []})));
    for target in ["/cloudupload", "/cloudupload?name=0"] {
        let answer = world.ask("GET", target, "").await;
        assert_eq!(
            answer,
            (
                200,
                "<clouduploadjoblist>\n</clouduploadjoblist>\n".to_owned()
            )
        );
    }
}

/// So many jobs whose details are this long.
fn many(jobs: usize, details: usize) -> World {
    World::new(move |_, _| {
        let details = "x".repeat(details);
        let jobs: Vec<Value> = (1..=jobs)
            .map(|id| item(&id.to_string(), "failed", &details))
            .collect();
        ok(json!({"Items": jobs}))
    })
}

/// The numbers in a list.
fn listed(xml: &str) -> Vec<usize> {
    let names = xml.split("<clouduploadjob name=\"").skip(1);
    names
        .map(|rest| rest.split_once('"').unwrap().0.parse().unwrap())
        .collect()
}

async fn gzipped_list(world: &World) -> String {
    let mut event = event("GET", "/cloudupload", "", b"");
    let gzip = HeaderValue::from_static("gzip;q=1.0,deflate;q=0.6,identity;q=0.3");
    event.headers.insert(ACCEPT_ENCODING, gzip);
    let response = world.answer(event).await;
    assert_eq!(response.status_code, 200);
    assert_eq!(response.headers["content-encoding"], "gzip");
    let lambda = serde_json::to_string(&response).unwrap();
    assert!(lambda.len() < 6 << 20, "{} bytes", lambda.len());
    let Some(Body::Binary(bytes)) = response.body else {
        panic!("the answer is compressed");
    };
    let mut xml = String::new();
    GzDecoder::new(bytes.as_slice())
        .read_to_string(&mut xml)
        .unwrap();
    xml
}

#[tokio::test]
async fn a_list_that_lambda_would_not_pass_on_has_the_newest_jobs() {
    let world = many(21, 300_000);
    let (status, xml) = world.ask("GET", "/cloudupload", "").await;
    assert_eq!(status, 200);
    assert_eq!(listed(&xml), (2..=21).collect::<Vec<_>>());
    let world = World::new(|_, _| {
        let jobs = ["7", "8", "9"].map(|id| item(id, "failed", &"x".repeat(3 << 20)));
        ok(json!({"Responses": {"jobs": jobs}}))
    });
    let (status, xml) = world
        .ask("GET", "/cloudupload?name=9&name=7&name=8", "")
        .await;
    assert_eq!((status, listed(&xml)), (200, vec![9]));
}

#[tokio::test]
async fn a_long_list_is_compressed_for_whoever_accepts_it() {
    let xml = gzipped_list(&many(20_000, 200)).await;
    assert_eq!(listed(&xml), (1..=20_000).collect::<Vec<_>>());
    let xml = gzipped_list(&many(40, 1 << 20)).await;
    assert_eq!(listed(&xml), (9 + 1..=40).collect::<Vec<_>>());
}
