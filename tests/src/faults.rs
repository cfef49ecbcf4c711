use std::{
    io::{self, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    proxy::{Rule, RuleId, Sighting, Standing},
    stack::{until, variable},
};

/// The proxy between the functions and the emulated AWS (`crate::proxy`).
#[derive(Clone)]
pub struct Faults {
    http: Client,
    url: String,
}

/// A rule that lasts as long as this. Dropped, it lets go on what it holds, also where a test panics.
pub struct Laid {
    faults: Faults,
    id: RuleId,
    rule: Rule,
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

    pub async fn rule(&self, rule: Rule) -> Laid {
        let body = serde_json::to_string(&rule).expect("a rule is JSON");
        let mut made: Value = self.ask(Method::POST, "rules", body).await;
        Laid {
            faults: self.clone(),
            id: serde_json::from_value(made["rule"].take()).expect("a rule has an id"),
            rule,
        }
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

impl Laid {
    pub async fn hits(&self) -> u32 {
        self.standing().await.hits
    }

    /// Until a call waits to be released.
    pub async fn comes_to_hold(&self) {
        self.until_holding(true).await;
    }

    /// Until its caller waits no more, who was not released.
    pub async fn is_given_up(&self) {
        self.until_holding(false).await;
    }

    async fn until_holding(&self, wanted: bool) {
        let what = format!("holding is to be {wanted} of {:?}", self.rule);
        until(&what, async || match self.standing().await {
            standing if standing.holding == wanted => Ok(()),
            standing => Err(standing),
        })
        .await;
    }

    /// Lets go on what it holds now.
    pub async fn release(&self) {
        let path = format!("{}/release", self.path());
        let _: Value = self.faults.ask(Method::POST, &path, String::new()).await;
    }

    async fn standing(&self) -> Standing {
        let path = self.path();
        self.faults.ask(Method::GET, &path, String::new()).await
    }

    fn path(&self) -> String {
        format!("rules/{}", self.id.0)
    }

    /// Without the client of the others, as there may be no runtime any more that it could work in.
    fn remove(&self) -> io::Result<()> {
        let host = self.faults.url.trim_start_matches("http://");
        let mut line = TcpStream::connect(host)?;
        line.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            line,
            "DELETE /_faults/{} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
            self.path()
        )?;
        // When the answer is there, the rule is gone.
        io::copy(&mut line, &mut io::sink()).map(drop)
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("{:?} stays: {error}", self.rule);
        }
    }
}
