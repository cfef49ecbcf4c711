//! Tries what can be tried in the user's account, and chooses the job's route.

#[cfg(test)]
mod tests;

use account::{Accounts, CopyRoute, Purpose};
use cloudupload::{
    environment::Environment,
    error::StepError,
    job::Artifacts,
    messages::{JobAlone, PreflightOutput},
    settings::parsed,
    step::{Invocation, Step},
    target::Route,
};

pub struct Preflight {
    accounts: Accounts,
    copy: CopyRoute,
}

impl Step for Preflight {
    const NAME: &str = "preflight";
    type Input = JobAlone;
    type Output = PreflightOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            accounts: Accounts::from_env(environment)?,
            copy: parsed("COPY_ROUTE")?,
        })
    }

    /// The job stays `created`. One that an earlier run of this step has chosen a route for is left as it is.
    async fn run(
        &self,
        invocation: &Invocation<'_, JobAlone>,
    ) -> Result<PreflightOutput, StepError> {
        let job = &invocation.job;
        let lines = match job.artifacts.route {
            Some(route) => vec![chosen_before(route)],
            None => self.choose(invocation).await?,
        };
        for line in lines {
            invocation.log(line).await;
        }
        Ok(PreflightOutput {
            job: job.id,
            source: job.request.source,
        })
    }
}

impl Preflight {
    /// Chooses the route and records it. Gives the lines for the log.
    async fn choose(
        &self,
        invocation: &Invocation<'_, JobAlone>,
    ) -> Result<Vec<String>, StepError> {
        let job = &invocation.job;
        let session = self.accounts.session(job, Purpose::Preflight).await?;
        let choice = session.preflight(self.copy).await?;
        let update = Artifacts {
            route: Some(choice.route),
            second_route: choice.second,
            ..Artifacts::default()
        };
        let jobs = &invocation.environment.jobs;
        let recorded = jobs.record_once(job.id, &update).await?;
        Ok(match recorded.artifacts.route {
            Some(route) if route != choice.route => vec![chosen_before(route)],
            _ => choice.lines(),
        })
    }
}

fn chosen_before(route: Route) -> String {
    format!("Route {route}: chosen already")
}
