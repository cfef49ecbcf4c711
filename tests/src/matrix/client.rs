//! Clients that push a file, while a call of theirs fails: the programs themselves, between them and the service a proxy
//! that breaks one call.

mod client_proxy;
mod osc;
mod relay;

use std::{
    fmt,
    time::{Duration, Instant},
};

use client_proxy::ClientProxy;
use osc::Osc;
use relay::Relay;
use tokio::time::{sleep, timeout};

use super::{
    case::{Case, Injection},
    expectation,
    harness::Harness,
    outcome::Outcome,
};
use crate::{JobId, Upload, poll, wait::WAIT_TIMEOUT};

/// A program that pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    Osc,
    Relay,
}

/// The ways in which a client's call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFault {
    /// The connection breaks before the service has the call.
    Broken,
    /// The service has the call, and the connection breaks.
    AnswerLost,
    /// The service has the call, and there is no answer.
    Silent,
    /// API Gateway or S3 answers 503.
    Unavailable,
    /// No call gets through for a while.
    Away,
    /// S3 says that the URL has expired.
    Expired,
    /// The client gets a SIGKILL before the service has the call.
    KilledBefore,
    /// The client gets a SIGKILL, and the service has the call.
    KilledAfter,
    /// A second client begins with the same job.
    Second,
    JobKilled,
}

/// The time for which no call gets through.
const AWAY: Duration = Duration::from_secs(10);

/// The times that a user starts a push before giving it up.
const ATTEMPTS: u32 = 3;

/// The details of a job that nobody goes on with, a day later.
const GIVEN_UP: &str = "no part of the file was pushed for 24 hours: create another job";

/// The call that puts a part.
const PUT: &str = "PUT of a part";

impl Client {
    pub const ALL: [Self; 2] = [Self::Osc, Self::Relay];
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Osc => "osc",
            Self::Relay => "the relay",
        })
    }
}

impl ClientFault {
    pub const ALL: [Self; 10] = [
        Self::Broken,
        Self::AnswerLost,
        Self::Silent,
        Self::Unavailable,
        Self::Away,
        Self::Expired,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Second,
        Self::JobKilled,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Broken => "broken once",
            Self::AnswerLost => "answer lost once",
            Self::Silent => "silent once",
            Self::Unavailable => "503 once",
            Self::Away => "nothing for 10 s",
            Self::Expired => "URL expired",
            Self::KilledBefore => "client killed before",
            Self::KilledAfter => "client killed after",
            Self::Second => "a second client",
            Self::JobKilled => "job killed",
        }
    }

    /// Whether this can happen to a call.
    pub fn suits(self, call: &str) -> bool {
        match self {
            Self::Expired => call == PUT,
            // There has to be a job.
            Self::Second | Self::JobKilled => !creates(call),
            _ => true,
        }
    }

    pub fn kills_client(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

/// Whether a call makes a job.
pub fn creates(call: &str) -> bool {
    ["POST /v1/jobs", "POST /cloudupload"].contains(&call)
}

/// Whether a call says that the file is complete.
pub fn completes(call: &str) -> bool {
    call.ends_with("/push/done")
}

/// The program that a case runs.
enum Program<'a> {
    Osc(Osc<'a>),
    Relay(Box<Relay<'a>>),
}

impl Program<'_> {
    /// Pushes the file, with a new job unless one is given. The error is what the program says.
    async fn push(&self, job: Option<JobId>) -> Result<(), String> {
        let push = async {
            match self {
                Self::Osc(osc) => osc.push(job).await,
                Self::Relay(relay) => relay.push(job).await,
            }
        };
        let ended = timeout(WAIT_TIMEOUT, push).await;
        ended.unwrap_or_else(|_| Err("it does not end".to_owned()))
    }
}

impl Harness {
    pub async fn run_client(&self, case: &Case, client: Client) -> Outcome {
        let fault = match &case.injection {
            Injection::Client { call, fault } => Some((call.as_str(), *fault)),
            _ => None,
        };
        let proxy = ClientProxy::start(fault).await;
        let mut upload = self.upload("disk.raw");
        upload.package = upload.user.clone();
        let program = match client {
            Client::Osc => Program::Osc(Osc::new(self, &proxy, &upload).await),
            Client::Relay => Program::Relay(Box::new(Relay::new(&proxy, &upload).await)),
        };
        let began = Instant::now();
        let mut outcome = Outcome::default();
        tokio::join!(
            self.push_as_user(&program, fault, &upload, &mut outcome),
            self.meanwhile(&program, fault, &upload, &proxy),
        );
        outcome.hits = proxy.hits();
        outcome.client_calls = proxy.calls();
        self.check_pushed_jobs(&upload, &mut outcome).await;
        outcome.took = began.elapsed();
        expectation::check(case, &mut outcome);
        outcome
    }

    /// Starts the program again where it fails, as its user would.
    async fn push_as_user(
        &self,
        program: &Program<'_>,
        fault: Option<(&str, ClientFault)>,
        upload: &Upload,
        outcome: &mut Outcome,
    ) {
        outcome.client_failed = true;
        for attempt in 1..=ATTEMPTS {
            let last = self.stack.jobs_of(&upload.package).await.into_iter().max();
            // Only osc goes on with a job. OBS does not send an image again.
            let job = last.filter(|_| matches!(program, Program::Osc(_)));
            outcome.attempts = attempt;
            let Err(said) = program.push(job).await else {
                outcome.client_failed = false;
                return;
            };
            eprintln!("{}: attempt {attempt}: {}", upload.package, said.trim());
            let relay_has_begun = matches!(program, Program::Relay(_))
                && fault.is_some_and(|(call, _)| !creates(call));
            let is_killed = fault.is_some_and(|(_, fault)| fault == ClientFault::JobKilled);
            if relay_has_begun || is_killed {
                return;
            }
            if fault.is_some_and(|(_, fault)| fault == ClientFault::Away) {
                sleep(AWAY).await;
            }
        }
    }

    /// The kill, or the second client, once the fault has hit.
    async fn meanwhile(
        &self,
        program: &Program<'_>,
        fault: Option<(&str, ClientFault)>,
        upload: &Upload,
        proxy: &ClientProxy,
    ) {
        let Some((_, fault @ (ClientFault::Second | ClientFault::JobKilled))) = fault else {
            return;
        };
        if timeout(WAIT_TIMEOUT, proxy.hit()).await.is_err() {
            proxy.release();
            return;
        }
        let jobs = self.stack.jobs_of(&upload.package).await;
        let [job] = jobs[..] else {
            panic!("one job was to be pushed, and there are {jobs:?}");
        };
        match fault {
            ClientFault::JobKilled => {
                self.stack.kill(job).await;
                proxy.release();
            }
            _ => {
                let second = program.push(Some(job)).await;
                proxy.release();
                let is_expected = match (program, &second) {
                    (Program::Osc(_), second) => second.is_ok(),
                    // It takes an image once at a time, and says so before it has read any of it, which may end the connection.
                    (Program::Relay(_), Err(said)) => {
                        said.contains("comes in already") || said.starts_with("error sending")
                    }
                    (Program::Relay(_), Ok(())) => false,
                };
                assert!(is_expected, "the second client: {second:?}");
            }
        }
    }

    /// The last job decides. One before it has nobody who goes on with it, and is given up a day later.
    async fn check_pushed_jobs(&self, upload: &Upload, outcome: &mut Outcome) {
        let mut jobs = self.stack.jobs_of(&upload.package).await;
        jobs.sort();
        let Some(last) = jobs.pop() else {
            outcome.unmet.push("there is no job".to_owned());
            return;
        };
        for id in jobs {
            if self.stack.is_running(id).await {
                let _ = poll(|| self.stack.logs(id, "to be pushed")).await;
                self.stack.age_push(id, 24 * 3600).await;
                self.stack.sweep().await;
            }
            let job = self.final_job(id).await;
            if (job.state(), job.details()) != ("failed", GIVEN_UP) {
                outcome.unmet.push(format!("it is not given up: {job:?}"));
            }
            self.wait_until_idle(id).await;
            self.collect_leftovers(&self.stack, &job, outcome).await;
        }
        let job = self.final_job(last).await;
        self.wait_until_idle(last).await;
        outcome.end = job.state().to_owned();
        outcome.reason = job.details().to_owned();
        self.collect_leftovers(&self.stack, &job, outcome).await;
        self.check_and_remove_ami(&self.stack, &job, outcome).await;
    }
}
