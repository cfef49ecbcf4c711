//! What each request does.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use cloudupload::{
    aws::{self, CallBudget},
    clock::Timestamp,
    environment::Environment,
    job::{Job, JobId, UploadRequest},
    journal::{Journal, Log},
    machine::{TaskTokens, UploadMachine},
    obs::{BuildPath, Obs},
    settings::{parsed, setting},
    store::{Jobs, StoreError},
    target::{Partition, ServiceIdentity},
};
use lambda_http::{
    Body, Error,
    aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    http::Method,
    tracing::{self, Instrument, Span},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    answer::{self, Answer, LIMIT, Problem, json_length},
    log::LogQuery,
    request::Request,
    route::{Create, Operation},
    xml,
};

/// How long a request may take. API Gateway gives up on an answer after 30 s, and says so in JSON (API Gateway developer
/// guide, "Quotas for HTTP APIs").
const PATIENCE: Duration = Duration::from_secs(28);

/// How long a request for more of a log is held, if there is no more yet.
const FOLLOW: Duration = Duration::from_secs(20);

/// How often a log is looked at meanwhile. CloudWatch Logs answers to 10 GetLogEvents a second in an account (CloudWatch
/// Logs user guide, "Quotas").
const LOOK: Duration = Duration::from_secs(2);

/// What the API works with.
pub struct Api {
    pub jobs: Jobs,
    pub journal: Journal,
    pub obs: Obs,
    pub machine: UploadMachine,
    pub tokens: TaskTokens,
    pub service: ServiceIdentity,
    pub first_job: JobId,
}

/// Answers a request, whatever happens: what breaks on the way is told in XML too.
pub async fn answer(api: Arc<Api>, event: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
    let method = event.request_context.http.method.clone();
    let path = event.raw_path.clone().unwrap_or_default();
    let handled = async move {
        let request = Request::from(event);
        tracing::info!(%method, path, request = request.id, "asked");
        let answer = timeout(PATIENCE, api.handle(&request))
            .await
            .unwrap_or_else(|_| {
                let seconds = PATIENCE.as_secs();
                Err(Problem::of_status(
                    504,
                    format!("no answer within {seconds} s: try again"),
                ))
            })
            .inspect_err(log_problem);
        let mut response = answer::response(answer);
        if request.method == Method::HEAD {
            response.body = Some(Body::Empty);
        }
        response
    };
    // A task of its own, so that a panic ends only that; in the span that has the Lambda request's id.
    let answered = tokio::spawn(handled.instrument(Span::current()));
    answered.await.unwrap_or_else(|panic| {
        let problem = Problem::of_status(500, "internal error: see the log of the function api");
        tracing::error!("the request ended in a panic: {panic}");
        answer::response(Err(problem))
    })
}

fn log_problem(problem: &Problem) {
    let Problem {
        status, summary, ..
    } = problem;
    if *status < 500 {
        tracing::info!(status, "refused: {summary}");
    } else {
        tracing::error!(status, "failed: {summary}");
    }
}

impl Api {
    pub async fn from_env() -> Result<Self, Error> {
        let Environment {
            config,
            jobs,
            journal,
        } = Environment::from_env(CallBudget::Request).await?;
        let region = setting("AWS_REGION")?;
        let states = aws_sdk_sfn::Client::new(&config);
        Ok(Self {
            jobs,
            journal,
            obs: Obs::new(&setting("OBS_URL")?)?,
            machine: UploadMachine::new(states.clone(), setting("UPLOAD_MACHINE_ARN")?),
            tokens: TaskTokens::new(states),
            service: ServiceIdentity {
                account: parsed("SERVICE_ACCOUNT")?,
                partition: Partition::of_region(&region),
            },
            first_job: parsed("FIRST_JOB")?,
        })
    }

    async fn handle(&self, request: &Request) -> Result<Answer, Problem> {
        match Operation::of(request, &self.service)? {
            Operation::Create(wanted) => self.create(*wanted).await,
            Operation::List(names) => self.list(&names).await,
            Operation::ListAll => self.list_all().await,
            Operation::Status(job) => Ok(Answer::Xml(xml::job(&self.jobs.get(job).await?))),
            Operation::Kill(job) => self.kill(job).await,
            Operation::Log(job, query) => self.log(job, query).await,
        }
    }

    async fn create(&self, wanted: Create) -> Result<Answer, Problem> {
        let path = BuildPath {
            project: &wanted.project,
            repository: &wanted.repository,
            arch: wanted.arch,
            package: &wanted.package,
        };
        let file = self.obs.find(path, wanted.filename.as_ref()).await?;
        if file.size == 0 {
            return Err(Problem::bad("upload image is empty"));
        }
        let filename = match wanted.filename {
            Some(filename) => filename,
            None => file.filename.parse()?,
        };
        let request = UploadRequest {
            ec2: wanted.params.of(&filename),
            user: wanted.user,
            target: wanted.target,
            project: wanted.project,
            repository: wanted.repository,
            package: wanted.package,
            arch: wanted.arch,
            filename,
            size: file.size,
        };
        let job = self.jobs.create(request, self.first_job).await?;
        if let Err(failure) = self.machine.start(job.id).await {
            return Err(self.give_up(&job, &failure).await);
        }
        Ok(Answer::Xml(xml::job(&job)))
    }

    /// Ends a job that nothing works on, so that it does not wait for ever; the caller may ask for a new one.
    async fn give_up(&self, job: &Job, failure: &aws::Failure) -> Problem {
        let reason = format!("the upload could not be started: {failure}");
        if let Err(error) = self.jobs.fail(job.id, &reason).await {
            tracing::error!(job = %job.id, "the job stays without an execution: {error}");
        }
        Problem::of_status(500, reason)
    }

    async fn list(&self, names: &[Option<JobId>]) -> Result<Answer, Problem> {
        let ids: BTreeSet<JobId> = names.iter().copied().flatten().collect();
        let jobs = self.jobs.get_many(ids).await?;
        let mut entries = Vec::with_capacity(names.len());
        let mut length = 0;
        let found = names.iter().flatten().filter_map(|id| jobs.get(id));
        for job in found.filter_map(|job| readable(job.as_ref())) {
            let entry = xml::list_entry(job);
            length = lengthened(length, &entry)?;
            entries.push(entry);
        }
        Ok(Answer::Xml(xml::job_list(&entries)))
    }

    async fn list_all(&self) -> Result<Answer, Problem> {
        let mut entries = BTreeMap::new();
        let mut length = 0;
        let mut from = None;
        loop {
            let (jobs, next) = self.jobs.page(from).await?;
            for job in jobs.iter().filter_map(|job| readable(job.as_ref())) {
                let entry = xml::list_entry(job);
                length = lengthened(length, &entry)?;
                entries.insert(job.id, entry);
            }
            if next.is_none() {
                let entries: Vec<String> = entries.into_values().collect();
                return Ok(Answer::Xml(xml::job_list(&entries)));
            }
            from = next;
        }
    }

    /// Killing what is final already changes nothing and is no error. Whatever works on the job sees that it is final;
    /// what waits is told.
    async fn kill(&self, id: JobId) -> Result<Answer, Problem> {
        let job = match self.jobs.fail(id, Job::KILLED).await {
            Err(StoreError::Superseded(job)) => *job,
            killed => {
                let job = killed?;
                self.journal.of(id).line("Killed.").await;
                job
            }
        };
        if let Some(token) = &job.token
            && let Err(failure) = self.tokens.fail(token).await
        {
            tracing::error!(job = %id, "the sweeper will have to end the wait: {failure}");
        }
        Ok(Answer::Xml(xml::job(&job)))
    }

    async fn log(&self, id: JobId, query: LogQuery) -> Result<Answer, Problem> {
        let deadline = Instant::now() + FOLLOW;
        let mut log = Log::default();
        loop {
            // In this order: what was written before the job became final is in a log that is read after.
            let job = self.jobs.get(id).await?;
            self.journal.read_on(id, &mut log).await?;
            if query.only_entry {
                let modified = log.modified.max(job.created);
                return Ok(Answer::Xml(xml::log_directory(log.text.len(), modified)));
            }
            let part = query.range(log.text.len())?;
            let has_more = part.start < log.text.len();
            if has_more || query.at_once || is_silent(&job) || Instant::now() >= deadline {
                return log_part(&log.text, part);
            }
            sleep(LOOK).await;
        }
    }
}

/// Seconds after which CloudWatch Logs shows what was written last. It promises none.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Whether there is nothing to wait for: the job has its end in its log. What its clean-up may add comes with the next
/// request.
fn is_silent(job: &Job) -> bool {
    let ended = job.ended.unwrap_or(job.created);
    job.state.is_final() && Timestamp::now() > ended + SHOWN_WITHIN
}

/// A job of a list. One whose record cannot be read is no reason to keep back the others: the function's log tells of it.
fn readable<'a>(job: Result<&'a Job, &StoreError>) -> Option<&'a Job> {
    job.inspect_err(|error| tracing::error!("left out of a list: {error}"))
        .ok()
}

/// The length of a list with one entry more, if it still fits in an answer.
fn lengthened(length: usize, entry: &str) -> Result<usize, Problem> {
    let length = length + json_length(entry);
    if length > LIMIT {
        return Err(Problem::bad(
            "there are more jobs than fit in one answer: ask for some of them, with name=",
        ));
    }
    Ok(length)
}

/// A part of a log, if it fits in an answer. One that begins or ends within a character goes in base64.
fn log_part(log: &str, part: Range<usize>) -> Result<Answer, Problem> {
    let length = match log.get(part.clone()) {
        Some(text) => json_length(text),
        None => part.len().div_ceil(3) * 4,
    };
    if length > LIMIT {
        return Err(Problem::bad(format!(
            "{} bytes of log do not fit in one answer: ask for parts of at most {} bytes, with start= and end=",
            part.len(),
            LIMIT / 2
        )));
    }
    Ok(Answer::Log(log.as_bytes()[part].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_log_fits_in_an_answer_or_is_refused() {
        let log = "ü\n".repeat(LIMIT / 4);
        assert_eq!(log_part(&log, 0..3), Ok(Answer::Log("ü\n".into())));
        assert_eq!(log_part(&log, 1..3), Ok(Answer::Log(vec![0xbc, b'\n'])));
        let log = "\n".repeat(LIMIT);
        assert!(log_part(&log, 0..LIMIT / 2).is_ok());
        let summary = format!(
            "{LIMIT} bytes of log do not fit in one answer: ask for parts of at most {} bytes, with start= and end=",
            LIMIT / 2
        );
        assert_eq!(log_part(&log, 0..LIMIT), Err(Problem::bad(summary)));
        let log = "ü".repeat(LIMIT / 2);
        assert!(log_part(&log, 0..LIMIT).is_ok());
        assert!(log_part(&log, 1..LIMIT - 1).is_err());
    }
}
