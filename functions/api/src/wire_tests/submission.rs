use serde_json::{Value, json};

use super::{World, cancelled, error_with_details_xml, error_xml, job_xml, ok};

const JSON: &str = r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"top-secret","region":"us-east-1"}"#;

/// A job as the source server sends it, with its client's JSON.
fn skeleton(json: &str) -> String {
    format!(
        "<clouduploadjob>\n  <details>{}</details>\n  <user>tom</user>\n  <target>ec2</target>\n  \
         <project>Cloud:Images</project>\n  <repository>images</repository>\n  <package>leap-ec2</package>\n  \
         <arch>x86_64</arch>\n  <filename>leap-ec2.x86_64-15.6.raw.xz</filename>\n  <size>23097940</size>\n\
         </clouduploadjob>\n",
        hex::encode(json)
    )
}

/// One whose client did all as it should.
pub fn skeleton_of_obs() -> String {
    skeleton(JSON)
}

/// An outside in which OBS has the file.
fn outside(call: &str, body: &Value) -> (u16, String) {
    match call {
        "OBS" => ok("<binarylist>\n  \
                     <binary filename=\"leap-ec2.x86_64-15.6.raw.xz\" size=\"23097940\" mtime=\"1795445000\" />\n\
                     </binarylist>\n"),
        "UpdateItem" => ok(json!({"Attributes": {"taken": {"N": "1"}}})),
        "TransactWriteItems" | "PutLogEvents" => ok("{}"),
        "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
        call => panic!("{call} is not needed: {body}"),
    }
}

/// The answer with the time of the recorded ones.
async fn submit(world: &World, skeleton: &str) -> (i64, String) {
    let (status, xml) = world.ask("POST", "/cloudupload", skeleton).await;
    let (before, rest) = xml.split_once("<created>").unwrap();
    let (_, after) = rest.split_once("</created>").unwrap();
    let xml = format!("{before}<created>1795445844</created>{after}");
    (status, xml)
}

#[tokio::test]
async fn a_job_of_the_source_server_is_created_like_any_other() {
    let world = World::new(outside);
    let answer = submit(&world, &skeleton(JSON)).await;
    let expected = job_xml("1", "created", "waiting to receive image");
    assert_eq!(answer, (200, expected));
    assert_eq!(
        world.names_of_calls(),
        [
            "OBS",
            "UpdateItem",
            "TransactWriteItems",
            "PutEvents",
            "DeleteItem",
            "StartExecution"
        ]
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_is_one_that_has_failed() {
    let reason = "region 'mars-1' is unknown: ";
    let json = JSON.replace("us-east-1", "mars-1");
    let world = World::new(outside);
    let (status, xml) = submit(&world, &skeleton(&json)).await;
    let details = xml.split_once("<details>").unwrap().1;
    let details = details.split_once("</details>").unwrap().0.to_owned();
    assert_eq!((status, xml), (200, job_xml("1", "failed", &details)));
    assert_eq!(
        world.names_of_calls(),
        [
            "UpdateItem",
            "TransactWriteItems",
            "PutEvents",
            "DeleteItem",
            "PutLogEvents"
        ]
    );
    let calls = world.calls();
    let event: Value =
        serde_json::from_str(calls[2].1["Entries"][0]["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&event["job"], &event["state"]),
        (&json!("1"), &json!("failed"))
    );
    let item = calls[1].1["TransactItems"][0]["Put"]["Item"].clone();
    assert_eq!(item["order"]["M"]["ec2"], Value::Null);
    assert!(!item.to_string().contains("top-secret"));
    let logged = &calls[4].1["logEvents"][0]["message"];
    assert_eq!(logged.as_str(), item["details"]["S"].as_str());
    assert!(!details.is_empty(), "{reason}");

    // As any job it can be seen, and killed without effect.
    let world = World::new(move |call, _| match call {
        "GetItem" => ok(json!({ "Item": item })),
        "GetLogEvents" => ok(json!({"events": [], "nextForwardToken": "f/1"})),
        "TransactWriteItems" => cancelled(Some(&item)),
        call => panic!("{call} is not needed"),
    });
    for (method, target) in [
        ("GET", "/cloudupload/1"),
        ("POST", "/cloudupload/1?cmd=kill"),
    ] {
        let (status, xml) = world.ask(method, target, "").await;
        assert_eq!(status, 200, "{xml}");
        assert!(xml.contains("<state>failed</state>"), "{xml}");
    }
    let log = world.ask("GET", "/cloudupload/1/_log", "").await;
    assert_eq!(log, (200, String::new()));
}

#[tokio::test]
async fn a_file_that_obs_does_not_have_fails_the_job() {
    let world = World::new(|call, body| match call {
        "OBS" => ok("<binarylist />\n"),
        call => outside(call, body),
    });
    let answer = submit(&world, &skeleton(JSON)).await;
    let reason = "remote error: leap-ec2.x86_64-15.6.raw.xz  No such file or directory";
    assert_eq!(answer, (200, job_xml("1", "failed", reason)));
}

#[tokio::test]
async fn a_request_that_names_no_job_makes_none() {
    let world = World::new(|call, _| panic!("{call} is not needed"));
    let answer = world.ask("POST", "/cloudupload", "<clouduploadjob/>").await;
    let summary = "user is missing from job skeleton";
    assert_eq!(answer, (400, error_xml(400, summary)));
}

#[tokio::test]
async fn the_image_is_not_waited_for() {
    let world = World::new(|call, _| panic!("{call} is not needed"));
    let answer = world.ask("PUT", "/cloudupload/1", "the image").await;
    assert_eq!(answer, (200, "<status code=\"ok\" />\n".to_owned()));
    let answer = world.ask("PUT", "/cloudupload/x", "the image").await;
    assert_eq!(answer, (404, error_with_details_xml(404, "no such job")));
}

#[tokio::test]
async fn both_daemons_run() {
    let world = World::new(|call, _| panic!("{call} is not needed"));
    let (status, xml) = world.ask("GET", "/workerstatus", "").await;
    assert_eq!(status, 200);
    assert!(
        xml.starts_with(
            "<workerstatus>\n  <partition>\n    \
             <daemon type=\"clouduploadserver\" state=\"running\" starttime=\"1795445844\" />\n"
        ),
        "{xml}"
    );
}
