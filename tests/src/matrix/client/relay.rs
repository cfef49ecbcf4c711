//! The relay, beside a source server that is this module.

use std::{env, path::PathBuf, process::Stdio};

use reqwest::StatusCode;
use tokio::{
    fs,
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::Mutex,
};

use super::{ClientProxy, client_proxy::service};
use crate::{Job, JobId, Upload, disk};

pub struct Relay<'a> {
    proxy: &'a ClientProxy,
    home: PathBuf,
    upload: Upload,
    running: Mutex<Option<Running>>,
    http: reqwest::Client,
}

struct Running {
    url: String,
    process: Child,
}

impl<'a> Relay<'a> {
    pub async fn new(proxy: &'a ClientProxy, upload: &Upload) -> Self {
        let home = env::temp_dir().join(&upload.package);
        fs::create_dir_all(home.join("state"))
            .await
            .expect("a folder can be made");
        let service = service();
        let secret = service.password().unwrap_or_default();
        fs::write(home.join("secret"), secret)
            .await
            .expect("a file can be written");
        Self {
            proxy,
            home,
            upload: upload.clone(),
            running: Mutex::default(),
            http: patient_client(),
        }
    }

    /// Does what the source server does: asks for an upload unless it is for this job, and sends the image. The error is what
    /// the source server gets.
    pub async fn push(&self, job: Option<JobId>) -> Result<(), String> {
        let relay = self.url().await;
        let file = &disk::disk().await.raw;
        let job = match job {
            Some(job) => job,
            None => {
                let skeleton = self.upload.skeleton(file.len());
                let request = self.http.post(format!("{relay}/cloudupload"));
                let request = request.header("content-type", "text/xml").body(skeleton);
                Job::from_xml(answer(request).await?).id()
            }
        };
        let image = self.http.put(format!("{relay}/cloudupload/{job}"));
        let taken = answer(image.body(file.as_slice())).await.map(drop);
        // If the relay was killed, its next start ends the job, as systemd starts it again.
        self.url().await;
        taken
    }

    /// The address of the relay, which is started if it does not run.
    async fn url(&self) -> String {
        let mut running = self.running.lock().await;
        if let Some(Running { url, process, .. }) = &mut *running {
            if !self.proxy.has_killed_client() {
                return url.clone();
            }
            process.wait().await.expect("the relay ends");
        }
        let started = self.start().await;
        let url = started.url.clone();
        *running = Some(started);
        url
    }

    async fn start(&self) -> Running {
        let relay =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/quick/obs-cloudupload-relay");
        let service = service();
        let mut process = Command::new(relay)
            .env_clear()
            .env("RELAY_LISTEN", "127.0.0.1:0")
            .env("RELAY_API", &self.proxy.url)
            .env("RELAY_CALLER", service.username())
            .env("RELAY_SECRET_FILE", self.home.join("secret"))
            .env("STATE_DIRECTORY", self.home.join("state"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the relay is built");
        self.proxy.set_client(process.id());
        let said = process.stderr.take().expect("it is piped");
        let mut said = BufReader::new(said).lines();
        let line = said.next_line().await.expect("the relay says lines");
        let line = line.expect("the relay says where it listens");
        let (address, _) = line
            .strip_prefix("listening to ")
            .and_then(|rest| rest.split_once(','))
            .unwrap_or_else(|| panic!("the relay says '{line}'"));
        let url = format!("http://{address}");
        let package = self.upload.package.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                eprintln!("{package}, the relay: {line}");
            }
        });
        Running { url, process }
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// The source server waits as long as the relay reads nothing.
fn patient_client() -> reqwest::Client {
    let client = reqwest::Client::builder().tcp_user_timeout(None);
    client.build().expect("a client can be built")
}

/// The body of an answer that is 200; otherwise what it says.
async fn answer(request: reqwest::RequestBuilder) -> Result<String, String> {
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    match status {
        StatusCode::OK => Ok(text),
        _ => Err(format!("{status}: {text}")),
    }
}
