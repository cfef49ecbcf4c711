//! One look at the snapshot on its way.

use account::{
    Purpose, Session,
    route::{self, Bucket},
};
use cloudupload::{
    environment::Environment,
    function::StartError,
    job::Progress,
    messages::{JobAlone, PollOutput},
    settings::setting,
    step::{Invocation, Step, StepError},
};

pub struct Poll {
    deployment: String,
}

impl Step for Poll {
    const NAME: &str = "poll";
    type Input = JobAlone;
    type Output = PollOutput;

    fn from_env(_: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            deployment: setting("DEPLOYMENT")?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, JobAlone>) -> Result<PollOutput, StepError> {
        let Environment { config, jobs, .. } = invocation.environment;
        let job = &invocation.job;
        let session = Session::assume(config, job, &self.deployment, Purpose::Poll).await?;
        let route = Bucket::new(&session, jobs, invocation.environment.log(job.id));
        let (done, wait, line) = match route.poll().await? {
            route::Progress::Ready(snapshot) => (true, 0, format!("Created snapshot: {snapshot}")),
            route::Progress::Working {
                percent,
                line,
                wait,
            } => {
                if let Some(percent) = percent {
                    jobs.set_progress(job.id, Progress::Importing { percent })
                        .await?;
                }
                (false, wait, line)
            }
        };
        invocation.log(line).await;
        Ok(PollOutput {
            job: job.id,
            done,
            wait,
        })
    }
}
