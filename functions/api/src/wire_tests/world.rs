use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use cloudupload::{
    aws,
    clock::Timestamp,
    invocation::{ConnectFunction, DeregisterFunction},
    job::JobId,
    journal::Journal,
    machine::{TaskTokens, UploadMachine},
    obs::Obs,
    staging::Staging,
    store::{Callers, Jobs, Outbox, Users},
    target::{Partition, ServiceIdentity},
};
use fake_endpoint::{Answer, Call, Endpoint};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    http::header::AUTHORIZATION,
};
use serde_json::{Value, json};

use super::{ok, refused};
use crate::{
    api::{AllowedProjects, Api, INVOCATION_TIMEOUT},
    caller::Namesakes,
    gate::{FrontendSecret, Gate, Networks, WithoutSecret},
    http,
    sample_event::event,
};

/// The API in front of an outside that is one function: from a call's name and body to a status and a body. A call is
/// an AWS action, or `OBS` for any request to OBS.
pub struct World {
    pub api: Arc<Api>,
    /// Name and secret that every request has.
    pub credentials: Option<(&'static str, &'static str)>,
    endpoint: Endpoint,
}

impl World {
    pub fn new(outside: impl Fn(&str, &Value) -> (u16, String) + Send + 'static) -> Self {
        let endpoint = Endpoint::new(move |call| {
            let call_body = body(call);
            let (status, answer) = match call.name.as_str() {
                "GetSecretValue" => secret(&call_body),
                "PutEvents" => ok(json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})),
                "DeleteItem" => ok("{}"),
                name => outside(name, &call_body),
            };
            Answer::new(status, answer)
        });
        let config = endpoint.config();
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let secrets_manager = aws_sdk_secretsmanager::Client::new(&config);
        let states = aws_sdk_sfn::Client::new(&config);
        let api = Api {
            gate: Gate {
                networks: Networks::default(),
                frontend: FrontendSecret::new(secrets_manager, "secret".to_owned()),
                callers: Callers::new(dynamodb.clone(), "callers".to_owned()),
                users: Users::new(dynamodb.clone(), "users".to_owned()),
                namesakes: Namesakes::Strangers,
                without_secret: WithoutSecret::Refused,
            },
            jobs: Jobs::new(
                dynamodb,
                "jobs".to_owned(),
                Outbox::new(&config, "outbox".to_owned(), "0a1b".to_owned()),
            ),
            journal: Journal::new(
                aws_sdk_cloudwatchlogs::Client::new(&config),
                "logs".to_owned(),
            ),
            obs: Obs::new(endpoint.url()).unwrap(),
            staging: Staging::new(
                aws::s3(&config),
                "staging".to_owned(),
                "999999999999".parse().unwrap(),
            ),
            machine: UploadMachine::new(
                states.clone(),
                "arn:aws:states:us-east-1:999999999999:stateMachine:upload".to_owned(),
            ),
            tokens: TaskTokens::new(states),
            service: ServiceIdentity {
                account: "999999999999".parse().unwrap(),
                partition: Partition::Aws,
            },
            connect: ConnectFunction::new(&config, "connect".to_owned(), INVOCATION_TIMEOUT),
            deregister: DeregisterFunction::new(
                &config,
                "deregister".to_owned(),
                INVOCATION_TIMEOUT,
            ),
            quick_create_url: Some("https://console.aws.amazon.com/?param_ExternalId=".to_owned()),
            allowed: AllowedProjects::new("Cloud:*", false).unwrap(),
            first_job: JobId::new(1).unwrap(),
            started: Timestamp::from_secs(1795445844),
        };
        Self {
            api: Arc::new(api),
            credentials: Some(("obs", SECRET)),
            endpoint,
        }
    }

    pub async fn send(&self, method: &str, target: &str, body: &str) -> ApiGatewayV2httpResponse {
        self.answer(event(method, target, "", body.as_bytes()))
            .await
    }

    pub async fn answer(&self, mut event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        if let Some((name, secret)) = self.credentials {
            let credentials = BASE64_STANDARD.encode(format!("{name}:{secret}"));
            let header = format!("Basic {credentials}").parse();
            event.headers.insert(AUTHORIZATION, header.unwrap());
        }
        self.answer_as_is(event).await
    }

    /// The answer to a request that has credentials of its own, or none.
    pub async fn answer_as_is(&self, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        http::answer(Arc::clone(&self.api), event).await
    }

    /// Status and body of the answer.
    pub async fn ask(&self, method: &str, target: &str, body: &str) -> (i64, String) {
        let response = self.send(method, target, body).await;
        match response.body {
            Some(Body::Text(text)) => (response.status_code, text),
            body => panic!("{body:?} is not text"),
        }
    }

    /// The same with a body that is JSON.
    pub async fn ask_json(&self, method: &str, target: &str, body: &str) -> (i64, String) {
        let event = event(method, target, "application/json", body.as_bytes());
        let response = self.answer(event).await;
        match response.body {
            Some(Body::Text(text)) => (response.status_code, text),
            body => panic!("{body:?} is not text"),
        }
    }

    /// All calls but those of the gate for the frontend's secret. Events are taken, and deleted from the outbox.
    pub fn calls(&self) -> Vec<(String, Value)> {
        let calls = self.endpoint.calls().into_iter();
        calls
            .filter(|call| call.name != "GetSecretValue")
            .map(|call| (call.name.clone(), body(&call)))
            .collect()
    }

    pub fn names_of_calls(&self) -> Vec<String> {
        self.calls().into_iter().map(|(name, _)| name).collect()
    }
}

/// The secret of OBS's frontend.
pub const SECRET: &str = "open:sesame";

/// What Secrets Manager answers. The secret was never rotated.
fn secret(call: &Value) -> (u16, String) {
    match call["VersionStage"].as_str() {
        Some("AWSCURRENT") => (200, json!({"SecretString": SECRET}).to_string()),
        _ => refused("ResourceNotFoundException", "there is no such version"),
    }
}

fn body(call: &Call) -> Value {
    serde_json::from_slice(&call.body).unwrap_or_default()
}
