//! The calls of the cloud uploader.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode, header};
use reqwest::{Client, RequestBuilder, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    causes::with_causes,
    job::JobId,
    patience::Patience,
    settings::{Secret, Settings},
};

/// Longer than API Gateway takes for an answer (30 s; API Gateway developer guide, "Quotas for HTTP APIs").
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest reason of an end, in characters.
const LONGEST_REASON: usize = 500;

/// What of a request or an answer is passed through.
const HEADERS: [header::HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::ACCEPT_ENCODING,
    header::CACHE_CONTROL,
];

#[derive(Clone)]
pub struct Api {
    http: Client,
    url: Url,
    caller: String,
    secret: Secret,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the cloud uploader cannot be reached: {}", with_causes(.0))]
    Unreachable(reqwest::Error),
    /// In its own words.
    #[error("{sentence}")]
    Refused {
        status: StatusCode,
        sentence: String,
    },
    #[error("the cloud uploader's answer is not understood: {0}")]
    NotUnderstood(serde_json::Error),
}

impl ApiError {
    /// Whether the same call may have a result later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::NotUnderstood(_) => false,
        }
    }
}

/// An answer that is passed through.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// How far the push of a file is.
#[derive(Debug, Deserialize)]
pub struct Push {
    pub size: u64,
    pub part_size: u64,
    pub parts: u32,
    pub missing: Vec<u32>,
    pub done: bool,
}

#[derive(Deserialize)]
struct PartUrls {
    parts: Vec<PartUrl>,
}

#[derive(Deserialize)]
struct PartUrl {
    number: u32,
    url: String,
}

impl Api {
    pub fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            url: settings.api.clone(),
            caller: settings.caller.clone(),
            secret: settings.secret.clone(),
        })
    }

    /// Sends a request as it came.
    pub async fn pass_on(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, ApiError> {
        let request = self.request(method, path_and_query).body(body);
        let answer = request.headers(passed(headers)).send().await;
        let answer = answer.map_err(ApiError::Unreachable)?;
        Ok(Answer {
            status: answer.status(),
            headers: passed(answer.headers()),
            body: answer.bytes().await.map_err(ApiError::Unreachable)?,
        })
    }

    pub async fn push(&self, job: JobId) -> Result<Push, ApiError> {
        let request = self.request(Method::GET, &format!("/v1/jobs/{job}/push"));
        json_of(request).await
    }

    /// The URLs of these parts. `sent` is how many bytes of the file were put so far.
    pub async fn part_urls(
        &self,
        job: JobId,
        numbers: &[u32],
        sent: u64,
    ) -> Result<HashMap<u32, String>, ApiError> {
        let body = json!({"numbers": numbers, "sent": sent});
        let urls: PartUrls = self.post(job, "parts", &body).await?;
        let urls = urls.parts.into_iter();
        Ok(urls.map(|part| (part.number, part.url)).collect())
    }

    pub async fn push_done(&self, job: JobId, crc32: &str) -> Result<(), ApiError> {
        let done: Result<Value, _> = self.post(job, "done", &json!({ "crc32": crc32 })).await;
        done.map(drop)
    }

    /// Fails the job, for a reason that its user reads.
    pub async fn abort_push(&self, job: JobId, reason: &str) -> Result<(), ApiError> {
        // As the cloud uploader takes it: a line that is not too long.
        let reason: String = reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST_REASON)
            .collect();
        let aborted: Result<Value, _> = self.post(job, "abort", &json!({ "reason": reason })).await;
        aborted.map(drop)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        job: JobId,
        what: &str,
        body: &Value,
    ) -> Result<T, ApiError> {
        let request = self.request(Method::POST, &format!("/v1/jobs/{job}/push/{what}"));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        json_of(request.body(body.to_string())).await
    }

    fn request(&self, method: Method, path_and_query: &str) -> RequestBuilder {
        let url = format!(
            "{}{path_and_query}",
            self.url.as_str().trim_end_matches('/')
        );
        let request = self.http.request(method, url);
        request.basic_auth(&self.caller, Some(self.secret.reveal()))
    }
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let passed = HEADERS.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.clone();
        Some((name, value))
    });
    passed.collect()
}

/// The JSON of an answer. The request may be sent again, and is, until there is an answer that another attempt would get, too.
async fn json_of<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ApiError> {
    let mut patience = Patience::new();
    loop {
        let Some(attempt) = request.try_clone() else {
            return json_of_attempt(request).await;
        };
        match json_of_attempt(attempt).await {
            Err(error) if error.is_transient() => {
                eprintln!("{error}");
                if !patience.pause().await {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}

async fn json_of_attempt<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ApiError> {
    let answer = request.send().await.map_err(ApiError::Unreachable)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(ApiError::Unreachable)?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(ApiError::NotUnderstood);
    }
    Err(ApiError::Refused {
        status,
        sentence: sentence(status, &body),
    })
}

/// What the cloud uploader says of an error (RFC 9457), or API Gateway before it.
fn sentence(status: StatusCode, body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = [&problem["detail"], &problem["message"]];
    let said = said.into_iter().find_map(Value::as_str);
    said.map_or_else(
        || format!("the cloud uploader answered {status}"),
        str::to_owned,
    )
}
