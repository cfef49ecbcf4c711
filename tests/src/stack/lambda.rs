//! The functions: the sweeper and the canary called by hand, timeouts changed, the log.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Stack, authorization};
use crate::{JobId, environment::env_var};

impl Stack {
    /// Runs the sweeper as its schedule does, and returns its answer.
    pub async fn sweep(&self) -> Value {
        let path = format!("{}/invocations", env_var("SWEEP_FUNCTION"));
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        self.lambda(Method::POST, &path, event).await
    }

    /// Runs the sweeper, and waits for what it or its scheduled run has started for the job.
    pub async fn sweep_for(&self, id: JobId) {
        let swept = self.sweep().await;
        assert!(swept["errorMessage"].is_null(), "{swept}");
        self.wait_until_idle(id).await;
    }

    /// Runs the canary as its schedule does, and returns its answer.
    pub async fn run_canary(&self) -> Value {
        let path = format!("{}/invocations", env_var("CANARY_FUNCTION"));
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        self.lambda(Method::POST, &path, event).await
    }

    /// The lines of the functions' log since then that have this text, in their order.
    pub async fn logged(&self, since: SystemTime, text: &str) -> Vec<String> {
        let since = since.duration_since(UNIX_EPOCH);
        let since = since.expect("the clock is past 1970").as_millis() as u64;
        let request = json!({"logGroupName": env_var("FUNCTION_LOG_GROUP"), "startTime": since});
        let answer = self
            .http
            .post(env_var("AWS_ENDPOINT_URL"))
            .header("authorization", authorization("logs"))
            .header("x-amz-target", "Logs_20140328.FilterLogEvents")
            .header("content-type", "application/x-amz-json-1.1")
            .body(request.to_string())
            .send()
            .await
            .expect("CloudWatch Logs answers");
        let answer = answer
            .text()
            .await
            .expect("CloudWatch Logs answers in text");
        let answer: Value = serde_json::from_str(&answer).expect("CloudWatch Logs answers in JSON");
        let events = answer["events"].as_array();
        let messages = events
            .into_iter()
            .flatten()
            .filter_map(|event| event["message"].as_str());
        let found = messages.filter(|message| message.contains(text));
        found.map(str::to_owned).collect()
    }

    /// Sets the timeout, in seconds, of the function that the workflow calls in this state. It applies to all jobs.
    pub async fn set_timeout(&self, state: &str, seconds: u32) {
        let machine = self.sfn.describe_state_machine();
        let machine = machine.state_machine_arn(env_var("UPLOAD_MACHINE_ARN"));
        let machine = machine.send().await.expect("Step Functions answers");
        let definition: Value =
            serde_json::from_str(&machine.definition).expect("a definition is JSON");
        let function = definition
            .pointer(&format!("/States/{state}/Parameters/FunctionName"))
            .and_then(Value::as_str)
            .expect("the state calls a function");
        let path = format!("{function}/configuration");
        let set = self
            .lambda(Method::PUT, &path, json!({"Timeout": seconds}))
            .await;
        assert_eq!(set["Timeout"], seconds, "{set}");
    }

    /// A request to Lambda's API, about a function.
    async fn lambda(&self, method: Method, path: &str, body: Value) -> Value {
        let endpoint = env_var("AWS_ENDPOINT_URL");
        let url = format!("{endpoint}/2015-03-31/functions/{path}");
        let answer = self
            .http
            .request(method, url)
            .header("authorization", authorization("lambda"))
            .body(body.to_string())
            .send()
            .await
            .expect("Lambda answers");
        let answer = answer.text().await.expect("Lambda answers in text");
        serde_json::from_str(&answer).expect("Lambda answers in JSON")
    }
}
