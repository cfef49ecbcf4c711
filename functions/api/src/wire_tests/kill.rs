use serde_json::json;

use super::{World, cancelled, error_with_details_xml, item, job_xml, ok, refused};

#[tokio::test]
async fn a_kill_ends_a_job_and_changes_none_that_has_ended() {
    let world = World::new(|call, body| {
        if call == "PutLogEvents" {
            assert_eq!(body["logStreamName"], "job-1");
            assert_eq!(body["logEvents"][0]["message"], "Killed.");
            return ok(json!({}));
        }
        if call == "GetItem" {
            return ok(json!({"Item": item("1", "failed", "killed")}));
        }
        assert_eq!(call, "TransactWriteItems");
        let record = &body["TransactItems"][0]["Update"];
        match record["Key"]["id"]["S"].as_str() {
            Some("1") => ok("{}"),
            Some("2") => cancelled(Some(&item("2", "succeeded", "ami-1"))),
            _ => cancelled(None),
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
            "GetItem" => {
                let mut item = item("1", "failed", "killed");
                item["token"] = json!({"S": "AQC8"});
                ok(json!({"Item": item}))
            }
            "TransactWriteItems" | "PutLogEvents" => ok("{}"),
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
            [
                "TransactWriteItems",
                "GetItem",
                "PutEvents",
                "DeleteItem",
                "PutLogEvents",
                "SendTaskFailure"
            ]
        );
    }
}
