//! Seals the target of the job's route.

use account::{
    Purpose, Session,
    route::{Bucket, FIRST_WAIT},
};
use cloudupload::{
    environment::Environment,
    function::StartError,
    messages::{PollOutput, SealInput},
    settings::setting,
    step::{Invocation, Step, StepError},
};

pub struct Seal {
    deployment: String,
}

impl Step for Seal {
    const NAME: &str = "seal";
    type Input = SealInput;
    type Output = PollOutput;

    fn from_env(_: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            deployment: setting("DEPLOYMENT")?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, SealInput>) -> Result<PollOutput, StepError> {
        let Environment { config, jobs, .. } = invocation.environment;
        let job = &invocation.job;
        let session = Session::assume(config, job, &self.deployment, Purpose::Seal).await?;
        let route = Bucket::new(&session, jobs, invocation.environment.log(job.id));
        let slices = &invocation.input.slices;
        let bytes = slices.iter().map(|slice| slice.bytes).sum();
        let line = route.seal(bytes).await?;
        invocation.log(line).await;
        Ok(PollOutput {
            job: job.id,
            done: false,
            wait: FIRST_WAIT,
        })
    }
}
