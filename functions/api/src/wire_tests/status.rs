use lambda_http::Body;
use serde_json::json;

use super::{World, error_with_details_xml, item, job_xml, ok};

#[tokio::test]
async fn a_status_is_the_record_or_there_is_no_such_job() {
    let world = World::new(|call, body| {
        assert_eq!(call, "GetItem");
        ok(match body["Key"]["id"]["S"].as_str() {
            Some("7") => json!({"Item": item("7", "receiving", "a & b")}),
            _ => json!({}),
        })
    });
    let answer = world.ask("GET", "/cloudupload/7", "").await;
    assert_eq!(answer, (200, job_xml("7", "receiving", "a &amp; b")));
    for (method, target) in [
        ("GET", "/cloudupload/8"),
        ("POST", "/cloudupload/8"),
        ("GET", "/cloudupload/8/_log"),
        ("GET", "/cloudupload/abc"),
        ("GET", "/cloudupload/7%2F_log"),
    ] {
        let answer = world.ask(method, target, "").await;
        assert_eq!(
            answer,
            (404, error_with_details_xml(404, "no such job")),
            "{method} {target}"
        );
    }
    let head = world.send("HEAD", "/cloudupload/7", "").await;
    assert_eq!((head.status_code, head.body), (200, Some(Body::Empty)));
}
