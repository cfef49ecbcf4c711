use std::sync::Mutex;

use lambda_http::Body;
use serde_json::{Value, json};

use super::{World, error_xml, item, ok, refused};

/// A job with a log of two lines.
fn logged(call: &str, body: &Value, state: &str) -> (u16, String) {
    match call {
        "GetItem" => ok(json!({"Item": item("1", state, "x")})),
        "GetLogEvents" if body["nextToken"] == "f/1" => ok(json!({
            "events": [], "nextForwardToken": "f/1", "nextBackwardToken": "b/2",
        })),
        "GetLogEvents" => ok(json!({
            "events": [
                {"timestamp": 1795445850000_u64, "message": "Start uploading image leap-ec2.x86_64-15.6.raw.xz."},
                {"timestamp": 1795445851999_u64, "message": "Successfully authenticated."},
            ],
            "nextForwardToken": "f/1",
            "nextBackwardToken": "b/1",
        })),
        call => panic!("{call} is not needed"),
    }
}

const LOG: &str =
    "Start uploading image leap-ec2.x86_64-15.6.raw.xz.\nSuccessfully authenticated.\n";

#[tokio::test]
async fn a_log_is_read_in_whole_and_in_part() {
    let world = World::new(|call, body| logged(call, body, "uploading"));
    let response = world
        .send("GET", "/cloudupload/1/_log?nostream=1&start=0", "")
        .await;
    assert_eq!(response.headers["content-type"], "text/plain");
    assert_eq!(response.body, Some(Body::Text(LOG.to_owned())));
    for (query, part) in [
        ("", LOG),
        ("?start=51&nostream=1", &LOG[51..]),
        ("?start=-5", &LOG[LOG.len() - 5..]),
        ("?end=5", &LOG[..5]),
        ("?start=5&end=3", ""),
        ("?nostream=1&start=79", ""),
    ] {
        let answer = world
            .ask("GET", &format!("/cloudupload/1/_log{query}"), "")
            .await;
        assert_eq!(answer, (200, part.to_owned()), "{query}");
    }
    let answer = world.ask("GET", "/cloudupload/1/_log?start=5000", "").await;
    assert_eq!(answer, (400, error_xml(400, "start out of range: 5000")));
    let answer = world.ask("GET", "/cloudupload/1/_log?view=entry", "").await;
    let entry =
        "<directory>\n  <entry name=\"_log\" size=\"79\" mtime=\"1795445851\" />\n</directory>\n";
    assert_eq!(answer, (200, entry.to_owned()));
}

#[tokio::test]
async fn a_job_without_a_log_yet_has_an_empty_one() {
    let world = World::new(|call, body| match call {
        "GetLogEvents" => refused(
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ),
        call => logged(call, body, "created"),
    });
    let answer = world.ask("GET", "/cloudupload/1/_log?nostream=1", "").await;
    assert_eq!(answer, (200, String::new()));
    let (_, xml) = world.ask("GET", "/cloudupload/1/_log?view=entry", "").await;
    assert!(xml.contains("size=\"0\" mtime=\"1795445844\""), "{xml}");
}

#[tokio::test]
async fn more_of_a_log_is_waited_for_until_the_job_ends() {
    let asked = Mutex::new(0);
    let world = World::new(move |call, body| {
        let mut asked = asked.lock().unwrap();
        *asked += i32::from(call == "GetItem");
        logged(
            call,
            body,
            if *asked > 1 { "succeeded" } else { "uploading" },
        )
    });
    let answer = world.ask("GET", "/cloudupload/1/_log?start=79", "").await;
    assert_eq!(answer, (200, String::new()));
    let looks = world
        .names_of_calls()
        .iter()
        .filter(|&call| call == "GetItem")
        .count();
    assert_eq!(looks, 2);
}
