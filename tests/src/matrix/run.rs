//! Runs the cases, several at a time.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    case::{CallFault, Case, Injection, ObsFault},
    client::ClientFault,
    harness::Harness,
    outcome::Outcome,
    recording::Recording,
    scenario::Scenario,
};
use crate::Route;

/// Attempts for a case whose fault does not hit: a function of another job may have made the call instead.
const ATTEMPTS: u32 = 3;

/// The cases of all rows, and those of OBS.
pub fn all_cases(recording: &Recording) -> Vec<Case> {
    let mut cases = Vec::new();
    for (client, call) in &recording.client_rows {
        let faults = ClientFault::ALL.into_iter();
        cases.extend(faults.filter(|fault| fault.suits(call)).map(|fault| Case {
            scenario: Scenario::PushedBy(*client),
            injection: Injection::Client {
                call: call.clone(),
                fault,
            },
        }));
    }
    for (scenario, target) in &recording.rows {
        for fault in CallFault::ALL {
            if fault == CallFault::JobKilled && scenario.is_exclusive() {
                continue; // There is no job, or nothing of it that runs.
            }
            cases.push(Case {
                scenario: *scenario,
                injection: Injection::Call {
                    target: target.clone(),
                    fault,
                },
            });
        }
    }
    cases.extend(ObsFault::ALL.map(|fault| Case {
        scenario: Scenario::Upload(Route::Direct),
        injection: Injection::Obs(fault),
    }));
    cases
}

/// Runs so many of the cases at a time, and then the exclusive ones alone. Reports each as it ends, and returns all in
/// the order in which they were given.
pub async fn run(
    harness: Arc<Harness>,
    cases: Vec<Case>,
    at_a_time: usize,
    mut report: impl FnMut(&Case, &Outcome),
) -> Vec<(Case, Outcome)> {
    let (exclusive, shared): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .enumerate()
        .partition(|(_, case)| case.scenario.is_exclusive());
    let permits = Arc::new(Semaphore::new(at_a_time));
    let mut running = JoinSet::new();
    for (number, case) in shared {
        let (harness, permits) = (harness.clone(), permits.clone());
        running.spawn(async move {
            let _permit = permits.acquire().await.expect("it is not closed");
            let outcome = run_until_hit(harness, &case).await;
            (number, case, outcome)
        });
    }
    let mut ended = Vec::new();
    while let Some(one) = running.join_next().await {
        let one = one.expect("a case's panic ends in its own task");
        report(&one.1, &one.2);
        ended.push(one);
    }
    for (number, case) in exclusive {
        let outcome = run_until_hit(harness.clone(), &case).await;
        report(&case, &outcome);
        ended.push((number, case, outcome));
    }
    ended.sort_by_key(|(number, ..)| *number);
    ended
        .into_iter()
        .map(|(_, case, outcome)| (case, outcome))
        .collect()
}

async fn run_until_hit(harness: Arc<Harness>, case: &Case) -> Outcome {
    let mut attempts = 1;
    loop {
        let (harness, own_case) = (harness.clone(), case.clone());
        // In a task of its own, so that a panic ends this case only.
        let outcome = tokio::spawn(async move { harness.run(&own_case).await }).await;
        match outcome {
            Ok(outcome) if outcome.hits == 0 && attempts < ATTEMPTS && case.must_hit() => {
                attempts += 1;
            }
            Ok(outcome) => return outcome,
            Err(panic) => {
                return Outcome {
                    end: "lost".to_owned(),
                    unmet: vec![format!("the matrix lost it: {panic}")],
                    ..Outcome::default()
                };
            }
        }
    }
}

impl Harness {
    pub async fn run(&self, case: &Case) -> Outcome {
        match case.scenario {
            Scenario::Request(request) => self.run_request(case, request).await,
            Scenario::Sweep => self.run_sweep(case).await,
            Scenario::PushedBy(client) => self.run_client(case, client).await,
            _ => self.run_upload(case).await,
        }
    }
}
