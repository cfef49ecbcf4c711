//! What a function is made of: the tools that it works with, and how it serves its events.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    aws::{self, Patience},
    job::{Job, JobId},
    jobs::Jobs,
    journal::Journal,
    reporter::every_period,
    settings::{SettingError, setting},
    workflow::StepError,
};

/// What every function works with.
#[derive(Clone, Debug)]
pub struct Tools {
    pub config: SdkConfig,
    pub jobs: Jobs,
    pub journal: Journal,
}

impl Tools {
    pub async fn from_env(patience: Patience) -> Result<Self, SettingError> {
        let config = aws::config(patience).await;
        Ok(Self {
            jobs: Jobs::new(
                aws_sdk_dynamodb::Client::new(&config),
                setting("JOBS_TABLE")?,
            ),
            journal: Journal::new(
                aws_sdk_cloudwatchlogs::Client::new(&config),
                setting("JOB_LOG_GROUP")?,
            ),
            config,
        })
    }

    /// The job, if it is still open.
    pub async fn open_job(&self, id: JobId) -> Result<Job, StepError> {
        let job = self.jobs.get(id).await?;
        if job.state.is_final() {
            return Err(StepError::Ended {
                job: id,
                state: job.state,
            });
        }
        Ok(job)
    }

    /// Does a step's work for as long as the job is open: once it is not, because it was killed, the work is dropped.
    pub async fn while_open<T>(
        &self,
        id: JobId,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let look = async || match self.open_job(id).await {
            Err(ended @ StepError::Ended { .. }) => Err(ended),
            // A look that fails is no reason to stop: there will be another.
            _ => Ok(()),
        };
        self.reporting(id, work, look).await
    }

    /// Does a step's work and reports on it every [`PERIOD`](crate::reporter::PERIOD). A report that fails, as it does once
    /// the job is final, drops the work. Why a step will be called again is said in the job's log.
    pub async fn reporting<T>(
        &self,
        id: JobId,
        work: impl Future<Output = Result<T, StepError>>,
        report: impl AsyncFnMut() -> Result<(), StepError>,
    ) -> Result<T, StepError> {
        let done = tokio::select! {
            done = work => done,
            failed = every_period(report) => Err(failed),
        };
        if let Err(StepError::Passing(trouble)) = &done {
            let line = format!("{trouble}; trying again");
            self.journal.of(id).line(line).await;
        }
        done
    }
}

/// When an invocation has only so much of its time left.
pub fn stop_before_end(context: &Context, reserve: Duration) -> Instant {
    let left = context.deadline().duration_since(SystemTime::now());
    Instant::now() + left.unwrap_or_default().saturating_sub(reserve)
}

/// Serves a step: every event goes to `handle`, until Lambda ends the process.
pub async fn serve<Event, Answer, Handle, Handled>(
    handle: Handle,
) -> Result<(), lambda_runtime::Error>
where
    Event: DeserializeOwned,
    Answer: Serialize,
    Handle: Fn(LambdaEvent<Event>) -> Handled,
    Handled: Future<Output = Result<Answer, StepError>>,
{
    lambda_runtime::run(service_fn(handle)).await
}
