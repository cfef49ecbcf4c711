//! The sweeper while a call of it fails.

use std::time::Instant;

use super::{
    case::Case, expectation, harness::Harness, outcome::Outcome, sweep_fixture::SweepFixture,
};
use crate::poll;

/// Runs of a case, until its own sweep suffers the fault.
const SWEEPS: u32 = 3;

impl Harness {
    /// The sweeper also runs by its schedule and when executions die. If such a run suffers the fault, the case is repeated.
    pub async fn run_sweep(&self, case: &Case) -> Outcome {
        let mut outcome = self.sweep_once(case).await;
        for _ in 1..SWEEPS {
            let another_run_is_hit = case.ends_function() && outcome.end == "200";
            if !another_run_is_hit {
                break;
            }
            outcome = self.sweep_once(case).await;
        }
        outcome
    }

    async fn sweep_once(&self, case: &Case) -> Outcome {
        let fixture = self.sweep_fixture().await;
        let rule = self.inject(&case.injection, None).await;
        let calls_before = self.calls().await;
        let began = Instant::now();
        let answer = self.stack.sweep().await;
        self.wait_until_idle(fixture.unstarted).await;
        let error = answer["errorMessage"].as_str();
        let mut outcome = Outcome {
            took: began.elapsed(),
            end: if error.is_some() { "500" } else { "200" }.to_owned(),
            reason: error.unwrap_or_default().to_owned(),
            calls: self.calls_since(&calls_before).await,
            ..Outcome::default()
        };
        if let Some(rule) = rule {
            outcome.hits = rule.hits().await;
        }
        outcome.leftovers = self.leftovers_of_fixture(&fixture).await;
        // The scheduled run comes a minute later.
        self.stack.sweep().await;
        let swept = poll(async || match self.leftovers_of_fixture(&fixture).await {
            leftovers if leftovers.is_empty() => Ok(()),
            leftovers => Err(leftovers),
        });
        outcome.leftovers_after_sweep = swept.await.err().unwrap_or_default();
        self.check_jobs_of_fixture(&fixture, &mut outcome).await;
        expectation::check(case, &mut outcome);
        outcome
    }

    /// Each job of the fixture has to be failed, for the reason that the sweeper gives.
    async fn check_jobs_of_fixture(&self, fixture: &SweepFixture, outcome: &mut Outcome) {
        let unstarted = "the upload was not started: ask for it again";
        for (id, details) in [
            (fixture.unstarted, unstarted),
            (fixture.unnotified, "killed"),
        ] {
            let job = self.final_job(id).await;
            let left = self.leftovers_after_sweep(&self.stack, &job).await;
            outcome.leftovers_after_sweep.extend(left);
            if (job.state(), job.details()) != ("failed", details) {
                outcome
                    .unmet
                    .push(format!("one of its jobs is not as it should be: {job:?}"));
            }
        }
    }
}
