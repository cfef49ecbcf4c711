//! A request to the API while a call of it fails.

use std::time::Instant;

use reqwest::Response;

use super::{case::Case, expectation, harness::Harness, outcome::Outcome, scenario::Request};
use crate::{JobId, Route, Upload, crc32, disk, job::element_text, poll};

/// A request with what it is about.
enum Prepared {
    Create(Upload),
    Status(JobId),
    List(JobId),
    ListAll,
    Log(JobId),
    Kill(JobId),
    CreatePush(Upload),
    PushState(JobId),
    PartUrls(JobId),
    PushDone(JobId),
}

impl Harness {
    pub async fn run_request(&self, case: &Case, request: Request) -> Outcome {
        let prepared = self.prepare(request).await;
        let rule = self.inject(&case.injection, None).await;
        let calls_before = self.calls().await;
        let began = Instant::now();
        let answer = self.send(&prepared).await;
        let mut outcome = Outcome {
            took: began.elapsed(),
            end: answer.status().as_u16().to_string(),
            ..Outcome::default()
        };
        let body = answer.text().await.expect("the answer is text");
        outcome.calls = self.calls_since(&calls_before).await;
        if let Some(rule) = rule {
            outcome.hits = rule.hits().await;
        }
        let mut second_status = None;
        if outcome.end != "200" {
            outcome.reason = match element_text(&body, "summary") {
                "" => body.trim().to_owned(),
                summary => summary.to_owned(),
            };
            second_status = Some(self.send(&prepared).await.status());
        }
        match prepared {
            Prepared::Create(upload) => self.check_created(&upload, &mut outcome).await,
            Prepared::Kill(id) => self.check_killed(id, &mut outcome).await,
            Prepared::CreatePush(upload) => {
                let file = &disk::disk().await.xz;
                for id in self.stack.jobs_of(&upload.package).await {
                    if self.stack.is_running(id).await {
                        self.stack.push_until_over(id, file).await;
                    }
                }
                self.check_created(&upload, &mut outcome).await;
            }
            Prepared::PushState(id) | Prepared::PartUrls(id) => {
                self.stack.kill(id).await;
                self.check_killed(id, &mut outcome).await;
            }
            Prepared::PushDone(id) => self.check_pushed(id, &mut outcome).await,
            _ => {}
        }
        expectation::check(case, &mut outcome);
        if let Some(status) = second_status
            && !status.is_success()
        {
            let unmet = format!("sent again, it is answered by {status}");
            outcome.unmet.push(unmet);
        }
        outcome
    }

    async fn prepare(&self, request: Request) -> Prepared {
        let finished = self.finished_job.id();
        match request {
            Request::Create => Prepared::Create(self.upload_of_own_package().await),
            Request::Status => Prepared::Status(finished),
            Request::List => Prepared::List(finished),
            Request::ListAll => Prepared::ListAll,
            Request::Log => Prepared::Log(finished),
            Request::Kill => {
                let upload = self.disk_upload().via(Route::Import);
                let id = self.stack.create(&upload).await.id();
                // The execution waits for the import then, and the kill has to end the wait.
                let _ = poll(|| self.stack.logs(id, "Importing")).await;
                Prepared::Kill(id)
            }
            Request::CreatePush => {
                let mut upload = self.disk_upload();
                upload.package = upload.user.clone();
                Prepared::CreatePush(upload)
            }
            Request::PushState => Prepared::PushState(self.waiting_push().await),
            Request::PartUrls => Prepared::PartUrls(self.waiting_push().await),
            Request::PushDone => {
                let id = self.waiting_push().await;
                self.stack.push_missing(id, &disk::disk().await.xz).await;
                Prepared::PushDone(id)
            }
        }
    }

    /// A job that waits for its file.
    async fn waiting_push(&self) -> JobId {
        let size = disk::disk().await.xz.len();
        let job = self.stack.create_push(&self.disk_upload(), size).await;
        let waits = "to be pushed";
        let _ = poll(|| self.stack.logs(job.id(), waits)).await;
        job.id()
    }

    async fn send(&self, prepared: &Prepared) -> Response {
        let path = match prepared {
            Prepared::Create(upload) => return self.stack.post(upload).await,
            Prepared::Kill(id) => return self.stack.request_kill(*id).await,
            Prepared::CreatePush(upload) => {
                let size = disk::disk().await.xz.len();
                return self.stack.post_push(upload, size).await;
            }
            Prepared::PartUrls(id) => return self.stack.post_push_parts(*id, &[1], 1).await,
            Prepared::PushDone(id) => {
                let sum = crc32(&disk::disk().await.xz);
                return self.stack.post_push_done(*id, &sum).await;
            }
            Prepared::PushState(id) => format!("/v1/jobs/{id}/push"),
            Prepared::Status(id) => format!("/cloudupload/{id}"),
            Prepared::List(id) => format!("/cloudupload?name={id}"),
            Prepared::ListAll => "/cloudupload".to_owned(),
            Prepared::Log(id) => format!("/cloudupload/{id}/_log?nostream=1"),
        };
        self.stack.get(&path).await
    }

    /// One of the upload's jobs has to succeed, and none may stay open. There are two jobs if the first call took
    /// effect and was answered by an error; then one of them fails, as the other has taken the AMI name.
    async fn check_created(&self, upload: &Upload, outcome: &mut Outcome) {
        let mut succeeded = false;
        for id in self.stack.jobs_of(&upload.package).await {
            self.wait_until_idle(id).await;
            let before_sweep = self.stack.job(id).await;
            if !before_sweep.is_final() {
                outcome.leftovers.push(format!("open job {id}"));
            }
            self.collect_leftovers(&self.stack, &before_sweep, outcome)
                .await;
            let job = self.stack.job(id).await;
            succeeded |= job.state() == "succeeded";
            if !job.is_final() {
                outcome.unmet.push(format!("it stays open: {job:?}"));
            }
            self.check_and_remove_ami(&self.stack, &job, outcome).await;
        }
        if !succeeded {
            outcome.unmet.push("none of its jobs succeeds".to_owned());
        }
    }

    /// The job has to succeed, at the latest after the next run of the sweeper.
    async fn check_pushed(&self, id: JobId, outcome: &mut Outcome) {
        self.stack.sweep().await;
        let job = self.final_job(id).await;
        self.wait_until_idle(id).await;
        if job.state() != "succeeded" {
            outcome.unmet.push(format!("it does not succeed: {job:?}"));
        }
        self.collect_leftovers(&self.stack, &job, outcome).await;
        self.check_and_remove_ami(&self.stack, &job, outcome).await;
    }

    async fn check_killed(&self, id: JobId, outcome: &mut Outcome) {
        let killed = Instant::now();
        self.wait_until_stopped(id).await;
        outcome.stopped_after = Some(killed.elapsed());
        let job = self.stack.job(id).await;
        if (job.state(), job.details()) != ("failed", "killed") {
            outcome
                .unmet
                .push(format!("the job is not killed: {job:?}"));
        }
        self.collect_leftovers(&self.stack, &job, outcome).await;
    }
}
