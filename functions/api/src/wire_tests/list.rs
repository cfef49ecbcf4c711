use serde_json::{Value, json};

use super::{World, error_xml, item, job_xml, list_xml, ok};

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

#[tokio::test]
async fn a_list_that_lambda_would_not_pass_on_is_refused() {
    let world = World::new(|_, _| {
        let details = "x".repeat(300_000);
        let jobs: Vec<Value> = (1..=21)
            .map(|id| item(&id.to_string(), "failed", &details))
            .collect();
        ok(json!({"Items": jobs}))
    });
    let (status, xml) = world.ask("GET", "/cloudupload", "").await;
    let summary = "there are more jobs than fit in one answer: ask for some of them, with name=";
    assert_eq!((status, xml), (400, error_xml(400, summary)));
}
