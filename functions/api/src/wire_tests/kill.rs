use serde_json::{Value, json};

use super::{World, error_with_details_xml, item, job_xml, ok, refused};

#[tokio::test]
async fn a_kill_ends_a_job_and_changes_none_that_has_ended() {
    let world = World::new(|call, body| {
        if call == "PutLogEvents" {
            assert_eq!(body["logStreamName"], "job-1");
            assert_eq!(body["logEvents"][0]["message"], "Killed.");
            return ok(json!({}));
        }
        assert_eq!(call, "UpdateItem");
        let refused = |item: Value| {
            let mut body =
                json!({"__type": "com.amazonaws#ConditionalCheckFailedException", "message": "no"});
            if !item.is_null() {
                body["Item"] = item;
            }
            (400, body.to_string())
        };
        match body["Key"]["id"]["S"].as_str() {
            Some("1") => ok(json!({"Attributes": item("1", "failed", "killed")})),
            Some("2") => refused(item("2", "succeeded", "ami-1")),
            _ => refused(Value::Null),
        }
    });
    let answer = world.ask("POST", "/cloudupload/1?cmd=kill", "").await;
    assert_eq!(answer, (200, job_xml("1", "failed", "killed")));
    let answer = world.ask("POST", "/cloudupload/2?cmd=kill", "").await;
    assert_eq!(answer, (200, job_xml("2", "succeeded", "ami-1")));
    let answer = world.ask("POST", "/cloudupload/3?cmd=kill", "").await;
    assert_eq!(answer, (404, error_with_details_xml(404, "no such job")));
}

/// Whether or not the wait can be told: the job is final all the same, and the sweeper comes by.
#[tokio::test]
async fn a_kill_tells_what_waits() {
    for (status, told) in [
        (200, "{}".to_owned()),
        refused("TaskTimedOut", "over"),
        refused("AccessDeniedException", "no"),
    ] {
        let world = World::new(move |call, body| match call {
            "UpdateItem" => {
                let mut item = item("1", "failed", "killed");
                item["token"] = json!({"S": "AQC8"});
                ok(json!({"Attributes": item}))
            }
            "PutLogEvents" => ok("{}"),
            "SendTaskFailure" => {
                assert_eq!(body["taskToken"], "AQC8");
                assert_eq!(body["error"], "JobEnded");
                (status, told.clone())
            }
            call => panic!("{call} is not needed"),
        });
        let answer = world.ask("POST", "/cloudupload/1?cmd=kill", "").await;
        assert_eq!(answer, (200, job_xml("1", "failed", "killed")));
        assert_eq!(
            world.names_of_calls(),
            ["UpdateItem", "PutLogEvents", "SendTaskFailure"]
        );
    }
}
