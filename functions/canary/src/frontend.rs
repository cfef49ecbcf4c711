//! The deployed API, called as OBS's frontend calls it: over HTTPS, with the secret of OBS, with OBS's parameters and XML.

use std::time::Duration;

use cloudupload::{
    job::{JobId, State},
    obs::read,
};
use quick_xml::DeError;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::{image::CanaryImage, secret::Secret};

/// The name under which OBS calls.
const CALLER: &str = "obs";

/// Longer than API Gateway waits for an answer (API Gateway developer guide, "Quotas for configuring and running an HTTP
/// API in API Gateway").
const TIMEOUT: Duration = Duration::from_secs(35);

/// A job as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobStatus {
    #[serde(rename = "@name")]
    pub id: JobId,
    pub state: State,
    #[serde(default)]
    pub details: String,
}

/// Why the API did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the API refused to {what}: {status}: {summary}")]
    Refused {
        what: &'static str,
        status: StatusCode,
        /// In OBS's words where the answer has some: API Gateway's own answers have none.
        summary: String,
    },
    #[error("the API could not be asked to {what}: {}", causes(.source))]
    Connection {
        what: &'static str,
        source: reqwest::Error,
    },
    #[error("the API was asked to {what}, and did not answer with a job: {source}")]
    Unexpected { what: &'static str, source: DeError },
}

impl ApiError {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            ApiError::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            ApiError::Connection { .. } => true,
            ApiError::Unexpected { .. } => false,
        }
    }
}

/// An HTTP client's error says little itself; what happened is in what caused it.
fn causes(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Where the API is.
pub struct Api {
    http: Client,
    url: Url,
}

impl Api {
    pub fn new(url: Url) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .user_agent(concat!(
                "obs-cloudupload-canary/",
                env!("CARGO_PKG_VERSION")
            ))
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { http, url })
    }

    /// The API as OBS's frontend reaches it.
    pub fn for_frontend(&self, secret: Secret) -> Frontend<'_> {
        Frontend { api: self, secret }
    }
}

/// OBS's frontend.
pub struct Frontend<'a> {
    api: &'a Api,
    secret: Secret,
}

impl Frontend<'_> {
    /// Asks for an upload of the image. `target` is the JSON of the request.
    pub async fn create(
        &self,
        image: &CanaryImage,
        user: &str,
        target: &Value,
    ) -> Result<JobStatus, ApiError> {
        let mut url = self.url(&[]);
        url.query_pairs_mut().extend_pairs([
            ("project", image.project.as_str()),
            ("repository", image.repository.as_str()),
            ("arch", image.arch.as_str()),
            ("package", image.package.as_str()),
            ("filename", image.filename.as_str()),
            ("user", user),
            ("target", "ec2"),
        ]);
        // The real frontend sends this type, whatever the body is.
        let request = self.api.http.post(url).body(target.to_string());
        let request = request.header("content-type", "application/octet-stream");
        self.job("create a job", request).await
    }

    pub async fn status(&self, job: JobId) -> Result<JobStatus, ApiError> {
        let request = self.api.http.get(self.url(&[&job.to_string()]));
        self.job("show the job", request).await
    }

    /// Kills a job. One that has ended stays as it is.
    pub async fn kill(&self, job: JobId) -> Result<JobStatus, ApiError> {
        let mut url = self.url(&[&job.to_string()]);
        url.query_pairs_mut().append_pair("cmd", "kill");
        self.job("kill the job", self.api.http.post(url)).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.api.url.clone();
        // It fails for URLs that cannot have a path; `from_env` takes none of those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .push("cloudupload")
                .extend(path.iter());
        }
        url
    }

    async fn job(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<JobStatus, ApiError> {
        let connection = |source: reqwest::Error| ApiError::Connection {
            what,
            source: source.without_url(),
        };
        let request = request.basic_auth(CALLER, Some(self.secret.text()));
        let answer = request.send().await.map_err(connection)?;
        let status = answer.status();
        let text = answer.text().await.map_err(connection)?;
        if !status.is_success() {
            let summary = read::summary(&text).unwrap_or_else(|| "no reason was given".to_owned());
            return Err(ApiError::Refused {
                what,
                status,
                summary,
            });
        }
        job_of(&text).map_err(|source| ApiError::Unexpected { what, source })
    }
}

/// Reads a `<clouduploadjob>`.
fn job_of(xml: &str) -> Result<JobStatus, DeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Root {
        CloudUploadJob(JobStatus),
    }
    let Root::CloudUploadJob(job) = quick_xml::de::from_str(xml)?;
    Ok(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_as_the_api_writes_it() {
        let xml = "<clouduploadjob name=\"17\">\n  <state>failed</state>\n  <details>no role &lt;x&gt;</details>\n  \
                   <created>1795445844</created>\n  <user>canary</user>\n</clouduploadjob>\n";
        let job = JobStatus {
            id: JobId::new(17).unwrap(),
            state: State::Failed,
            details: "no role <x>".to_owned(),
        };
        assert_eq!(job_of(xml).unwrap(), job);
        let without_details =
            "<clouduploadjob name=\"17\"><state>uploading</state></clouduploadjob>";
        assert_eq!(job_of(without_details).unwrap().details, "");
    }

    #[test]
    fn what_is_no_job_is_not_read() {
        for text in [
            "",
            "{\"message\":\"Service Unavailable\"}",
            "<status code=\"ok\" />",
            "<clouduploadjob name=\"0\"><state>created</state></clouduploadjob>",
            "<clouduploadjob name=\"1\"><state>lost</state></clouduploadjob>",
        ] {
            assert!(job_of(text).is_err(), "{text}");
        }
    }
}
