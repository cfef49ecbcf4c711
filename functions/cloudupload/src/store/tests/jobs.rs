use std::collections::BTreeSet;

use fake_endpoint::{
    Answer, Call, Endpoint,
    dynamodb::{self, cancelled, condition_failed, expression, plain_item},
};
use serde_json::{Value, json};

use super::{event_of, id, item, jobs_at, taken, unreadable};
use crate::{
    clock::Timestamp,
    job::{
        self, Artifacts, BucketArtifacts, CleanUpNote, Creator, Intent, Job, JobSummary, Owner,
        Progress, State, Subject, Usage, example,
    },
    store::StoreError,
};

const OPEN: &str = r#"state IN ("created", "receiving", "scheduled", "uploading")"#;

fn updated(item: &Value) -> Answer {
    Answer::json(&json!({ "Attributes": item }))
}

/// The update that a store made, when it made one.
fn the_update(endpoint: &Endpoint) -> (String, String) {
    let calls = endpoint.calls();
    assert_eq!(endpoint.names(), ["UpdateItem"]);
    let request = calls[0].json();
    (
        expression(&request, "UpdateExpression"),
        expression(&request, "ConditionExpression"),
    )
}

/// A table whose counter stands at 16, and that answers the write of a new record and its event like that.
fn counting(put: impl Fn(&Call) -> Answer + Send + 'static) -> Endpoint {
    Endpoint::new(move |call| match call.name.as_str() {
        "UpdateItem" => updated(&json!({"taken": {"N": "17"}})),
        "TransactWriteItems" => put(call),
        "PutEvents" => taken(),
        _ => Answer::json(&json!({})),
    })
}

const CREATING: [&str; 4] = [
    "UpdateItem",
    "TransactWriteItems",
    "PutEvents",
    "DeleteItem",
];

/// The writes of a new record and its event.
fn the_puts(endpoint: &Endpoint) -> [Value; 2] {
    assert_eq!(endpoint.names(), CREATING);
    let transaction = endpoint.calls()[1].json();
    [0, 1].map(|part| transaction["TransactItems"][part]["Put"].clone())
}

#[tokio::test]
async fn a_job_is_created_under_the_next_number() {
    let endpoint = counting(|_| Answer::json(&json!({})));
    let request = example().request;
    let job = jobs_at(&endpoint)
        .create(request, creator(), id(5))
        .await
        .unwrap();
    assert_eq!((job.id, job.state), (id(17), State::Created));

    let [put, event] = the_puts(&endpoint);
    let counted = expression(&endpoint.calls()[0].json(), "UpdateExpression");
    assert_eq!(counted, r#"SET taken = if_not_exists(taken, 4) + 1"#);
    assert_eq!(put["ConditionExpression"], "attribute_not_exists(id)");
    let mut record = plain_item(&put["Item"]);
    assert_eq!(record["unfinished"], "yes");
    record.as_object_mut().unwrap().remove("unfinished");
    assert_eq!(
        (&record["owner"], &record["number"]),
        (&json!("obs:tom"), &json!(17))
    );
    assert_eq!(serde_json::from_value::<Job>(record).unwrap(), job);
    let event = plain_item(&event["Item"]);
    assert_eq!((&event["job"], &event["sequence"]), (&json!(17), &json!(1)));
    assert_eq!(event_of(&endpoint)["state"], "created");
}

fn creator() -> Creator {
    Creator {
        caller: "obs".parse().ok(),
        owner: Owner::Obs("tom".parse().unwrap()),
    }
}

#[tokio::test]
async fn an_owner_s_jobs_are_read_from_an_index() {
    let endpoint = Endpoint::new(|_| {
        let items = [item(7, State::Created), item(5, State::Failed)];
        Answer::json(&json!({"Items": items, "Count": 2, "ScannedCount": 2}))
    });
    let jobs = jobs_at(&endpoint);
    let owner = creator().owner;
    let found = jobs.owned(&owner, Some(id(9)), 2).await.unwrap();
    assert_eq!(found, [id(7), id(5)]);
    jobs.owned(&owner, None, 2).await.unwrap();
    let [before, all] = [0, 1].map(|call| endpoint.calls()[call].json());
    assert_eq!(
        (&before["IndexName"], &before["Limit"]),
        (&json!("owner"), &json!(2))
    );
    assert_eq!(before["ScanIndexForward"], false);
    let condition = |call| expression(call, "KeyConditionExpression");
    assert_eq!(condition(&before), r#"owner = "obs:tom" AND number < 9"#);
    assert_eq!(condition(&all), r#"owner = "obs:tom""#);
}

#[tokio::test]
async fn a_refused_job_is_created_with_nothing_left_to_do() {
    let endpoint = counting(|_| Answer::json(&json!({})));
    let subject = Subject {
        target: "azure".to_owned(),
        ..example().request.into()
    };
    let refused = jobs_at(&endpoint)
        .create_refused(subject, "no".to_owned(), creator(), id(5))
        .await
        .unwrap();
    assert_eq!((refused.id, refused.state), (id(17), State::Failed));
    let [put, event] = the_puts(&endpoint);
    assert_eq!(put["ConditionExpression"], "attribute_not_exists(id)");
    let record = plain_item(&put["Item"]);
    assert_eq!(record.get("unfinished"), None);
    assert_eq!(plain_item(&event["Item"])["sequence"], 5);
    let event = event_of(&endpoint);
    assert_eq!(
        (&event["state"], &event["reason"]),
        (&json!("failed"), &json!("no"))
    );
    assert_eq!(
        serde_json::from_value::<JobSummary>(record).unwrap(),
        refused
    );
}

/// The records were restored, and the counter was not.
#[tokio::test]
async fn a_number_that_a_job_has_is_not_given_again() {
    let endpoint = counting(|_| cancelled(&[("ConditionalCheckFailed", None), ("None", None)]));
    let created = jobs_at(&endpoint)
        .create(example().request, creator(), id(1))
        .await;
    assert!(
        matches!(created, Err(StoreError::Exists(job)) if job == id(17)),
        "{created:?}"
    );
    assert_eq!(endpoint.names(), CREATING[..2]);
}

#[tokio::test]
async fn the_last_number_is_that_which_obs_can_keep() {
    let endpoint = Endpoint::new(|_| updated(&json!({"taken": {"N": "2147483648"}})));
    let created = jobs_at(&endpoint)
        .create(example().request, creator(), id(1))
        .await;
    assert!(matches!(created, Err(StoreError::NoNumberLeft(_))));
    assert_eq!(endpoint.names(), ["UpdateItem"]);
}

#[tokio::test]
async fn a_final_job_refuses_an_update_and_is_told() {
    let endpoint = Endpoint::new(|call| {
        let record = &call.json()["TransactItems"][0]["Update"];
        let item = match record["Key"]["id"]["S"].as_str() {
            Some("1") => Some(item(1, State::Failed)),
            Some("2") => Some(unreadable(2)),
            _ => None,
        };
        cancelled(&[("ConditionalCheckFailed", item.as_ref()), ("None", None)])
    });
    let jobs = jobs_at(&endpoint);
    let advance = async |number| jobs.advance(id(number), State::Scheduled, "x").await;
    match advance(1).await {
        Err(StoreError::Superseded(job)) => assert_eq!((job.id, job.state), (id(1), State::Failed)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        advance(2).await,
        Err(StoreError::Unreadable { .. })
    ));
    assert!(matches!(advance(3).await, Err(StoreError::NoSuchJob(_))));
}

#[tokio::test]
async fn a_state_follows_those_before_it_only() {
    for (to, from) in [
        (State::Receiving, r#"("created")"#),
        (State::Succeeded, r#"("uploading")"#),
        (
            State::Failed,
            r#"("created", "receiving", "scheduled", "uploading")"#,
        ),
    ] {
        let endpoint = changing(to);
        let jobs = jobs_at(&endpoint);
        match to {
            State::Succeeded => jobs.succeed(id(1), "ami-1").await,
            State::Failed => jobs.fail(id(1), "killed").await,
            to => jobs.advance(id(1), to, "receiving image").await,
        }
        .unwrap();
        let transaction = endpoint.calls_of("TransactWriteItems")[0].json();
        let record = &transaction["TransactItems"][0]["Update"];
        let update = expression(record, "UpdateExpression");
        assert!(update.contains(&format!("state = \"{to}\"")), "{update}");
        let condition = expression(record, "ConditionExpression");
        assert_eq!(condition, format!("state IN {from}"));
        assert_eq!(update.contains("ended = "), to.is_final());
        assert_eq!(update.contains("work.receiving_began = "), !to.is_final());
        assert_eq!(update.contains("REMOVE token"), to == State::Succeeded);
    }
}

/// A step may run twice: it finds the job where it left it, and tells nobody of that.
#[tokio::test]
async fn an_open_state_that_the_job_has_already_is_left_as_it_is() {
    for (before, is_left) in [(State::Receiving, true), (State::Scheduled, false)] {
        let item = item(1, before);
        let endpoint = Endpoint::new(move |_| {
            cancelled(&[("ConditionalCheckFailed", Some(&item)), ("None", None)])
        });
        let advanced = jobs_at(&endpoint)
            .advance(id(1), State::Receiving, "x")
            .await;
        match advanced {
            Ok(job) => assert!(is_left && job.state == before),
            Err(StoreError::Superseded(job)) => assert!(!is_left && job.state == before),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(endpoint.names(), ["TransactWriteItems"]);
    }
}

/// Tables that take every change, with job 1 in that state.
fn changing(state: State) -> Endpoint {
    Endpoint::new(move |call| match call.name.as_str() {
        "GetItem" => Answer::json(&json!({"Item": item(1, state)})),
        "PutEvents" => taken(),
        _ => Answer::json(&json!({})),
    })
}

/// A table that refuses the first `conflicts` updates because a transaction is at the item.
fn conflicting(mut conflicts: u32) -> Endpoint {
    Endpoint::new(move |call| {
        if conflicts == 0 {
            return updated(&item(1, State::Receiving));
        }
        conflicts -= 1;
        call.refusal(
            400,
            "TransactionConflictException",
            "Transaction is ongoing for the item",
        )
    })
}

#[tokio::test]
async fn a_write_that_conflicts_with_a_transaction_is_tried_again_and_then_given_up() {
    for (conflicts, calls, succeeds) in [(2, 3, true), (10, 11, true), (11, 11, false)] {
        let endpoint = conflicting(conflicts);
        let half = Progress::Receiving { bytes: 50, of: 100 };
        let written = jobs_at(&endpoint).set_progress(id(1), half).await;
        assert_eq!(endpoint.names().len(), calls);
        match written {
            Ok(_) => assert!(succeeds),
            Err(StoreError::Aws(failure)) => assert!(!succeeds && failure.transient),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A BatchGetItem that gives the first of the keys and leaves the rest unprocessed.
fn gives_one(call: &Call) -> Answer {
    let request = call.json();
    let keys = request["RequestItems"]["jobs"]["Keys"].as_array().unwrap();
    let number = keys[0]["id"]["S"].as_str().unwrap().parse().unwrap();
    let mut answer = json!({"Responses": {"jobs": [item(number, State::Created)]}});
    if keys.len() > 1 {
        answer["UnprocessedKeys"] = json!({"jobs": {"Keys": keys[1..]}});
    }
    Answer::json(&answer)
}

#[tokio::test]
async fn keys_that_a_batch_leaves_unprocessed_are_asked_for_again() {
    let endpoint = Endpoint::new(gives_one);
    let found = jobs_at(&endpoint)
        .get_many((1..=3).map(id).collect())
        .await
        .unwrap();
    assert!((1..=3).all(|number| found[&id(number)].is_ok()));
    let keys = endpoint.calls().into_iter().map(|call| {
        let keys = call.json()["RequestItems"]["jobs"]["Keys"].clone();
        keys.as_array().unwrap().len()
    });
    assert_eq!(keys.collect::<Vec<_>>(), [3, 2, 1]);
}

#[tokio::test]
async fn a_batch_that_stays_unprocessed_is_given_up() {
    let endpoint = Endpoint::new(|call| {
        Answer::json(
            &json!({"UnprocessedKeys": {"jobs": {"Keys": call.json()["RequestItems"]["jobs"]["Keys"]}}}),
        )
    });
    let found = jobs_at(&endpoint).get_many([id(1), id(2)].into()).await;
    assert!(
        matches!(found, Err(StoreError::Unprocessed(2, 6))),
        "{found:?}"
    );
    assert_eq!(endpoint.names().len(), 6);
}

#[tokio::test]
async fn a_batch_has_no_more_keys_than_dynamodb_takes() {
    let endpoint = Endpoint::new(|_| Answer::json(&json!({"Responses": {"jobs": []}})));
    let found = jobs_at(&endpoint)
        .get_many((1..=105).map(id).collect())
        .await
        .unwrap();
    assert!(found.is_empty());
    let keys = endpoint.calls().into_iter().map(|call| {
        let keys = call.json()["RequestItems"]["jobs"]["Keys"].clone();
        keys.as_array().unwrap().len()
    });
    assert_eq!(keys.collect::<BTreeSet<_>>(), [5, 100].into());
}

#[tokio::test]
async fn a_list_asks_for_what_a_summary_has_and_a_step_for_the_whole_record() {
    let endpoint = Endpoint::new(|_| Answer::json(&json!({})));
    let jobs = jobs_at(&endpoint);
    jobs.summaries([id(1)].into()).await.unwrap();
    jobs.page(None).await.unwrap();
    jobs.get_many([id(1)].into()).await.unwrap();
    let [list, all, whole] = endpoint
        .calls()
        .try_into()
        .unwrap_or_else(|calls: Vec<Call>| panic!("{} calls", calls.len()));
    for request in [&list.json()["RequestItems"]["jobs"], &all.json()] {
        let expression = request["ProjectionExpression"].as_str().unwrap();
        assert!(expression.contains("#state") && expression.contains("#order.#user"));
        assert!(!expression.contains("params"));
        assert_eq!(request["ExpressionAttributeNames"]["#order"], "order");
    }
    let whole = &whole.json()["RequestItems"]["jobs"];
    assert_eq!(whole["ProjectionExpression"], Value::Null);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_back_no_other() {
    let endpoint = Endpoint::new(|call| {
        let items = json!([
            item(1, State::Created),
            unreadable(2),
            item(3, State::Failed)
        ]);
        Answer::json(&match call.name.as_str() {
            "Scan" => json!({"Items": items, "LastEvaluatedKey": {"id": {"S": "3"}}}),
            _ => json!({"Responses": {"jobs": items}}),
        })
    });
    let jobs = jobs_at(&endpoint);
    let found = jobs.get_many((1..=3).map(id).collect()).await.unwrap();
    assert_eq!(
        [1, 2, 3].map(|number| found[&id(number)].is_ok()),
        [true, false, true]
    );
    let (page, next) = jobs.page(None).await.unwrap();
    assert_eq!(
        page.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert!(matches!(&page[1], Err(StoreError::Unreadable { id, .. }) if id == "2"));
    jobs.page(next).await.unwrap();
    assert_eq!(
        endpoint.calls()[2].json()["ExclusiveStartKey"]["id"]["S"],
        "3"
    );
}

#[tokio::test]
async fn the_unfinished_jobs_are_those_of_all_pages() {
    let endpoint = Endpoint::new(|call| {
        Answer::json(&match &call.json()["ExclusiveStartKey"] {
            Value::Null => {
                json!({"Items": [{"id": {"S": "1"}}], "LastEvaluatedKey": {"id": {"S": "1"}}})
            }
            _ => json!({"Items": [{"id": {"S": "2"}}]}),
        })
    });
    let found = jobs_at(&endpoint).unfinished().await.unwrap();
    assert_eq!(found, [id(1), id(2)]);
}

fn disk_size(bytes: u64) -> Artifacts {
    Artifacts {
        bucket: BucketArtifacts {
            disk_size: Some(bytes),
            ..BucketArtifacts::default()
        },
        ..Artifacts::default()
    }
}

#[tokio::test]
async fn an_intent_keeps_the_time_of_the_first() {
    let endpoint = Endpoint::new(|_| updated(&item(1, State::Uploading)));
    let before = Timestamp::now();
    jobs_at(&endpoint)
        .intend(id(1), Intent::Import)
        .await
        .unwrap();
    let (update, condition) = the_update(&endpoint);
    let now = update
        .strip_prefix("SET work.import_began = if_not_exists(work.import_began, ")
        .and_then(|rest| rest.strip_suffix(')'));
    let now = Timestamp::from_secs(now.unwrap().parse().unwrap());
    assert!((before..=Timestamp::now()).contains(&now), "{update}");
    assert_eq!(condition, OPEN);
}

#[tokio::test]
async fn a_fact_is_recorded_over_an_earlier_one_or_only_once() {
    let endpoint = Endpoint::new(|_| updated(&item(1, State::Uploading)));
    jobs_at(&endpoint)
        .record(id(1), &disk_size(7))
        .await
        .unwrap();
    let recorded = ("SET work.disk_size = 7".to_owned(), OPEN.to_owned());
    assert_eq!(the_update(&endpoint), recorded);

    let endpoint = Endpoint::new(|_| updated(&item(1, State::Uploading)));
    jobs_at(&endpoint)
        .record_once(id(1), &disk_size(7))
        .await
        .unwrap();
    let once = "SET work.disk_size = if_not_exists(work.disk_size, 7)";
    assert_eq!(the_update(&endpoint), (once.to_owned(), OPEN.to_owned()));
}

#[tokio::test]
async fn each_slice_has_its_own_field() {
    let endpoint = Endpoint::new(|_| {
        let mut record = dynamodb::record();
        record["work"]["moved"] = json!({"0": 5, "3": 6});
        updated(&dynamodb::item(&record))
    });
    let job = jobs_at(&endpoint)
        .set_transferred(id(1), 3, 6)
        .await
        .unwrap();
    assert_eq!(job.artifacts.transferred_bytes(), 11);
    assert_eq!(the_update(&endpoint).0, "SET work.moved.3 = 6");
}

/// A report at 12 % of a job whose record has `progress`, answered like that.
async fn report(
    progress: Option<u8>,
    answer: impl Fn(&Call) -> Answer + Send + 'static,
) -> (Result<bool, StoreError>, (String, String)) {
    let endpoint = Endpoint::new(answer);
    let job = Job {
        progress,
        ..example()
    };
    let half = Progress::Receiving { bytes: 50, of: 100 };
    let period = std::time::Duration::from_secs(30);
    let reported = jobs_at(&endpoint).claim_report(&job, half, period).await;
    (reported, the_update(&endpoint))
}

#[tokio::test]
async fn one_of_all_callers_reports_in_every_period() {
    let (reported, (update, condition)) =
        report(None, |_| updated(&item(1, State::Uploading))).await;
    assert!(reported.unwrap());
    let now: u64 = update
        .strip_prefix("SET progress = 12, reported = ")
        .unwrap()
        .parse()
        .unwrap();
    let then = now - 30_000;
    assert_eq!(
        condition,
        format!("(attribute_not_exists(reported) OR reported <= {then}) AND {OPEN}")
    );

    let quicker = |call: &Call| condition_failed(call, Some(&item(1, State::Uploading)));
    assert!(!report(None, quicker).await.0.unwrap());

    let killed = |call: &Call| condition_failed(call, Some(&item(1, State::Failed)));
    let reported = report(None, killed).await.0;
    assert!(
        matches!(reported, Err(StoreError::Superseded(_))),
        "{reported:?}"
    );
}

#[tokio::test]
async fn a_report_takes_no_progress_back() {
    let (_, (update, _)) = report(Some(40), |_| updated(&item(1, State::Uploading))).await;
    assert!(update.starts_with("SET progress = 40, "), "{update}");
}

#[tokio::test]
async fn a_job_is_taken_off_the_unfinished_once_it_is_settled() {
    for complete in [true, false] {
        let endpoint = Endpoint::new(|_| updated(&item(1, State::Failed)));
        let ended = Timestamp::from_secs(1000);
        let job = Job {
            state: State::Failed,
            ended: Some(ended),
            cleaned: Some(CleanUpNote {
                at: ended + job::LATE_WRITERS,
                complete,
            }),
            ..example()
        };
        jobs_at(&endpoint).set_cleaned(&job).await.unwrap();
        let (update, condition) = the_update(&endpoint);
        assert_eq!(update.contains("unfinished"), complete, "{update}");
        assert_eq!(condition, r#"state IN ("succeeded", "failed")"#);
    }
}

#[tokio::test]
async fn one_of_all_callers_records_that_an_image_was_removed() {
    let at = Timestamp::from_secs(1000);
    let endpoint = Endpoint::new(|_| updated(&item(17, State::Succeeded)));
    let jobs = jobs_at(&endpoint);
    jobs.set_image_removed(id(17), at).await.unwrap();
    let (update, condition) = the_update(&endpoint);
    assert_eq!(update, "SET image_removed = 1000");
    assert_eq!(
        condition,
        r#"attribute_not_exists(image_removed) AND state IN ("succeeded")"#
    );

    let endpoint = Endpoint::new(|call| {
        let mut first = item(17, State::Succeeded);
        first["image_removed"] = json!({"N": "900"});
        condition_failed(call, Some(&first))
    });
    let jobs = jobs_at(&endpoint);
    match jobs.set_image_removed(id(17), at).await {
        Err(StoreError::Superseded(job)) => {
            assert_eq!(job.image_removed, Some(Timestamp::from_secs(900)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_used_adds_up_whatever_the_state() {
    let endpoint = Endpoint::new(|_| updated(&item(17, State::Failed)));
    let usage = Usage {
        own_calls: 3,
        function_ms: 20,
        ..Usage::default()
    };
    let jobs = jobs_at(&endpoint);
    jobs.add_usage(id(17), &usage).await.unwrap();
    let (update, condition) = the_update(&endpoint);
    let mut added: Vec<&str> = update.strip_prefix("ADD ").unwrap().split(", ").collect();
    added.sort_unstable();
    assert_eq!(added, ["function_ms 20", "own_calls 3"]);
    assert_eq!(condition, "attribute_exists(id)");
}

#[tokio::test]
async fn usage_makes_no_record() {
    let endpoint = Endpoint::new(|call| condition_failed(call, None));
    let jobs = jobs_at(&endpoint);
    let usage = Usage {
        own_calls: 1,
        ..Usage::default()
    };
    let refused = jobs.add_usage(id(17), &usage).await;
    assert!(matches!(refused, Err(StoreError::NoSuchJob(_))));
}

#[test]
fn a_record_keeps_what_was_used_beside_the_rest() {
    let mut job = example();
    job.usage.user_blocks = 608;
    let record = serde_json::to_value(&job).unwrap();
    assert_eq!(record["user_blocks"], 608);
    assert_eq!(record.get("own_blocks"), None);
    let item: crate::store::Item = serde_dynamo::to_item(&job).unwrap();
    assert_eq!(serde_dynamo::from_item::<_, Job>(item).unwrap(), job);
    // A record of an earlier release has none of it.
    let older: Job = serde_json::from_value(dynamodb::record()).unwrap();
    assert_eq!(older.usage, Usage::default());
}
