//! Registers the AMI.

use account::{Accounts, Purpose};
use cloudupload::{
    environment::Environment,
    error::StepError,
    job::{Artifacts, Intent, Unrecorded},
    messages::{JobAlone, JobMessage},
    step::{Invocation, Step},
};

pub struct Register {
    accounts: Accounts,
}

impl Step for Register {
    const NAME: &str = "register";
    type Input = JobAlone;
    type Output = JobMessage;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            accounts: Accounts::from_env(environment)?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, JobAlone>) -> Result<JobMessage, StepError> {
        let jobs = &invocation.environment.jobs;
        let job = &invocation.job;
        let (Some(snapshot), Some(disk)) = (&job.artifacts.snapshot, &job.artifacts.disk_facts)
        else {
            return Err(Unrecorded("snapshot").into());
        };
        let session = self.accounts.session(job, Purpose::Register).await?;
        jobs.intend(job.id, Intent::Register).await?;
        let ami = session.ami().register(snapshot, disk.boot).await?;
        let update = Artifacts {
            ami: Some(ami),
            ..Artifacts::default()
        };
        jobs.record(job.id, &update).await?;
        Ok(JobMessage { job: job.id })
    }
}
