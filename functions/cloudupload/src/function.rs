//! What all functions but `api` have in common: they start with the environment, and each of their invocations has a span
//! with the step's name, the job and the try, so that every line of the functions' log can be found by them.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use crate::{
    aws::CallBudget, environment::Environment, error::StepError, job::JobId, metrics::Metrics,
};

/// An event that a function is invoked with.
pub trait Event: DeserializeOwned {
    /// The job that it is about, if it names one.
    fn job(&self) -> Option<JobId>;

    /// The number of times that the workflow has retried the state that sends it.
    fn retries(&self) -> u32 {
        0
    }
}

/// A Lambda function.
pub trait Function: Sized {
    /// Name of the crate and of the binary.
    const NAME: &'static str;
    /// How long its calls to AWS may take.
    const BUDGET: CallBudget = CallBudget::Step;
    type Event: Event;
    type Answer: Serialize;

    fn from_env(environment: Environment) -> Result<Self, Error>;

    /// Handles one event. Lambda ends the process at `deadline`.
    fn handle(
        &self,
        event: Self::Event,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, StepError>>;
}

/// Serves a function: every event goes to it, until Lambda ends the process.
pub async fn serve<F: Function>() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let function = F::from_env(Environment::from_env(F::BUDGET).await?)?;
    let (function, metrics) = (&function, Metrics::from_env()?);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<F::Event>| {
        let (event, context) = event.into_parts();
        let left = context.deadline().duration_since(SystemTime::now());
        let deadline = Instant::now() + left.unwrap_or(Duration::ZERO);
        let span = span_of(F::NAME, &event);
        let answer = function.handle(event, deadline).instrument(span).await;
        metrics.flush();
        answer
    }))
    .await
}

fn span_of(name: &'static str, event: &impl Event) -> Span {
    tracing::info_span!(
        "step",
        step = name,
        job = event.job().map(field::display),
        r#try = event.retries(),
    )
}
