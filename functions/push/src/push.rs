//! Notes by which token the execution waits for the file.

use cloudupload::{
    environment::Environment,
    error::StepError,
    job::{Job, JobId, State},
    machine::TaskTokens,
    messages::{JobMessage, PushInput},
    step::{Invocation, Step},
};

pub struct Push {
    tokens: TaskTokens,
}

impl Step for Push {
    const NAME: &str = "push";
    type Input = PushInput;
    type Output = JobMessage;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            tokens: TaskTokens::new(aws_sdk_sfn::Client::new(&environment.config)),
        })
    }

    async fn open(&self, environment: &Environment, id: JobId) -> Result<Job, StepError> {
        let details = "receiving image";
        let job = environment
            .jobs
            .advance(id, State::Receiving, details)
            .await;
        Ok(job?)
    }

    /// Whichever comes last, the token or the file, lets the execution go on: a file that came before is in the record that
    /// the token is written into.
    async fn run(&self, invocation: &Invocation<'_, PushInput>) -> Result<JobMessage, StepError> {
        let jobs = &invocation.environment.jobs;
        let (before, token) = (&invocation.job, &invocation.input.token);
        let job = jobs.set_push_token(before.id, token).await?;
        if job.artifacts.pushed() {
            self.tokens.succeed(token).await?;
        } else if before.token.is_none() {
            let request = &job.request;
            invocation
                .log(format!(
                    "Waiting for {}, {} bytes, to be pushed",
                    request.filename, request.size
                ))
                .await;
        }
        Ok(JobMessage { job: job.id })
    }
}
