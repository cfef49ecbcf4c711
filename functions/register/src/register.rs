//! Registers the AMI.

use account::{Purpose, Session};
use cloudupload::{
    environment::Environment,
    function::StartError,
    job::{Artifacts, Intent, Unrecorded},
    messages::{JobAlone, JobMessage},
    settings::setting,
    step::{Invocation, Step, StepError},
};

pub struct Register {
    deployment: String,
}

impl Step for Register {
    const NAME: &str = "register";
    type Input = JobAlone;
    type Output = JobMessage;

    fn from_env(_: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            deployment: setting("DEPLOYMENT")?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, JobAlone>) -> Result<JobMessage, StepError> {
        let Environment { config, jobs, .. } = invocation.environment;
        let job = &invocation.job;
        let (Some(snapshot), Some(disk)) = (&job.artifacts.snapshot, &job.artifacts.disk_facts)
        else {
            return Err(Unrecorded("snapshot").into());
        };
        let session = Session::assume(config, job, &self.deployment, Purpose::Register).await?;
        let found = Artifacts::default();
        jobs.intend(job.id, Intent::Register, &found).await?;
        let ami = session.ami().register(snapshot, disk.boot).await?;
        let update = Artifacts {
            ami: Some(ami),
            ..Artifacts::default()
        };
        jobs.record(job.id, &update).await?;
        Ok(JobMessage { job: job.id })
    }
}
