//! One look at the snapshot on its way.

use account::{Accounts, Purpose, route::SnapshotStatus};
use cloudupload::{
    environment::Environment,
    error::StepError,
    job::Progress,
    messages::{JobAlone, PollOutput},
    step::{Invocation, Step},
};

pub struct Poll {
    accounts: Accounts,
}

impl Step for Poll {
    const NAME: &str = "poll";
    type Input = JobAlone;
    type Output = PollOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            accounts: Accounts::from_env(environment)?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, JobAlone>) -> Result<PollOutput, StepError> {
        let jobs = &invocation.environment.jobs;
        let job = &invocation.job;
        let session = self.accounts.session(job, Purpose::Poll).await?;
        let route = session.route(jobs, invocation.environment.log(job.id));
        let (done, wait, line) = match route.poll().await? {
            SnapshotStatus::Ready(snapshot) => (true, 0, format!("Created snapshot: {snapshot}")),
            SnapshotStatus::Working {
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
