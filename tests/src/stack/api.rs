//! The HTTP API, as OBS calls it.

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::{Stack, Upload};
use crate::{Job, JobId};

impl Stack {
    pub async fn request(&self, method: Method, path: &str) -> Response {
        send(self.http.request(method, format!("{}{path}", self.url))).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).await
    }

    pub async fn get_text(&self, path: &str) -> String {
        text(self.get(path).await).await
    }

    /// Requests the upload.
    pub async fn post(&self, upload: &Upload) -> Response {
        self.post_with(upload, &[("filename", &upload.filename)])
            .await
    }

    /// Requests the upload without naming the file: the package has one image only.
    pub async fn post_without_filename(&self, upload: &Upload) -> Response {
        self.post_with(upload, &[]).await
    }

    async fn post_with(&self, upload: &Upload, more: &[(&str, &str)]) -> Response {
        let parameters = [
            ("project", upload.project.as_str()),
            ("package", &upload.package),
            ("repository", &upload.repository),
            ("arch", &upload.arch),
            ("user", &upload.user),
            ("target", "ec2"),
        ];
        let base = format!("{}/cloudupload", self.url);
        let url = Url::parse_with_params(&base, parameters.iter().chain(more));
        let request = self
            .http
            .post(url.expect("CLOUDUPLOAD_URL is a URL"))
            .header("content-type", "application/octet-stream")
            .body(upload.body.to_string());
        send(request).await
    }

    /// Requests the upload, which has to be accepted.
    pub async fn create(&self, upload: &Upload) -> Job {
        job(self.post(upload).await).await
    }

    pub async fn job(&self, id: JobId) -> Job {
        job(self.get(&format!("/cloudupload/{id}")).await).await
    }

    /// The jobs of a package, from the list of all jobs.
    pub async fn jobs_of(&self, package: &str) -> Vec<JobId> {
        let list = self.get_text("/cloudupload").await;
        let package = format!("<package>{package}</package>");
        list.split("<clouduploadjob ")
            .filter(|entry| entry.contains(&package))
            .filter_map(|entry| entry.split('"').nth(1)?.parse().ok())
            .collect()
    }

    pub async fn log(&self, id: JobId) -> String {
        self.get_text(&format!("/cloudupload/{id}/_log?nostream=1&start=0"))
            .await
    }

    pub async fn request_kill(&self, id: JobId) -> Response {
        self.request(Method::POST, &format!("/cloudupload/{id}?cmd=kill"))
            .await
    }

    /// Kills the job, which has to be accepted.
    pub async fn kill(&self, id: JobId) -> Job {
        job(self.request_kill(id).await).await
    }

    /// Whether the job's log has this text; the log if not.
    pub async fn logs(&self, id: JobId, text: &str) -> Result<(), String> {
        match self.log(id).await {
            log if log.contains(text) => Ok(()),
            log => Err(log),
        }
    }
}

pub(super) async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("the API answers")
}

async fn text(answer: Response) -> String {
    answer.text().await.expect("the answer is text")
}

pub(super) async fn job(answer: Response) -> Job {
    let status = answer.status();
    let xml = text(answer).await;
    assert_eq!(status, StatusCode::OK, "{xml}");
    Job::from_xml(xml)
}
