//! What a user or an administrator requests below `/v1`, and their tokens. The input is a method and a target in one line, and a
//! body in those below; or a token.

#![no_main]

use api::{
    json_protocol::operation::Operation,
    obs_protocol::request::Request,
};
use cloudupload::user::Token;
use fuzz::seeds;
use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    http::{HeaderValue, Method, header::CONTENT_TYPE},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SEEDS: [&str; 8] = [
    "POST /v1/users\n{\"name\": \"tom\"}",
    "POST /v1/users/tom/tokens\n{\"name\": \"l\u{fc}ptop\", \"expires_in_days\": 365}",
    "DELETE /v1/me/tokens/0001020304050607\n",
    "PUT /v1/me/role\n{\"arn\": \"arn:aws:iam::123456789012:role/obs\", \"region\": \"eu-central-1\"}",
    "POST /v1/jobs\n{\"project\": \"Cloud:Images\", \"repository\": \"images\", \"arch\": \"x86_64\", \"package\": \"leap\", \
     \"tags\": {\"a\": \"b\"}}",
    "GET /v1/jobs/17/log?start=5&end=99999999999999999999&follow=1\n",
    "GET /v1/projects/Cloud:Images/packages?repository=images&arch=aarch64\n",
    "cloudup_tom_m_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
];

fuzz_target!(init: seeds::write(SEEDS), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check_token(text);
    let Some((line, body)) = text.split_once('\n') else {
        return;
    };
    let Some((method, target)) = line.split_once(' ') else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut event = ApiGatewayV2httpRequest::default();
    event.request_context.http.method = method;
    let json = HeaderValue::from_static("application/json");
    event.headers.insert(CONTENT_TYPE, json);
    event.raw_path = Some(path.to_owned());
    event.raw_query_string = Some(query.to_owned());
    event.body = Some(body.to_owned());
    match Operation::of(&Request::from(event)) {
        Ok(operation) => check_operation(&operation, path, body),
        Err(problem) => {
            assert!(matches!(problem.status, 400 | 404 | 405), "{problem:?}");
            assert!(!problem.summary.is_empty());
        }
    }
});

/// A token is what it was read from, and shows itself in no log.
fn check_token(text: &str) {
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.reveal(), text);
        let secret = &text[text.len() - 64..];
        assert!(!format!("{token:?}").contains(secret));
    }
}

/// What is in the path and in the body is what is asked for, to the letter.
fn check_operation(operation: &Operation, path: &str, body: &str) {
    let segment = |at: usize| path.split('/').nth(at).unwrap();
    let value = |key: &str| serde_json::from_str::<Value>(body).unwrap()[key].clone();
    match operation {
        Operation::User(name) | Operation::RemoveUser(name) => {
            assert_eq!(segment(3), name.as_str());
        }
        Operation::CreateUser(name) => assert_eq!(value("name"), name.as_str()),
        Operation::Job(id)
        | Operation::KillJob(id)
        | Operation::RetryJob(id)
        | Operation::RemoveImage(id)
        | Operation::Push(id)
        | Operation::PushDone(id, _)
        | Operation::AbortPush(id, _)
        | Operation::PartUrls { job: id, .. }
        | Operation::Log { job: id, .. } => {
            assert_eq!(segment(3), id.to_string());
        }
        Operation::ConnectRole { arn, region } => {
            assert_eq!(value("arn"), arn.as_str());
            assert_eq!(value("region"), region.as_str());
        }
        Operation::CreateJob(upload) => {
            assert_eq!(value("project"), upload.project.as_str());
            for key in ["project", "repository", "arch", "package", "filename"] {
                assert!(!upload.wishes.contains_key(key));
            }
        }
        Operation::Jobs { limit, .. } => assert!((1..=100).contains(limit)),
        Operation::Repositories(project) | Operation::Images { project, .. } => {
            assert_eq!(segment(3), project.as_str());
        }
        _ => {}
    }
}
