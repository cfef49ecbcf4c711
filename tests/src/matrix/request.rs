//! A request to the API while a call of it fails.

use std::time::{Duration, Instant};

use reqwest::Response;

use super::{
    bar,
    bench::{Bench, STUCK},
    cell::{Cell, Outcome},
    way::Request,
};
use crate::{Job, Upload};

/// What is asked for.
struct Subject {
    upload: Upload,
    /// The job that the request names.
    id: String,
}

impl Bench {
    pub async fn run_request(&self, cell: &Cell, request: Request) -> Outcome {
        let subject = self.subject(request).await;
        let rule = match cell.breaks.rule(None) {
            Some(rule) => Some(self.faults.rule(rule).await),
            None => None,
        };
        let before = self.calls().await;
        let began = Instant::now();
        let answer = self.ask(request, &subject).await;
        let mut outcome = Outcome {
            seconds: began.elapsed().as_secs_f64(),
            end: answer.status().as_u16().to_string(),
            ..Outcome::default()
        };
        let body = answer.text().await.expect("the answer is text");
        outcome.made = self.calls_since(&before).await;
        if let Some(rule) = rule {
            outcome.hits = rule.hits().await;
        }
        let mut again = None;
        if outcome.end != "200" {
            outcome.reason = match (Job { xml: body.clone() }).field("summary") {
                "" => body.trim().to_owned(),
                summary => summary.to_owned(),
            };
            // Whoever gets an error simply asks again.
            again = Some(self.ask(request, &subject).await.status());
        }
        match request {
            Request::Create => self.after_create(&subject, &mut outcome).await,
            Request::Kill => self.after_kill(&subject, &mut outcome).await,
            _ => {}
        }
        outcome.misses.extend(bar::misses(cell, &outcome));
        outcome.late = bar::late(cell, &outcome);
        if let Some(status) = again
            && !status.is_success()
        {
            outcome
                .misses
                .push(format!("asked again, it answers {status}"));
        }
        outcome
    }

    async fn subject(&self, request: Request) -> Subject {
        match request {
            Request::Create => Subject {
                upload: self.upload_of_own().await,
                id: String::new(),
            },
            Request::Kill => {
                let upload = self.plain_upload();
                let id = self.stack.create(&upload).await.id().to_owned();
                let began = Instant::now();
                // It waits, and the kill has to end the wait.
                while !self.stack.log(&id).await.contains("Importing") && began.elapsed() < STUCK {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Subject { upload, id }
            }
            _ => Subject {
                upload: self.plain_upload(),
                id: self.over.id().to_owned(),
            },
        }
    }

    async fn ask(&self, request: Request, Subject { upload, id }: &Subject) -> Response {
        match request {
            Request::Create => self.stack.post(upload).await,
            Request::Status => self.stack.get(&format!("/cloudupload/{id}")).await,
            Request::List => self.stack.get(&format!("/cloudupload?name={id}")).await,
            Request::ListAll => self.stack.get("/cloudupload").await,
            Request::Log => {
                self.stack
                    .get(&format!("/cloudupload/{id}/_log?nostream=1"))
                    .await
            }
            Request::Kill => self.stack.ask_to_kill(id).await,
        }
    }

    /// One of the jobs succeeds, and none stays open. There may be two that go on: of a call that was answered by an error
    /// after it had taken effect, and of the next. One of them then finds its AMI's name taken by the other.
    async fn after_create(&self, subject: &Subject, outcome: &mut Outcome) {
        let mut succeeded = false;
        for id in self.stack.jobs_of(&subject.upload.package).await {
            self.quiet(&id).await;
            let before = self.stack.job(&id).await;
            if !before.is_final() {
                outcome.left.push(format!("open job {id}"));
            }
            outcome.left.extend(self.left(&self.stack, &before).await);
            let left = self.left_for_good(&self.stack, &before).await;
            outcome.left_for_good.extend(left);
            let job = self.stack.job(&id).await;
            succeeded |= job.state() == "succeeded";
            if !job.is_final() {
                outcome.misses.push(format!("it stays open: {job:?}"));
            }
            self.take_ami(&self.stack, &job, outcome).await;
        }
        if !succeeded {
            outcome.misses.push("none of its jobs succeeds".to_owned());
        }
    }

    async fn after_kill(&self, subject: &Subject, outcome: &mut Outcome) {
        let killed = Instant::now();
        while self.runs(&subject.id).await && killed.elapsed() < STUCK {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        outcome.stopped = Some(killed.elapsed().as_secs_f64());
        let job = self.stack.job(&subject.id).await;
        if (job.state(), job.details()) != ("failed", "killed") {
            outcome
                .misses
                .push(format!("the job is not killed: {job:?}"));
        }
        outcome.left = self.left(&self.stack, &job).await;
        outcome.left_for_good = self.left_for_good(&self.stack, &job).await;
    }
}
