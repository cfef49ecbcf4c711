//! The events that others get of jobs: a rule of EventBridge that sends them to a queue.

use serde_json::{Value, json};

use super::{Stack, authorization};
use crate::environment::{env_var, unique};

/// A queue that gets the events of some jobs.
pub struct Subscription<'a> {
    stack: &'a Stack,
    queue: String,
    events: Vec<Value>,
}

impl Stack {
    /// Subscribes to the events whose detail has this value.
    pub async fn subscribe(&self, property: &str, value: &str) -> Subscription<'_> {
        let name = format!("events-{}", unique());
        let pattern = json!({"source": ["obs.cloudupload"], "detail": {property: [value]}});
        let rule = json!({"Name": name, "EventPattern": pattern.to_string()});
        let rule = self.call("events", "AWSEvents.PutRule", rule).await;
        let queue = self
            .call("sqs", "AmazonSQS.CreateQueue", json!({ "QueueName": name }))
            .await;
        let queue = queue["QueueUrl"]
            .as_str()
            .expect("a queue has a URL")
            .to_owned();
        let names = json!({"QueueUrl": queue, "AttributeNames": ["QueueArn"]});
        let attributes = self
            .call("sqs", "AmazonSQS.GetQueueAttributes", names)
            .await;
        let arn = &attributes["Attributes"]["QueueArn"];
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule["RuleArn"]}},
        }]});
        let policy = json!({"QueueUrl": queue, "Attributes": {"Policy": policy.to_string()}});
        self.call("sqs", "AmazonSQS.SetQueueAttributes", policy)
            .await;
        let targets = json!({"Rule": name, "Targets": [{"Id": "queue", "Arn": arn}]});
        self.call("events", "AWSEvents.PutTargets", targets).await;
        Subscription {
            stack: self,
            queue,
            events: Vec::new(),
        }
    }

    /// A call of a service without an SDK here.
    async fn call(&self, service: &str, target: &str, body: Value) -> Value {
        let request = self
            .http
            .post(env_var("AWS_ENDPOINT_URL"))
            .header("authorization", authorization(service))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(body.to_string());
        let answer = request.send().await.expect("AWS answers");
        assert!(answer.status().is_success(), "{target}: {answer:?}");
        let text = answer.text().await.expect("AWS answers in text");
        match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("AWS answers in JSON"),
        }
    }
}

impl Subscription<'_> {
    /// All events that came so far, in the order in which they came.
    pub async fn events(&mut self) -> &[Value] {
        loop {
            let receive = json!({"QueueUrl": self.queue, "MaxNumberOfMessages": 10});
            let answer = self
                .stack
                .call("sqs", "AmazonSQS.ReceiveMessage", receive)
                .await;
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return &self.events;
            }
            for message in messages {
                let body = message["Body"].as_str().expect("a message has a body");
                let event = serde_json::from_str(body).expect("an event is JSON");
                self.events.push(event);
                let receipt = &message["ReceiptHandle"];
                let delete = json!({"QueueUrl": self.queue, "ReceiptHandle": receipt});
                self.stack
                    .call("sqs", "AmazonSQS.DeleteMessage", delete)
                    .await;
            }
        }
    }
}
