use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use cloudupload::{
    job::JobId,
    journal::Journal,
    machine::{TaskTokens, UploadMachine},
    obs::Obs,
    store::Jobs,
    target::{Partition, ServiceIdentity},
};
use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpResponse};
use serde_json::Value;

use crate::{api::Api, obs_protocol, sample_event::event};

/// The API in front of an outside that is one function: from a call's name and body to a status and a body. A call is
/// an AWS action, or `OBS` for anything that OBS is asked.
pub struct World {
    pub api: Arc<Api>,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl World {
    pub fn new(outside: impl Fn(&str, &Value) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let calls = Arc::clone(&calls);
            move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let (call, body) = read_call(&stream);
                    let (status, answer) = outside(&call, &body);
                    calls.lock().unwrap().push((call, body));
                    let length = answer.len();
                    write!(
                        stream,
                        "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\n\
                         Content-Length: {length}\r\n\r\n{answer}"
                    )
                    .unwrap();
                }
            }
        });
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .endpoint_url(&url)
            .build();
        let states = aws_sdk_sfn::Client::new(&config);
        let api = Api {
            jobs: Jobs::new(aws_sdk_dynamodb::Client::new(&config), "jobs".to_owned()),
            journal: Journal::new(
                aws_sdk_cloudwatchlogs::Client::new(&config),
                "logs".to_owned(),
            ),
            obs: Obs::new(&url).unwrap(),
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
        };
        Self {
            api: Arc::new(api),
            calls,
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
        self.calls.lock().unwrap().clone()
    }

    pub fn names_of_calls(&self) -> Vec<String> {
        self.calls().into_iter().map(|(name, _)| name).collect()
    }
}

fn read_call(stream: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut call, mut length) = ("OBS".to_owned(), 0);
    for line in reader.by_ref().lines() {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                call = value.rsplit('.').next().unwrap().to_owned();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap();
            }
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (call, serde_json::from_slice(&body).unwrap_or_default())
}
