use std::sync::Arc;

use cloudupload::{
    clock::Timestamp,
    job::JobId,
    journal::Journal,
    machine::{TaskTokens, UploadMachine},
    obs::Obs,
    store::Jobs,
    target::{Partition, ServiceIdentity},
};
use fake_endpoint::{Answer, Call, Endpoint};
use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpResponse};
use serde_json::Value;

use crate::{api::Api, obs_protocol, sample_event::event};

/// The API in front of an outside that is one function: from a call's name and body to a status and a body. A call is
/// an AWS action, or `OBS` for any request to OBS.
pub struct World {
    pub api: Arc<Api>,
    endpoint: Endpoint,
}

impl World {
    pub fn new(outside: impl Fn(&str, &Value) -> (u16, String) + Send + 'static) -> Self {
        let endpoint = Endpoint::new(move |call| {
            let (status, answer) = outside(&call.name, &body(call));
            Answer::new(status, answer)
        });
        let config = endpoint.config();
        let states = aws_sdk_sfn::Client::new(&config);
        let api = Api {
            jobs: Jobs::new(aws_sdk_dynamodb::Client::new(&config), "jobs".to_owned()),
            journal: Journal::new(
                aws_sdk_cloudwatchlogs::Client::new(&config),
                "logs".to_owned(),
            ),
            obs: Obs::new(endpoint.url()).unwrap(),
            machine: UploadMachine::new(
                states.clone(),
                "arn:aws:states:us-east-1:999999999999:stateMachine:upload".to_owned(),
            ),
            tokens: TaskTokens::new(states),
            service: ServiceIdentity {
                account: "999999999999".parse().unwrap(),
                partition: Partition::Aws,
            },
            first_job: JobId::new(1).unwrap(),
            started: Timestamp::from_secs(1795445844),
        };
        Self {
            api: Arc::new(api),
            endpoint,
        }
    }

    pub async fn send(&self, method: &str, target: &str, body: &str) -> ApiGatewayV2httpResponse {
        let event = event(method, target, "", body.as_bytes());
        obs_protocol::answer(Arc::clone(&self.api), event).await
    }

    /// Status and body of the answer.
    pub async fn ask(&self, method: &str, target: &str, body: &str) -> (i64, String) {
        let response = self.send(method, target, body).await;
        match response.body {
            Some(Body::Text(text)) => (response.status_code, text),
            body => panic!("{body:?} is not text"),
        }
    }

    pub fn calls(&self) -> Vec<(String, Value)> {
        let calls = self.endpoint.calls().into_iter();
        calls.map(|call| (call.name.clone(), body(&call))).collect()
    }

    pub fn names_of_calls(&self) -> Vec<String> {
        self.endpoint.names()
    }
}

fn body(call: &Call) -> Value {
    serde_json::from_slice(&call.body).unwrap_or_default()
}
