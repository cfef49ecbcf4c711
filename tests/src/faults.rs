use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    proxy::{Rule, RuleId, Sighting, Standing},
    stack::variable,
};

/// The proxy between the functions and the emulated AWS (`crate::proxy`).
pub struct Faults {
    http: Client,
    url: String,
}

impl Faults {
    /// That of the local stack.
    pub fn from_env() -> Self {
        Self::at(&variable("FAULTS_URL"))
    }

    pub(crate) fn at(url: &str) -> Self {
        Self {
            http: Client::new(),
            url: url.to_owned(),
        }
    }

    pub async fn rule(&self, rule: Rule) -> RuleId {
        let body = serde_json::to_string(&rule).expect("a rule is JSON");
        let mut made: Value = self.ask(Method::POST, "rules", body).await;
        serde_json::from_value(made["rule"].take()).expect("a rule has an id")
    }

    pub async fn hits(&self, rule: RuleId) -> u32 {
        self.standing(rule).await.hits
    }

    /// Until a call waits to be released.
    pub async fn wait_until_holding(&self, rule: RuleId) {
        let began = Instant::now();
        while !self.standing(rule).await.holding {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no such call comes: {rule:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets go on what the rule holds now.
    pub async fn release(&self, rule: RuleId) {
        let path = format!("rules/{}/release", rule.0);
        let _: Value = self.ask(Method::POST, &path, String::new()).await;
    }

    /// Removes a rule, and lets go on what it holds.
    pub async fn remove(&self, rule: RuleId) {
        let path = format!("rules/{}", rule.0);
        let _: Value = self.ask(Method::DELETE, &path, String::new()).await;
    }

    /// Removes all rules, those of other tests too.
    pub async fn clear(&self) {
        let _: Value = self.ask(Method::DELETE, "rules", String::new()).await;
    }

    /// The calls made for a job.
    pub async fn seen(&self, job: &str) -> Vec<Sighting> {
        self.ask(Method::GET, &format!("seen?job={job}"), String::new())
            .await
    }

    /// All calls, those for no job too.
    pub async fn all_seen(&self) -> Vec<Sighting> {
        self.ask(Method::GET, "seen", String::new()).await
    }

    async fn standing(&self, rule: RuleId) -> Standing {
        self.ask(Method::GET, &format!("rules/{}", rule.0), String::new())
            .await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: String) -> T {
        let url = format!("{}/_faults/{path}", self.url);
        let request = self.http.request(method, &url).body(body);
        let answer = request.send().await.expect("the proxy answers");
        let status = answer.status();
        let text = answer.text().await.expect("the proxy answers in text");
        assert!(status.is_success(), "{url}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }
}
