use lambda_http::Body;
use serde_json::{Value, json};

use super::{World, error_with_details_xml, error_xml, item, job_xml, ok, refused};

const CREATE: &str = "/cloudupload?project=Cloud%3AImages&repository=images&package=leap-ec2&arch=x86_64\
                      &user=tom&target=ec2&filename=leap-ec2.x86_64-15.6.raw.xz";

const WISH: &str = r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"top-secret","region":"us-east-1"}"#;

const BUILD_RESULTS: &str = "<binarylist>\n  \
    <binary filename=\"_buildenv\" size=\"100\" mtime=\"1795445000\" />\n  \
    <binary filename=\"leap-ec2.x86_64-15.6.raw.xz\" size=\"23097940\" mtime=\"1795445000\" />\n\
    </binarylist>\n";

/// Everything that a create call needs.
fn creating(call: &str, body: &Value) -> (u16, String) {
    match call {
        "OBS" => ok(BUILD_RESULTS),
        "UpdateItem" if body["Key"]["id"]["S"] == "counter" => {
            ok(json!({"Attributes": {"taken": {"N": "1"}}}))
        }
        "PutItem" => ok("{}"),
        "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
        call => panic!("{call} is not needed: {body}"),
    }
}

#[tokio::test]
async fn a_job_is_created_with_no_more_calls_than_it_takes() {
    let world = World::new(creating);
    let response = world.send("POST", CREATE, WISH).await;
    assert_eq!(response.headers["content-type"], "text/xml");
    assert_eq!(response.headers["cache-control"], "no-cache");
    let Some(Body::Text(xml)) = response.body else {
        panic!("the answer is text");
    };
    let (before, rest) = xml.split_once("<created>").unwrap();
    let (_, after) = rest.split_once("</created>").unwrap();
    let xml = format!("{before}<created>1795445844</created>{after}");
    assert_eq!(xml, job_xml("1", "created", "waiting to receive image"));

    let calls = world.calls();
    assert_eq!(
        world.names_of_calls(),
        ["OBS", "UpdateItem", "PutItem", "StartExecution"]
    );
    assert_eq!(
        calls[2].1["Item"]["order"]["M"]["ec2"]["M"]["ami_name"]["S"],
        "leap-ec2.x86_64-15.6"
    );
    assert_eq!(calls[3].1["name"], "job-1");
    assert_eq!(calls[3].1["input"], r#"{"job":"1"}"#);
}

#[tokio::test]
async fn a_job_that_cannot_be_started_fails_and_the_caller_is_told() {
    let world = World::new(|call, body| match call {
        "StartExecution" => refused("AccessDeniedException", "not authorized"),
        "UpdateItem" if body["Key"]["id"]["S"] == "1" => ok(json!({
            "Attributes": item("1", "failed", "x")
        })),
        _ => creating(call, body),
    });
    let (status, xml) = world.ask("POST", CREATE, WISH).await;
    let reason = "the upload could not be started: states:StartExecution failed: AccessDeniedException: not authorized";
    assert_eq!((status, xml), (500, error_with_details_xml(500, reason)));
    let (call, body) = world.calls().pop().unwrap();
    assert_eq!(call, "UpdateItem");
    let values = body["ExpressionAttributeValues"].to_string();
    assert!(
        values.contains(r#"{"S":"failed"}"#) && values.contains(reason),
        "{values}"
    );
}

#[tokio::test]
async fn a_file_that_obs_does_not_have_makes_no_job() {
    let world = World::new(|_, _| ok("<binarylist>\n</binarylist>\n"));
    let target = CREATE.replace("leap-ec2.x86_64-15.6", "x");
    let (status, xml) = world.ask("POST", &target, WISH).await;
    let summary = "remote error: x.raw.xz  No such file or directory";
    assert_eq!((status, xml), (404, error_with_details_xml(404, summary)));
    assert_eq!(world.names_of_calls(), ["OBS"]);
}

#[tokio::test]
async fn an_obs_in_trouble_is_a_bad_gateway() {
    let world = World::new(|_, _| (403, error_xml(403, "forbidden")));
    let (status, xml) = world.ask("POST", CREATE, WISH).await;
    assert_eq!(status, 502);
    assert!(
        xml.contains("<summary>remote error: forbidden (http://127.0.0.1:"),
        "{xml}"
    );
}
