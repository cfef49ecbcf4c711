use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    error_with_details_xml, item, job_xml, list_xml, ok,
    world::{SECRET, World},
};
use crate::{
    api::Api,
    gate::{Gate, WithoutSecret},
};

const NO_SECRET: &str = "the cloud uploader takes calls with a name and a secret only: send them as HTTP Basic authentication, or a token as Bearer";
const WRONG_SECRET: &str = "the name or the secret of the caller is wrong";

/// The hash of `ci's secret`.
const HASH: &str = "1298c203625545521f0438f0bacba46d9424b2c5910a8defbe4280bc52e6395c";

/// Job 1 of tom and job 2 of tim, and a caller `ci` who has the rights of tom.
fn world() -> World {
    World::new(|call, body| match (call, body["TableName"].as_str()) {
        ("GetItem", Some("callers")) => match body["Key"]["name"]["S"].as_str() {
            Some("ci") => ok(json!({"Item": {
                "name": {"S": "ci"},
                "rights": {"M": {"one_user": {"S": "tom"}}},
                "secrets": {"L": [{"S": HASH}]},
            }})),
            _ => ok(json!({})),
        },
        ("GetItem", _) => ok(json!({"Item": job(body["Key"]["id"]["S"].as_str().unwrap())})),
        ("BatchGetItem", _) => ok(json!({"Responses": {"jobs": [job("1"), job("2")]}})),
        ("Scan", _) => ok(json!({"Items": [job("1"), job("2")]})),
        call => panic!("{call:?}"),
    })
}

fn job(id: &str) -> Value {
    let mut item = item(id, "uploading", "uploading image");
    if id == "2" {
        item["order"]["M"]["user"] = json!({"S": "tim"});
    }
    item
}

/// The world with another gate.
fn with_gate(change: impl FnOnce(&mut Gate)) -> World {
    let mut world = world();
    let api: &mut Api = Arc::get_mut(&mut world.api).unwrap();
    change(&mut api.gate);
    world
}

#[tokio::test]
async fn who_does_not_say_who_calls_gets_nothing_and_costs_nothing() {
    let mut world = world();
    world.credentials = None;
    for (method, target) in [
        ("GET", "/cloudupload"),
        ("GET", "/cloudupload/1"),
        ("POST", "/cloudupload/1?cmd=kill"),
        ("POST", "/cloudupload?project=nonsense"),
        ("GET", "/nowhere"),
    ] {
        let answer = world.send(method, target, "").await;
        assert_eq!(answer.status_code, 401);
        assert_eq!(
            answer.headers["www-authenticate"],
            "Basic realm=\"cloudupload\""
        );
        let answer = world.ask(method, target, "").await;
        assert_eq!(answer, (401, error_with_details_xml(401, NO_SECRET)));
    }
    assert_eq!(world.names_of_calls(), [""; 0]);
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_name_get_the_same_answer() {
    let mut world = world();
    for credentials in [
        ("obs", "guess"),
        ("ci", "guess"),
        ("nobody", SECRET),
        ("obs", ""),
    ] {
        world.credentials = Some(credentials);
        let answer = world.ask("GET", "/cloudupload/1", "").await;
        assert_eq!(answer, (401, error_with_details_xml(401, WRONG_SECRET)));
    }
    let tables = world
        .calls()
        .into_iter()
        .map(|(_, body)| body["TableName"].clone());
    assert_eq!(tables.collect::<Vec<_>>(), ["callers", "callers"]);
}

#[tokio::test]
async fn a_caller_without_a_secret_may_do_all_where_that_is_allowed() {
    let mut world = with_gate(|gate| gate.without_secret = WithoutSecret::Allowed);
    world.credentials = None;
    let (status, _) = world.ask("GET", "/cloudupload/2", "").await;
    assert_eq!(status, 200);
    world.credentials = Some(("obs", "guess"));
    let (status, _) = world.ask("GET", "/cloudupload/2", "").await;
    assert_eq!(status, 401, "a wrong secret is not none");
}

#[tokio::test]
async fn calls_come_from_the_networks_that_are_allowed() {
    let world = with_gate(|gate| gate.networks = "198.51.100.0/24".parse().unwrap());
    let refusal = error_with_details_xml(403, "calls from 192.0.2.1 are not allowed");
    let answer = world.ask("GET", "/cloudupload/1", "").await;
    assert_eq!(answer, (403, refusal));
    assert_eq!(world.names_of_calls(), [""; 0]);
    let world = with_gate(|gate| gate.networks = "192.0.2.0/24".parse().unwrap());
    assert_eq!(world.ask("GET", "/cloudupload/1", "").await.0, 200);
}

#[tokio::test]
async fn a_caller_for_one_user_has_that_users_jobs_only() {
    let mut world = world();
    world.credentials = Some(("ci", "ci's secret"));
    let own = job_xml("1", "uploading", "uploading image");
    let no_such_job = || (404, error_with_details_xml(404, "no such job"));
    let get = async |target| world.ask("GET", target, "").await;
    assert_eq!(get("/cloudupload/1").await, (200, own.clone()));
    assert_eq!(get("/cloudupload/2").await, no_such_job());
    assert_eq!(get("/cloudupload/2/_log?nostream=1").await, no_such_job());
    let list = list_xml(&[own]);
    assert_eq!(get("/cloudupload?name=1&name=2").await, (200, list.clone()));
    assert_eq!(get("/cloudupload").await, (200, list));
    let kill = world.ask("POST", "/cloudupload/2?cmd=kill", "").await;
    assert_eq!(kill, no_such_job());
    let create = "/cloudupload?project=a&repository=b&package=c&arch=x86_64&filename=d.raw.xz&target=ec2&user=tim";
    let body =
        r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"id-1","region":"us-east-1"}"#;
    let answer = world.ask("POST", create, body).await;
    let refusal = "this caller may not upload for user 'tim'";
    assert_eq!(answer, (403, error_with_details_xml(403, refusal)));
}
