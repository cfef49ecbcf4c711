//! The paths of users with tokens.

use std::sync::Arc;

use cloudupload::{
    clock::Timestamp,
    target::{Partition, Region},
    trial::{RoleReport, TrialOutcome},
    user::{ConnectedRole, NewToken, Token, UserRecord},
};
use fake_endpoint::dynamodb;
use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpResponse};
use serde_json::{Value, json};

use super::{World, item, ok, refused};
use crate::{
    api::{AllowedProjects, Api},
    sample_event::event,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/obs";

/// A user with a token.
struct Someone {
    record: UserRecord,
    token: Token,
}

/// A user whose token was just used, so that no use is noted.
fn someone() -> Someone {
    let now = Timestamp::now();
    let mut record = UserRecord::new("tom".parse().unwrap(), now);
    let mut new = NewToken::of(&record.name, "laptop".parse().unwrap(), now, None);
    new.record.used = Some(now);
    record.tokens.insert(new.id, new.record);
    Someone {
        record,
        token: new.token,
    }
}

fn connected() -> Someone {
    let mut someone = someone();
    someone.record.role = Some(ConnectedRole {
        arn: ROLE.parse().unwrap(),
        region: Region::of_partition("eu-central-1", Partition::Aws).unwrap(),
        connected: Timestamp::from_secs(1),
        report: RoleReport::default(),
    });
    someone
}

/// A world with this user, in which the rest is as given.
fn world(
    someone: &Someone,
    rest: impl Fn(&str, &Value) -> (u16, String) + Send + 'static,
) -> World {
    let record = serde_json::to_value(&someone.record).unwrap();
    World::new(move |call, body| match (call, body["TableName"].as_str()) {
        ("GetItem", Some("users")) if body["Key"]["name"]["S"] == "tom" => {
            assert_eq!(body["ConsistentRead"], true);
            ok(json!({"Item": dynamodb::item(&record)}))
        }
        ("GetItem", Some("users")) => ok(json!({})),
        _ => rest(call, body),
    })
}

fn nothing_else(call: &str, body: &Value) -> (u16, String) {
    panic!("{call} is not needed: {body}")
}

async fn response(
    world: &World,
    token: &str,
    method: &str,
    target: &str,
    body: &str,
) -> ApiGatewayV2httpResponse {
    let mut event = event(method, target, "application/json", body.as_bytes());
    let bearer = format!("Bearer {token}").parse().unwrap();
    event.headers.insert("authorization", bearer);
    world.answer_as_is(event).await
}

/// Status and JSON of the answer.
async fn ask(
    world: &World,
    someone: &Someone,
    method: &str,
    target: &str,
    body: &Value,
) -> (i64, Value) {
    let token = someone.token.reveal();
    let answer = response(world, &token, method, target, &body.to_string()).await;
    let json = match answer.body {
        Some(Body::Text(text)) => serde_json::from_str(&text).unwrap(),
        body => panic!("{body:?} is not text"),
    };
    (answer.status_code, json)
}

fn problem(status: u16, title: &str, detail: &str) -> (i64, Value) {
    (
        status.into(),
        json!({"status": status, "title": title, "detail": detail}),
    )
}

#[tokio::test]
async fn a_token_costs_one_read_and_its_use_one_write_in_minutes() {
    let mut someone = someone();
    let world_of = |someone: &Someone| {
        world(someone, |call, body| match call {
            "UpdateItem" => {
                let condition = dynamodb::expression(body, "ConditionExpression");
                assert!(
                    condition.contains("attribute_exists(tokens."),
                    "{condition}"
                );
                ok("{}")
            }
            _ => nothing_else(call, body),
        })
    };
    let fresh = world_of(&someone);
    let (status, me) = ask(&fresh, &someone, "GET", "/v1/me", &json!(null)).await;
    assert_eq!((status, &me["name"]), (200, &json!("tom")));
    assert_eq!(fresh.names_of_calls(), ["GetItem"]);
    for token in someone.record.tokens.values_mut() {
        token.used = Some(Timestamp::from_secs(1));
    }
    let stale = world_of(&someone);
    assert_eq!(
        ask(&stale, &someone, "GET", "/v1/me", &json!(null)).await.0,
        200
    );
    assert_eq!(stale.names_of_calls(), ["GetItem", "UpdateItem"]);
    // A note that cannot be written keeps nobody out.
    let broken = world(&someone, |_, _| refused("AccessDeniedException", "no"));
    assert_eq!(
        ask(&broken, &someone, "GET", "/v1/me", &json!(null))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn wrong_revoked_and_expired_tokens_get_the_same_answer() {
    let detail = "the token is wrong, or it was revoked, or it has expired: make a new one, or ask the operators for one";
    let mut someone = someone();
    let token = someone.token.reveal();
    let other = NewToken::of(
        &someone.record.name,
        "x".parse().unwrap(),
        Timestamp::now(),
        None,
    );
    let nobody = token.replace("_tom_", "_tim_");
    let wrong = world(&someone, nothing_else);
    for token in ["x", &token[..30], &nobody, &other.token.reveal()] {
        let answer = response(&wrong, token, "GET", "/v1/me", "").await;
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"cloudupload\""
        );
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let Some(Body::Text(text)) = answer.body else {
            panic!("the answer is text");
        };
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (answer.status_code, body),
            problem(401, "Unauthorized", detail)
        );
    }
    for record in someone.record.tokens.values_mut() {
        record.expires = Some(Timestamp::from_secs(1));
    }
    let expired = world(&someone, nothing_else);
    let answer = ask(&expired, &someone, "GET", "/v1/me", &json!(null)).await;
    assert_eq!(answer, problem(401, "Unauthorized", detail));
    someone.record.tokens.clear();
    let revoked = world(&someone, nothing_else);
    let answer = ask(&revoked, &someone, "GET", "/v1/me", &json!(null)).await;
    assert_eq!(answer, problem(401, "Unauthorized", detail));
}

const UPLOAD: &str = r#"{"project": "Cloud:Images", "repository": "images", "arch": "x86_64", "package": "leap-ec2",
    "filename": "leap-ec2.x86_64-15.6.raw.xz"}"#;

fn upload() -> Value {
    serde_json::from_str(UPLOAD).unwrap()
}

#[tokio::test]
async fn a_user_s_job_has_the_connected_role_and_an_owner_of_its_own() {
    let someone = connected();
    let world = world(&someone, |call, body| match call {
        "OBS" => ok(
            r#"<binarylist><binary filename="leap-ec2.x86_64-15.6.raw.xz" size="7" mtime="1"/></binarylist>"#,
        ),
        "UpdateItem" => ok(json!({"Attributes": {"taken": {"N": "1"}}})),
        "TransactWriteItems" | "DeleteItem" => ok("{}"),
        "PutEvents" => ok(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})),
        "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
        _ => nothing_else(call, body),
    });
    let (status, job) = ask(&world, &someone, "POST", "/v1/jobs", &upload()).await;
    assert_eq!(
        (status, &job["id"], &job["region"]),
        (201, &json!(1), &json!("eu-central-1"))
    );
    assert_eq!(job["ami"], Value::Null);
    let (_, transaction) = world
        .calls()
        .into_iter()
        .find(|(name, _)| name == "TransactWriteItems")
        .unwrap();
    let record = dynamodb::plain_item(&transaction["TransactItems"][0]["Put"]["Item"]);
    assert_eq!(record["owner"], format!("account:{}", someone.record.id));
    assert_eq!(record.get("caller"), None);
    assert_eq!(record["order"]["user"], "tom");
    assert_eq!(record["order"]["ec2"]["role"], ROLE);
    assert_eq!(
        record["order"]["ec2"]["external_id"],
        someone.record.external_id.secret()
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_is_refused_before_obs_is_asked() {
    let no_role = "no role is connected yet: create one with the link of GET /v1/me/role, then send its ARN with PUT /v1/me/role";
    let mut hidden = upload();
    hidden["project"] = json!("Secret:Images");
    let not_allowed = "the project 'Secret:Images' is none that users may upload from: the operators of this service say which may \
                       (AllowedProjects)";
    let mut theft = upload();
    theft["arn"] = json!(ROLE);
    let not_yours = "the key 'arn' is not taken here: the role is the one that you have connected, and the user is you";
    for (someone, body, refusal) in [
        (someone(), upload(), problem(409, "Conflict", no_role)),
        (connected(), hidden, problem(404, "Not Found", not_allowed)),
        (connected(), theft, problem(400, "Bad Request", not_yours)),
    ] {
        let world = world(&someone, nothing_else);
        assert_eq!(
            ask(&world, &someone, "POST", "/v1/jobs", &body).await,
            refusal
        );
        assert_eq!(world.names_of_calls(), ["GetItem"]);
    }
}

#[tokio::test]
async fn a_user_names_no_role_on_obs_s_paths_either() {
    let someone = connected();
    let world = world(&someone, nothing_else);
    let target = "/cloudupload?project=a&repository=b&package=c&arch=x86_64&filename=d.raw.xz&target=ec2&user=tom";
    let body = json!({"arn": ROLE, "external_id": "id-1", "region": "us-east-1"}).to_string();
    let answer = response(&world, &someone.token.reveal(), "POST", target, &body).await;
    assert_eq!(answer.status_code, 403);
    let Some(Body::Text(xml)) = answer.body else {
        panic!("the answer is text");
    };
    let summary =
        "users with a token upload with POST /v1/jobs, by the role that they have connected";
    assert_eq!(xml, super::error_with_details_xml(403, summary));
}

#[tokio::test]
async fn a_role_is_kept_after_another_function_has_tried_it() {
    let someone = someone();
    let external_id = someone.record.external_id.secret().to_owned();
    let body = json!({"arn": ROLE, "region": "eu-central-1"});
    let trying = |outcome: (u16, String)| {
        let external_id = external_id.clone();
        world(&someone, move |call, body| match call {
            "Invoke" => {
                let trial =
                    json!({"role": ROLE, "external_id": external_id, "region": "eu-central-1"});
                assert_eq!(*body, trial);
                outcome.clone()
            }
            "UpdateItem" => ok("{}"),
            _ => nothing_else(call, body),
        })
    };
    let connected = TrialOutcome::Connected(RoleReport::default());
    let world = trying(ok(serde_json::to_string(&connected).unwrap()));
    let (status, setup) = ask(&world, &someone, "PUT", "/v1/me/role", &body).await;
    assert_eq!(
        (status, &setup["arn"], &setup["usable"]),
        (200, &json!(ROLE), &json!(false))
    );
    let link = format!("https://console.aws.amazon.com/?param_ExternalId={external_id}");
    assert_eq!(setup["quick_create_url"], link);
    assert_eq!(setup["service_account"], "999999999999");
    assert_eq!(world.names_of_calls(), ["GetItem", "Invoke", "UpdateItem"]);

    let refused = TrialOutcome::Refused("it cannot be assumed".to_owned());
    let world = trying(ok(serde_json::to_string(&refused).unwrap()));
    let answer = ask(&world, &someone, "PUT", "/v1/me/role", &body).await;
    assert_eq!(answer, problem(400, "Bad Request", "it cannot be assumed"));
    assert_eq!(world.names_of_calls(), ["GetItem", "Invoke"]);

    let world = trying(super::refused("ServiceException", "no"));
    let (status, problem) = ask(&world, &someone, "PUT", "/v1/me/role", &body).await;
    assert_eq!(status, 503, "{problem}");

    let own = json!({"arn": "arn:aws:iam::999999999999:role/admin", "region": "eu-central-1"});
    let world = trying(ok("never"));
    assert_eq!(
        ask(&world, &someone, "PUT", "/v1/me/role", &own).await.0,
        400
    );
    assert_eq!(world.names_of_calls(), ["GetItem"]);
}

#[tokio::test]
async fn the_jobs_of_others_do_not_exist() {
    let someone = someone();
    let own = format!("account:{}", someone.record.id);
    let world = world(&someone, move |call, body| match call {
        "GetItem" => {
            let id = body["Key"]["id"]["S"].as_str().unwrap();
            // Job 1 is the user's. Job 2 is that of the user of OBS who has the same name.
            let mut job = item(id, "uploading", "uploading image");
            if id == "1" {
                job["owner"] = json!({"S": own});
            }
            ok(json!({ "Item": job }))
        }
        _ => nothing_else(call, body),
    });
    let (status, job) = ask(&world, &someone, "GET", "/v1/jobs/1", &json!(null)).await;
    assert_eq!((status, &job["package"]), (200, &json!("leap-ec2")));
    let no_such_job = problem(404, "Not Found", "no such job");
    for (method, target) in [
        ("GET", "/v1/jobs/2"),
        ("GET", "/v1/jobs/2/log"),
        ("POST", "/v1/jobs/2/kill"),
        ("POST", "/v1/jobs/2/retry"),
        ("DELETE", "/v1/jobs/2/image"),
        ("GET", "/v1/jobs/x"),
    ] {
        let answer = ask(&world, &someone, method, target, &json!(null)).await;
        assert_eq!(answer, no_such_job, "{target}");
    }
}

/// A world in which job 1 is the user's and has this record besides.
fn world_with_job(
    someone: &Someone,
    state: &str,
    more: Value,
    rest: impl Fn(&str, &Value) -> (u16, String) + Send + 'static,
) -> World {
    let mut job = item("1", state, "ami-1");
    job["owner"] = json!({"S": format!("account:{}", someone.record.id)});
    let more = dynamodb::item(&more);
    job.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    world(someone, move |call, body| match call {
        "GetItem" => ok(json!({ "Item": job })),
        _ => rest(call, body),
    })
}

#[tokio::test]
async fn an_image_is_removed_by_another_function() {
    let someone = someone();
    let removing = |outcome: (u16, String)| {
        world_with_job(&someone, "succeeded", json!({}), move |call, body| {
            assert_eq!(call, "Invoke");
            assert_eq!(*body, json!({"job": "1", "asked_by": "tom"}));
            outcome.clone()
        })
    };
    let remove = async |world: &World| {
        ask(world, &someone, "DELETE", "/v1/jobs/1/image", &json!(null)).await
    };
    let (status, job) = remove(&removing(ok(r#"{"removed": 1795445900}"#))).await;
    assert_eq!(
        (status, &job["ami"], &job["image_deleted"]),
        (200, &json!("ami-1"), &json!(1795445900))
    );
    let kept = "snap-1 is also the snapshot of ami-2: deregister that first";
    let answer = remove(&removing(ok(json!({ "refused": kept })))).await;
    assert_eq!(answer, problem(409, "Conflict", kept));
    let (status, answer) = remove(&removing(refused("ServiceException", "no"))).await;
    assert_eq!(status, 503);
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the image is not removed yet, which is no fault of yours: "),
        "{detail}"
    );
}

#[tokio::test]
async fn an_image_that_is_not_there_is_not_removed_twice() {
    let someone = someone();
    let since = json!({"image_removed": 1795445900});
    let world = world_with_job(&someone, "succeeded", since, nothing_else);
    for (method, target) in [("DELETE", "/v1/jobs/1/image"), ("GET", "/v1/jobs/1")] {
        let (status, job) = ask(&world, &someone, method, target, &json!(null)).await;
        assert_eq!((status, &job["image_deleted"]), (200, &json!(1795445900)));
    }
    for state in ["uploading", "failed"] {
        let world = world_with_job(&someone, state, json!({}), nothing_else);
        let answer = ask(&world, &someone, "DELETE", "/v1/jobs/1/image", &json!(null)).await;
        let detail = format!("job 1 is {state}: only a job that has succeeded has an image");
        assert_eq!(answer, problem(409, "Conflict", &detail));
    }
}

#[tokio::test]
async fn a_job_is_tried_again_with_its_wishes_and_the_role_of_now() {
    const NEW_ROLE: &str = "arn:aws:iam::123456789012:role/new";
    let mut someone = connected();
    someone.record.role.as_mut().unwrap().arn = NEW_ROLE.parse().unwrap();
    let mut order = dynamodb::record()["order"].take();
    order["ec2"]["volume_size"] = json!(8);
    order["ec2"]["tags"] = json!({"Team": "images"});
    let former = json!({ "order": order });
    let list = r#"<binarylist><binary filename="leap-ec2.x86_64-15.6.raw.xz" size="7" mtime="1"/></binarylist>"#;
    for (listed, status) in [(list, 201), ("<binarylist/>", 404)] {
        let world = world_with_job(
            &someone,
            "failed",
            former.clone(),
            move |call, body| match call {
                "OBS" => ok(listed),
                "UpdateItem" => ok(json!({"Attributes": {"taken": {"N": "2"}}})),
                "TransactWriteItems" => ok("{}"),
                "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
                _ => nothing_else(call, body),
            },
        );
        let target = "/v1/jobs/1/retry";
        let (answered, job) = ask(&world, &someone, "POST", target, &json!(null)).await;
        assert_eq!(answered, status, "{job}");
        let calls = world.calls().into_iter();
        let created = calls.filter(|(name, _)| name == "TransactWriteItems");
        let created: Vec<_> = created
            .map(|(_, body)| dynamodb::plain_item(&body["TransactItems"][0]["Put"]["Item"]))
            .collect();
        if status == 404 {
            assert_eq!(created, [Value::Null; 0]);
            continue;
        }
        assert_eq!(job["id"], 2);
        let mut expected = order.clone();
        expected["size"] = json!(7); // as OBS tells it now
        expected["ec2"]["role"] = json!(NEW_ROLE);
        expected["ec2"]["external_id"] = json!(someone.record.external_id.secret());
        assert_eq!(created[0]["order"], expected);
    }
}

#[tokio::test]
async fn what_cannot_be_tried_again_is_told() {
    let project = |name: &str| {
        let mut order = dynamodb::record()["order"].take();
        order["project"] = json!(name);
        json!({ "order": order })
    };
    // OBS's source server made a job of a request that was refused.
    let mut refused = dynamodb::record()["order"].take();
    refused.as_object_mut().unwrap().remove("ec2");
    for (someone, more, status, reason) in [
        (
            someone(),
            project("Cloud:Images"),
            409,
            "no role is connected yet",
        ),
        (
            connected(),
            project("Secret:Images"),
            404,
            "AllowedProjects",
        ),
        (
            connected(),
            json!({ "order": refused }),
            409,
            "job 1 was refused as it was created, and nothing of it can be tried again: upload anew",
        ),
    ] {
        let world = world_with_job(&someone, "failed", more, nothing_else);
        let target = "/v1/jobs/1/retry";
        let (answered, problem) = ask(&world, &someone, "POST", target, &json!(null)).await;
        assert_eq!(answered, status, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{detail}");
    }
}

#[tokio::test]
async fn images_and_retries_are_for_users() {
    let world = World::new(nothing_else);
    for (method, target) in [("DELETE", "/v1/jobs/1/image"), ("POST", "/v1/jobs/1/retry")] {
        let (status, answer) = world.ask(method, target, "").await;
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains("users with a token"), "{answer}");
    }
}

#[tokio::test]
async fn users_are_made_by_administrators_only() {
    let someone = someone();
    let forbidden = "this caller may not manage users: use one with the rights administer_users";
    let world = world(&someone, nothing_else);
    for (method, target, body) in [
        ("GET", "/v1/users", json!(null)),
        ("POST", "/v1/users", json!({"name": "tim"})),
        ("DELETE", "/v1/users/tim", json!(null)),
        ("GET", "/v1/users/tim/tokens", json!(null)),
        ("POST", "/v1/users/tim/tokens", json!({"name": "x"})),
    ] {
        let answer = ask(&world, &someone, method, target, &body).await;
        assert_eq!(answer, problem(403, "Forbidden", forbidden), "{target}");
    }
}

#[tokio::test]
async fn what_users_may_not_upload_from_is_not_asked_for() {
    let someone = someone();
    let mut closed = world(&someone, nothing_else);
    Arc::<Api>::get_mut(&mut closed.api).unwrap().allowed =
        AllowedProjects::new("", false).unwrap();
    let (status, list) = ask(&closed, &someone, "GET", "/v1/projects", &json!(null)).await;
    assert_eq!(
        (status, list),
        (200, json!({"projects": [], "complete": true}))
    );
    let (status, _) = ask(
        &closed,
        &someone,
        "GET",
        "/v1/projects/Cloud:Images/repositories",
        &json!(null),
    )
    .await;
    assert_eq!(status, 404);
    assert_eq!(closed.names_of_calls(), ["GetItem", "GetItem"]);

    let open = world(&someone, |call, _| match call {
        "OBS" => ok(
            r#"<directory><entry name="Cloud:Images"/><entry name="Secret:Images"/></directory>"#,
        ),
        call => panic!("{call}"),
    });
    let (_, list) = ask(&open, &someone, "GET", "/v1/projects", &json!(null)).await;
    assert_eq!(
        list,
        json!({"projects": ["Cloud:Images"], "complete": true})
    );
}
