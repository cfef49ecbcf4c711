//! The server.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};

use serde_json::{Value, json};

use crate::{Answer, Call, dynamodb};

/// A server on the loopback interface that answers every call by a closure. Calls are handled side by side, but for the
/// closure.
#[derive(Debug)]
pub struct Endpoint {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<Call>,
    /// Calls without an answer so far, and the most of them that there were at a time, by name.
    open: BTreeMap<String, (usize, usize)>,
    panicked: bool,
}

impl Endpoint {
    /// # Panics
    /// If the machine has no loopback interface.
    pub fn new(answer: impl FnMut(&Call) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback interface");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::default();
        let server = Server {
            answer: Arc::new(Mutex::new(answer)),
            seen: Arc::clone(&seen),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.handle(&stream));
            }
        });
        Self {
            url: format!("http://{address}"),
            seen,
        }
    }

    /// The same beside a record and a log: the record takes every update and stays as it is, the log takes every line.
    pub fn with_record(
        record: &Value,
        mut answer: impl FnMut(&Call) -> Answer + Send + 'static,
    ) -> Self {
        let item = dynamodb::item(record);
        Self::new(move |call| match call.name.as_str() {
            "GetItem" => Answer::json(&json!({ "Item": item })),
            "UpdateItem" => Answer::json(&json!({ "Attributes": item })),
            "PutLogEvents" => Answer::json(&json!({})),
            _ => answer(call),
        })
    }

    /// The address, for OBS.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For the clients of AWS: everything is at this address, nothing is tried again.
    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::builder()
            .provider_name("fake endpoint")
            .access_key_id("AKIASERVICE")
            .secret_access_key("secret")
            .build();
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(&self.url)
            .build()
    }

    /// All calls, in their order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.seen).calls.clone()
    }

    /// Those of one name.
    pub fn calls_of(&self, name: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.name == name);
        calls
    }

    /// The names of all calls, in their order.
    pub fn names(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.name).collect()
    }

    /// The lines that were written into CloudWatch Logs.
    pub fn log(&self) -> Vec<String> {
        let events = self.calls_of("PutLogEvents").into_iter();
        let events = events.flat_map(|call| call.json()["logEvents"].as_array().cloned());
        let messages = events.flatten().map(|event| {
            let message = event["message"].as_str();
            message.unwrap_or_default().to_owned()
        });
        messages.collect()
    }

    /// The names of the calls that were neither for the record nor for the log.
    pub fn names_elsewhere(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| !["GetItem", "UpdateItem", "PutLogEvents"].contains(&name.as_str()));
        names
    }

    /// The most calls of one name that were without an answer at the same time.
    pub fn most_at_once(&self, name: &str) -> usize {
        lock(&self.seen).open.get(name).map_or(0, |(_, most)| *most)
    }
}

impl Drop for Endpoint {
    /// A panic in the closure is the test's, unless the test has its own.
    fn drop(&mut self) {
        if lock(&self.seen).panicked && !std::thread::panicking() {
            panic!("a call was not as it had to be: see above");
        }
    }
}

struct Server<F> {
    answer: Arc<Mutex<F>>,
    seen: Arc<Mutex<Seen>>,
}

impl<F> Clone for Server<F> {
    fn clone(&self) -> Self {
        Self {
            answer: Arc::clone(&self.answer),
            seen: Arc::clone(&self.seen),
        }
    }
}

impl<F: FnMut(&Call) -> Answer> Server<F> {
    /// Answers one call. A caller that hangs up is no error: tests drop calls too.
    fn handle(&self, stream: &std::net::TcpStream) {
        let Ok(call) = Call::read(stream) else {
            return;
        };
        let mut answer = lock(&self.answer);
        self.begin(&call);
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&call)));
        drop(answer);
        match answered {
            Ok(answer) => {
                let _ = answer.send(stream);
            }
            Err(_) => lock(&self.seen).panicked = true,
        }
        self.end(&call);
    }

    fn begin(&self, call: &Call) {
        let mut seen = lock(&self.seen);
        seen.calls.push(call.clone());
        let (open, most) = seen.open.entry(call.name.clone()).or_default();
        *open += 1;
        *most = (*most).max(*open);
    }

    fn end(&self, call: &Call) {
        if let Some((open, _)) = lock(&self.seen).open.get_mut(&call.name) {
            *open -= 1;
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
