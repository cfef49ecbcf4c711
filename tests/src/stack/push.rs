//! Files that are pushed, as a client does it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use crc_fast::CrcAlgorithm;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Stack, Upload,
    api::{job, send},
};
use crate::{Job, JobId};

/// The CRC32 of a file, as the API takes it.
pub fn crc32(bytes: &[u8]) -> String {
    let sum = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32;
    BASE64_STANDARD.encode(sum.to_be_bytes())
}

/// A URL by which one part is put.
#[derive(Clone, Debug)]
pub struct PartUrl {
    pub number: u64,
    pub size: usize,
    pub url: String,
}

impl PartUrl {
    /// Puts these bytes by the URL. Gives S3's answer.
    pub async fn put(&self, bytes: &[u8]) -> (StatusCode, String) {
        put(&self.url, bytes).await
    }
}

/// Puts bytes by a URL.
pub async fn put(url: &str, bytes: &[u8]) -> (StatusCode, String) {
    let request = Client::new().put(url).body(bytes.to_vec());
    let answer = request.send().await.expect("S3 answers");
    let status = answer.status();
    (status, answer.text().await.expect("the answer is text"))
}

fn parts_of(answer: &Value) -> Vec<PartUrl> {
    let parts = answer["parts"].as_array().expect("there are parts").iter();
    let parts = parts.map(|part| PartUrl {
        number: part["number"].as_u64().expect("a part has a number"),
        size: part["size"].as_u64().expect("a part has a size") as usize,
        url: part["url"].as_str().expect("a part has a URL").to_owned(),
    });
    parts.collect()
}

impl Upload {
    /// The upload of a file of so many bytes, as OBS's source server requests it.
    pub(crate) fn skeleton(&self, size: usize) -> String {
        let Self {
            user,
            project,
            repository,
            arch,
            package,
            filename,
            body,
        } = self;
        let details = hex::encode(body.to_string());
        format!(
            "<clouduploadjob><details>{details}</details><user>{user}</user><target>ec2</target>\
             <project>{project}</project><repository>{repository}</repository><package>{package}</package>\
             <arch>{arch}</arch><filename>{filename}</filename><size>{size}</size></clouduploadjob>"
        )
    }
}

impl Stack {
    /// Requests the upload of a file of that many bytes that will be pushed. It has to be accepted.
    pub async fn create_push(&self, upload: &Upload, size: usize) -> Job {
        job(self.post_push(upload, size).await).await
    }

    /// The same, as OBS's source server requests uploads, and the answer as it comes.
    pub async fn post_push(&self, upload: &Upload, size: usize) -> Response {
        let url = format!("{}/cloudupload?push=1", self.url);
        let request = self.http.post(url).header("content-type", "text/xml");
        send(request.body(upload.skeleton(size))).await
    }

    /// How far the push is.
    pub async fn push_state(&self, id: JobId) -> Value {
        let path = format!("/v1/jobs/{id}/push");
        self.expect(StatusCode::OK, Method::GET, &path, None).await
    }

    /// Asks for URLs. Gives status and JSON of the answer.
    pub async fn ask_for_parts(&self, id: JobId, body: Value) -> (StatusCode, Value) {
        let path = format!("/v1/jobs/{id}/push/parts");
        self.ask(Method::POST, &path, Some(body)).await
    }

    /// The URLs of these parts.
    pub async fn part_urls(&self, id: JobId, numbers: &[u64], sent: usize) -> Vec<PartUrl> {
        let body = json!({"numbers": numbers, "sent": sent});
        let (status, answer) = self.ask_for_parts(id, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        parts_of(&answer)
    }

    /// Says that the file is complete. Gives status and JSON of the answer.
    pub async fn push_done(&self, id: JobId, crc32: &str) -> (StatusCode, Value) {
        let path = format!("/v1/jobs/{id}/push/done");
        self.ask(Method::POST, &path, Some(json!({ "crc32": crc32 })))
            .await
    }

    /// Says that the file is complete. Gives the answer as it comes.
    pub async fn post_push_done(&self, id: JobId, crc32: &str) -> Response {
        let url = format!("{}/v1/jobs/{id}/push/done", self.url);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json");
        send(request.body(json!({ "crc32": crc32 }).to_string())).await
    }

    /// Asks for the URLs of these parts. Gives the answer as it comes.
    pub async fn post_push_parts(&self, id: JobId, numbers: &[u64], sent: usize) -> Response {
        let url = format!("{}/v1/jobs/{id}/push/parts", self.url);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json");
        let body = json!({"numbers": numbers, "sent": sent});
        send(request.body(body.to_string())).await
    }

    /// Pushes the whole file, whatever breaks meanwhile, or until the job has ended.
    pub async fn push_until_over(&self, id: JobId, bytes: &[u8]) {
        while !self.job(id).await.is_final() {
            match self.try_push(id, bytes).await {
                Ok(()) => return,
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// One attempt at that. The error is what was answered.
    async fn try_push(&self, id: JobId, bytes: &[u8]) -> Result<(), Value> {
        let ok = |(status, answer): (StatusCode, Value)| match status {
            StatusCode::OK => Ok(answer),
            _ => Err(answer),
        };
        let path = format!("/v1/jobs/{id}/push");
        let state = ok(self.ask(Method::GET, &path, None).await)?;
        let part_size = state["part_size"].as_u64().unwrap_or_default() as usize;
        let wanted = json!({"numbers": state["missing"], "sent": 0});
        let urls = ok(self.ask_for_parts(id, wanted).await)?;
        for part in parts_of(&urls) {
            let start = (part.number as usize - 1) * part_size;
            let (status, answer) = part.put(&bytes[start..][..part.size]).await;
            ok((status, answer.into()))?;
        }
        ok(self.push_done(id, &crc32(bytes)).await).map(drop)
    }

    /// Puts what is missing of the file.
    pub async fn push_missing(&self, id: JobId, bytes: &[u8]) {
        let state = self.push_state(id).await;
        let numbers = state["missing"].as_array().expect("parts are missing");
        let numbers: Vec<u64> = numbers.iter().filter_map(Value::as_u64).collect();
        let part_size = state["part_size"].as_u64().expect("parts have a size") as usize;
        for part in self.part_urls(id, &numbers, 0).await {
            let start = (part.number as usize - 1) * part_size;
            let (status, answer) = part.put(&bytes[start..][..part.size]).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
    }

    /// Pushes the whole file.
    pub async fn push(&self, id: JobId, bytes: &[u8]) {
        self.push_missing(id, bytes).await;
        let (status, answer) = self.push_done(id, &crc32(bytes)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}
