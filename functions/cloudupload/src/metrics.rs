//! Metrics for the operators.
//!
//! They are lines of the functions' log, of which CloudWatch makes metrics (CloudWatch user guide, "Embedding metrics within
//! logs"): no call to AWS, and nothing to lose when a function ends. `docs/operators.md` lists them.

use std::{io, time::Duration};

use lambda_runtime::tracing;
use metrics::{Label, Unit};
use metrics_cloudwatch_embedded::{Builder, Collector};

use crate::{
    cost::Bill,
    error::StepError,
    job::{Job, State, Usage},
    messages::Caught,
    settings::{SettingError, setting},
    target::Route,
};

const JOBS: &str = "Jobs";
const JOB_SECONDS: &str = "JobSeconds";
const STATE_SECONDS: &str = "StateSeconds";
const UPLOAD_SECONDS: &str = "UploadSeconds";
const IMAGE_BYTES: &str = "ImageBytes";
const JOBS_WAITING: &str = "JobsWaiting";
const JOBS_UPLOADING: &str = "JobsUploading";
const EVENTS_UNSENT: &str = "EventsUnsent";
const BYTES: &str = "Bytes";
const RETRIES: &str = "Retries";
const STEPS_RETRIED: &str = "StepsRetried";
const PUTS_THROTTLED: &str = "PutsThrottled";
const DOLLARS: &str = "Dollars";
const GB_SECONDS: &str = "GbSeconds";
const CANARY_IMAGES: &str = "CanaryImages";
const CANARY_SECONDS: &str = "CanarySeconds";

/// The metrics of one function.
#[derive(Clone, Copy)]
pub struct Metrics(&'static Collector);

impl Metrics {
    /// Makes the macros of the crate `metrics` count here.
    pub fn from_env() -> Result<Self, lambda_runtime::Error> {
        let collector = Builder::new().cloudwatch_namespace(setting("METRICS_NAMESPACE")?);
        let collector = collector.init().map_err(|error| SettingError::Unusable {
            name: "METRICS_NAMESPACE",
            reason: error.to_string(),
        })?;
        describe();
        Ok(Self(collector))
    }

    /// Writes what was counted since the last time. That a line is lost is no reason to fail.
    pub fn flush(self) {
        if let Err(error) = self.0.flush(io::stdout()) {
            tracing::error!("the metrics were not written: {error}");
        }
    }
}

fn describe() {
    for name in [JOB_SECONDS, STATE_SECONDS, UPLOAD_SECONDS, CANARY_SECONDS] {
        metrics::describe_histogram!(name, Unit::Seconds, "");
    }
    for name in [IMAGE_BYTES, BYTES] {
        metrics::describe_counter!(name, Unit::Bytes, "");
    }
    for name in [JOBS, RETRIES, STEPS_RETRIED, PUTS_THROTTLED] {
        metrics::describe_counter!(name, Unit::Count, "");
    }
    for name in [JOBS_WAITING, JOBS_UPLOADING, EVENTS_UNSENT, CANARY_IMAGES] {
        metrics::describe_gauge!(name, Unit::Count, "");
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Succeeded,
    /// By its user.
    Killed,
    /// It could not succeed: its image, its role or its wishes did not allow that.
    Refused,
    /// OBS or AWS was in trouble for longer than the workflow tried.
    Trouble,
    /// A function died, or the execution.
    Lost,
}

impl End {
    /// The end of a job that is final, and the error that its workflow caught, if it did.
    pub fn of(job: &Job, error: Option<&Caught>) -> Self {
        if job.state == State::Succeeded {
            return End::Succeeded;
        }
        if job.is_killed() {
            return End::Killed;
        }
        match error.map(|caught| caught.error.as_str()) {
            Some(StepError::FAILED) => End::Refused,
            Some(StepError::TRANSIENT) => End::Trouble,
            _ => End::Lost,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            End::Succeeded => "succeeded",
            End::Killed => "killed",
            End::Refused => "refused",
            End::Trouble => "trouble",
            End::Lost => "lost",
        }
    }
}

/// Counts a job that has ended.
pub fn job_ended(job: &Job, end: End) {
    let route = route(job);
    let of_both = vec![Label::new("End", end.as_str()), Label::new("Route", route)];
    metrics::counter!(JOBS, of_both).increment(1);
    for (state, time) in job.times_in_states() {
        metrics::histogram!(STATE_SECONDS, "State" => state.as_str()).record(time.as_secs_f64());
    }
    let Some(ended) = job.ended else { return };
    if end == End::Succeeded {
        let seconds = |duration: Duration| duration.as_secs_f64();
        metrics::histogram!(JOB_SECONDS, "Route" => route)
            .record(seconds(ended.since(job.created)));
        metrics::counter!(IMAGE_BYTES, "Route" => route).increment(job.request.size);
        if let Some(began) = job.artifacts.upload_began {
            metrics::histogram!(UPLOAD_SECONDS, "Route" => route)
                .record(seconds(ended.since(began)));
        }
    }
}

/// Counts what a job cost that has ended, by who pays, and the functions' share of it as Lambda bills them. CloudWatch has
/// no unit for either.
pub fn job_cost(usage: &Usage, bill: &Bill) {
    metrics::histogram!(DOLLARS, "Payer" => "service").record(bill.service);
    metrics::histogram!(DOLLARS, "Payer" => "user").record(bill.user);
    metrics::histogram!(GB_SECONDS).record(usage.gb_seconds());
}

/// The route that was taken; a job may end before that is known.
fn route(job: &Job) -> &'static str {
    job.artifacts.route.map_or("none", Route::as_str)
}

/// How many jobs wait for a slot, and how many have one.
pub fn slots(waiting: usize, uploading: usize) {
    metrics::gauge!(JOBS_WAITING).set(waiting as f64);
    metrics::gauge!(JOBS_UPLOADING).set(uploading as f64);
}

/// How many events of changes of jobs' states EventBridge does not have, although they are late.
pub fn events_unsent(count: usize) {
    metrics::gauge!(EVENTS_UNSENT).set(count as f64);
}

/// What an invocation of a step moved, and the calls that it repeated for that.
pub fn moved(step: &'static str, bytes: u64, retries: u32) {
    metrics::counter!(BYTES, "Step" => step).increment(bytes);
    metrics::counter!(RETRIES, "Step" => step).increment(retries.into());
}

/// A step is to be called again, because something outside is in trouble.
pub fn step_retried(step: &'static str) {
    metrics::counter!(STEPS_RETRIED, "Step" => step).increment(1);
}

/// EBS throttled a put.
pub fn put_throttled() {
    metrics::counter!(PUTS_THROTTLED).increment(1);
}

/// How long the canary's image took to become an AMI and to be removed again, if it did. A gauge, as a counter does not tell
/// that it is still 0.
pub fn canary(took: Option<Duration>) {
    metrics::gauge!(CANARY_IMAGES).set(if took.is_some() { 1.0 } else { 0.0 });
    if let Some(took) = took {
        metrics::histogram!(CANARY_SECONDS).record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{clock::Timestamp, job::example};

    fn ended(state: State) -> Job {
        let mut job = Job {
            state,
            ended: Some(Timestamp::from_secs(1795445844 + 60)),
            ..example()
        };
        job.artifacts.route = Some(Route::Direct);
        job.artifacts.upload_began = Some(Timestamp::from_secs(1795445844 + 20));
        job
    }

    /// In one test, because a process has one collector. Other tests may count something else meanwhile.
    #[test]
    fn what_is_counted_is_written_as_cloudwatch_reads_it() {
        let builder = Builder::new().cloudwatch_namespace("cloudupload");
        let collector = builder.with_timestamp(1).init().unwrap();
        describe();
        let flush = || {
            let mut lines = Vec::new();
            collector.flush(&mut lines).unwrap();
            let lines = str::from_utf8(&lines).unwrap().lines();
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<Value>>()
        };
        job_ended(&ended(State::Succeeded), End::Succeeded);
        slots(0, 2);
        events_unsent(3);
        let usage = Usage {
            function_mib_ms: 2048 * 1000,
            ..Usage::default()
        };
        let (service, user) = (0.001, 0.02);
        job_cost(&usage, &Bill { service, user });
        let lines = flush();
        let line = |metric: &str| lines.iter().find(|line| line[metric] != Value::Null);
        assert_eq!(
            *line("Jobs").unwrap(),
            json!({
                "_aws": {"Timestamp": 1, "CloudWatchMetrics": [{
                    "Namespace": "cloudupload",
                    "Dimensions": [["End", "Route"]],
                    "Metrics": [{"Name": "Jobs", "Unit": "Count"}],
                }]},
                "End": "succeeded", "Route": "direct", "Jobs": 1,
            })
        );
        let measured = line("JobSeconds").unwrap();
        assert_eq!(measured["Route"], "direct");
        assert_eq!(measured["JobSeconds"], json!([60.0]));
        assert_eq!(measured["UploadSeconds"], json!([40.0]));
        assert_eq!(measured["ImageBytes"], 23097940);
        let queue = line("JobsWaiting").unwrap();
        assert_eq!(queue["JobsWaiting"], 0.0);
        assert_eq!(queue["JobsUploading"], 2.0);
        assert_eq!(queue["EventsUnsent"], 3.0);
        let uploading = lines.iter().find(|line| line["State"] == "uploading");
        assert_eq!(uploading.unwrap()["StateSeconds"], json!([40.0]));
        let paid_by = |payer| lines.iter().find(|line| line["Payer"] == payer).unwrap();
        assert_eq!(paid_by("service")["Dollars"], json!([0.001]));
        assert_eq!(paid_by("user")["Dollars"], json!([0.02]));
        assert_eq!(line("GbSeconds").unwrap()["GbSeconds"], json!([2.0]));
        let canary_line = |lines: &[Value]| {
            let line = lines
                .iter()
                .find(|line| line["CanaryImages"] != Value::Null);
            line.unwrap().clone()
        };
        canary(Some(Duration::from_secs(90)));
        let made = canary_line(&flush());
        assert_eq!(made["CanaryImages"], 1.0);
        assert_eq!(made["CanarySeconds"], json!([90.0]));
        canary(None);
        let none = canary_line(&flush());
        assert_eq!(none["CanaryImages"], 0.0);
        assert_eq!(none["CanarySeconds"], Value::Null);
        // What did not happen again is not written again.
        assert!(flush().iter().all(|line| line["Jobs"] == Value::Null));
    }

    #[test]
    fn an_end_is_told_by_the_error_that_was_caught() {
        let caught = |error: &str| Caught::because(error);
        let failed = ended(State::Failed);
        for (error, end) in [
            (Some(caught("JobFailed")), End::Refused),
            (Some(caught("Passing")), End::Trouble),
            (Some(caught("States.Timeout")), End::Lost),
            (None, End::Lost),
        ] {
            assert_eq!(End::of(&failed, error.as_ref()), end);
        }
        let killed = Job {
            details: Job::KILLED.to_owned(),
            ..failed
        };
        assert_eq!(End::of(&killed, Some(&caught("JobEnded"))), End::Killed);
        assert_eq!(End::of(&ended(State::Succeeded), None), End::Succeeded);
    }
}
