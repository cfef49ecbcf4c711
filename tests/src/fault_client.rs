use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    JobId,
    environment::env_var,
    last_request,
    proxy::{CallCount, Rule, RuleId, RuleStatus},
    wait::until,
};

/// A client of the fault proxy (`crate::proxy`).
#[derive(Clone)]
pub struct FaultClient {
    http: Client,
    url: String,
}

/// A rule that lasts as long as this. Dropping it releases the calls that it holds, also when a test panics.
pub struct RuleGuard {
    client: FaultClient,
    id: RuleId,
    rule: Rule,
}

impl FaultClient {
    /// For the local stack's proxy.
    pub fn from_env() -> Self {
        Self::at(&env_var("FAULTS_URL"))
    }

    pub(crate) fn at(url: &str) -> Self {
        Self {
            http: Client::new(),
            url: url.to_owned(),
        }
    }

    pub async fn add(&self, rule: Rule) -> RuleGuard {
        let body = serde_json::to_string(&rule).expect("a rule is JSON");
        let mut added: Value = self.request(Method::POST, "rules", body).await;
        RuleGuard {
            client: self.clone(),
            id: serde_json::from_value(added["rule"].take()).expect("a rule has an id"),
            rule,
        }
    }

    /// The calls made for a job.
    pub async fn calls_for(&self, job: JobId) -> Vec<CallCount> {
        self.request(Method::GET, &format!("calls?job={job}"), String::new())
            .await
    }

    /// All calls, including those made for no job.
    pub async fn all_calls(&self) -> Vec<CallCount> {
        self.request(Method::GET, "calls", String::new()).await
    }

    async fn request<T: DeserializeOwned>(&self, method: Method, path: &str, body: String) -> T {
        let url = format!("{}/_faults/{path}", self.url);
        let request = self.http.request(method, &url).body(body);
        let answer = request.send().await.expect("the proxy answers");
        let status = answer.status();
        let text = answer.text().await.expect("the proxy answers in text");
        assert!(status.is_success(), "{url}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }
}

impl RuleGuard {
    /// The number of calls that the rule has hit.
    pub async fn hits(&self) -> u32 {
        self.status().await.hits
    }

    /// Waits until the rule holds a call.
    pub async fn until_it_holds(&self) {
        self.until_holding(true).await;
    }

    /// Waits until the callers have given up, without being released.
    pub async fn until_given_up(&self) {
        self.until_holding(false).await;
    }

    async fn until_holding(&self, wanted: bool) {
        let what = format!("holding a call: {wanted}, by {:?}", self.rule);
        until(&what, async || match self.status().await {
            status if status.holding == wanted => Ok(()),
            status => Err(status),
        })
        .await;
    }

    /// Releases the calls that the rule holds now.
    pub async fn release(&self) {
        let path = format!("{}/release", self.path());
        let _: Value = self
            .client
            .request(Method::POST, &path, String::new())
            .await;
    }

    async fn status(&self) -> RuleStatus {
        let path = self.path();
        self.client.request(Method::GET, &path, String::new()).await
    }

    fn path(&self) -> String {
        format!("rules/{}", self.id.0)
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        let url = format!("{}/_faults/{}", self.client.url, self.path());
        // The proxy answers once the rule is gone.
        if let Err(error) = last_request::send("DELETE", &url, "") {
            eprintln!("{:?} is not removed: {error}", self.rule);
        }
    }
}
