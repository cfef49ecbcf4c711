//! Files that are pushed.

use fake_endpoint::dynamodb;
use serde_json::{Value, json};

use super::{World, ok, refused, submission::skeleton_of_obs};

/// The record of a job that waits for its file, which has two parts.
fn waiting() -> Value {
    let mut record = dynamodb::record();
    record["state"] = "receiving".into();
    record["order"]["source"] = "push".into();
    record["token"] = "t-1".into();
    record["work"] = json!({"staging_began": 1795445844, "push_upload": "u-1"});
    record["order"]["size"] = ((8 << 20) + 5).into();
    record
}

/// A world with this job, whose upload has these parts.
fn world(record: Value, parts: &'static [(i32, u64)]) -> World {
    World::new(move |call, body| match call {
        "GetItem" => ok(json!({"Item": dynamodb::item(&record)})),
        "UpdateItem" => {
            let mut after = record.clone();
            after["work"]["pushed"] = "y/Q5Jg==".into();
            ok(json!({"Attributes": dynamodb::item(&after)}))
        }
        "ListParts" => ok(listed(parts)),
        "PutLogEvents" | "SendTaskSuccess" => ok("{}"),
        call => panic!("{call} is not needed: {body}"),
    })
}

/// The parts of an upload, by number and size (S3 API reference, ListParts, "Response Syntax").
fn listed(parts: &[(i32, u64)]) -> String {
    let part = |(number, size): &(i32, u64)| {
        format!("<Part><PartNumber>{number}</PartNumber><Size>{size}</Size></Part>")
    };
    let parts: String = parts.iter().map(part).collect();
    format!("<ListPartsResult><IsTruncated>false</IsTruncated>{parts}</ListPartsResult>")
}

async fn ask(world: &World, method: &str, target: &str, body: Value) -> (i64, Value) {
    let (status, text) = world.ask_json(method, target, &body.to_string()).await;
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status, json)
}

#[tokio::test]
async fn the_upload_is_begun_before_the_execution_and_obs_is_not_asked() {
    let record = waiting();
    let world = World::new(move |call, body| match call {
        "UpdateItem" if body["Key"]["id"]["S"] == "1" => {
            ok(json!({"Attributes": dynamodb::item(&record)}))
        }
        "UpdateItem" => ok(json!({"Attributes": {"taken": {"N": "1"}}})),
        "CreateMultipartUpload" => ok(
            "<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>",
        ),
        "TransactWriteItems" => ok("{}"),
        "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
        call => panic!("{call} is not needed: {body}"),
    });
    let (status, xml) = world
        .ask("POST", "/cloudupload?push=1", &skeleton_of_obs())
        .await;
    assert_eq!(status, 200, "{xml}");
    let calls = world.calls();
    let names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "UpdateItem",
            "TransactWriteItems",
            "PutEvents",
            "DeleteItem",
            "CreateMultipartUpload",
            "UpdateItem",
            "StartExecution"
        ]
    );
    // The clean-up looks for an upload from the first moment on.
    let item = dynamodb::plain_item(&calls[1].1["TransactItems"][0]["Put"]["Item"]);
    assert_eq!(item["work"]["staging_began"], item["created"]);
    assert_eq!(item["order"]["source"], "push");
    let update = dynamodb::expression(&calls[5].1, "UpdateExpression");
    assert_eq!(update, r#"SET work.push_upload = "u-1""#);
}

#[tokio::test]
async fn a_file_without_an_upload_fails_the_job() {
    let world = World::new(|call, body| match call {
        "UpdateItem" => ok(json!({"Attributes": {"taken": {"N": "1"}}})),
        "CreateMultipartUpload" => (
            403,
            "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned(),
        ),
        "TransactWriteItems" => ok("{}"),
        "GetItem" => ok(json!({"Item": dynamodb::item(&dynamodb::record())})),
        call => panic!("{call} is not needed: {body}"),
    });
    let (status, xml) = world
        .ask("POST", "/cloudupload?push=1", &skeleton_of_obs())
        .await;
    assert_eq!(status, 500);
    assert!(xml.contains("the file cannot be taken right now"), "{xml}");
    let failed = world
        .calls()
        .into_iter()
        .filter(|(name, _)| name == "TransactWriteItems")
        .nth(1);
    let (_, failed) = failed.expect("the job is failed");
    let update = &failed["TransactItems"][0]["Update"];
    let update = dynamodb::expression(update, "UpdateExpression");
    assert!(update.contains(r#"state = "failed""#), "{update}");
}

#[tokio::test]
async fn urls_cost_no_call_of_s3_and_tell_how_far_the_push_is() {
    let world = world(waiting(), &[]);
    let body = json!({"numbers": [2, 1], "sent": 1 << 20});
    let (status, answer) = ask(&world, "POST", "/v1/jobs/1/push/parts", body).await;
    assert_eq!(status, 200, "{answer}");
    let sizes: Vec<_> = answer["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["number"].as_u64(), part["size"].as_u64()))
        .collect();
    assert_eq!(sizes, [(Some(2), Some(5)), (Some(1), Some(8 << 20))]);
    assert_eq!(
        world.names_of_calls(),
        ["GetItem", "UpdateItem", "PutLogEvents"]
    );
    let logged = &world.calls()[2].1["logEvents"][0]["message"];
    assert_eq!(logged, "Received 12% (1 of 8 MiB)");
}

#[tokio::test]
async fn a_complete_file_lets_the_job_go_on() {
    let done = json!({"crc32": "y/Q5Jg=="});
    let target = "/v1/jobs/1/push/done";
    let complete = world(waiting(), &[(1, 8 << 20), (2, 5)]);
    let (status, answer) = ask(&complete, "POST", target, done.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        complete.names_of_calls(),
        ["GetItem", "ListParts", "UpdateItem", "SendTaskSuccess"]
    );

    let torn = world(waiting(), &[(1, 8 << 20), (2, 4)]);
    let (status, problem) = ask(&torn, "POST", target, done.clone()).await;
    assert_eq!(status, 409);
    let reason = "1 parts of the file are missing, the first of them part 2";
    assert!(
        problem["detail"].as_str().unwrap().starts_with(reason),
        "{problem}"
    );

    // The client says it again, as it got no answer. By now, the token is that of another wait, or the job is over.
    for state in ["scheduled", "succeeded"] {
        let mut later = waiting();
        later["state"] = state.into();
        later["work"]["pushed"] = "y/Q5Jg==".into();
        let later = world(later, &[]);
        let (status, answer) = ask(&later, "POST", target, done.clone()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(later.names_of_calls(), ["GetItem"]);
        let (status, push) = ask(&later, "GET", "/v1/jobs/1/push", json!(null)).await;
        assert_eq!((status, &push["done"]), (200, &json!(true)));
        let other = json!({"crc32": "AAAAAA=="});
        let (status, problem) = ask(&later, "POST", target, other).await;
        assert_eq!(status, 409, "{problem}");
    }
}

#[tokio::test]
async fn a_push_is_for_whom_the_job_is() {
    let mut failed = waiting();
    failed["state"] = "failed".into();
    failed["details"] = "killed".into();
    let mut of_obs = waiting();
    of_obs["order"].as_object_mut().unwrap().remove("source");
    let mut not_begun = waiting();
    not_begun["work"] = json!({});
    for (record, status, detail) in [
        (
            failed,
            409,
            "job 1 takes no file any more: it has failed: killed",
        ),
        (
            of_obs,
            409,
            "the file of job 1 is read from OBS, and not pushed",
        ),
        (
            not_begun,
            409,
            "job 1 was not begun to the end, and takes no file: create another one",
        ),
    ] {
        let world = world(record, &[]);
        let answer = ask(&world, "GET", "/v1/jobs/1/push", json!(null)).await;
        assert_eq!((answer.0, &answer.1["detail"]), (status, &json!(detail)));
    }
    let world = World::new(|call, _| match call {
        "GetItem" => ok(json!({})),
        _ => refused("AccessDeniedException", "no"),
    });
    let answer = ask(&world, "GET", "/v1/jobs/1/push", json!(null)).await;
    assert_eq!(
        (answer.0, &answer.1["detail"]),
        (404, &json!("no such job"))
    );
}
