//! Seals the target of the job's route.

use account::{Accounts, Purpose};
use cloudupload::{
    environment::Environment,
    error::StepError,
    messages::{PollOutput, SealInput},
    step::{Invocation, Step},
};

pub struct Seal {
    accounts: Accounts,
}

impl Step for Seal {
    const NAME: &str = "seal";
    type Input = SealInput;
    type Output = PollOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            accounts: Accounts::from_env(environment)?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, SealInput>) -> Result<PollOutput, StepError> {
        let jobs = &invocation.environment.jobs;
        let job = &invocation.job;
        let session = self.accounts.session(job, Purpose::Seal).await?;
        let route = session.route(jobs, invocation.environment.log(job.id));
        let (line, wait) = route.seal(&invocation.input.slices).await?;
        invocation.log(line).await;
        Ok(PollOutput {
            job: job.id,
            done: false,
            wait,
        })
    }
}
