//! Which calls there are to break.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    case::{Case, FunctionCall},
    client::Client,
    harness::Harness,
    outcome::Outcome,
    scenario::Scenario,
};
use crate::Route;

/// What undisturbed runs showed.
pub struct Recording {
    /// The calls, each with the scenario in which it is broken.
    pub rows: Vec<(Scenario, FunctionCall)>,
    /// The calls of the clients that push.
    pub client_rows: Vec<(Client, String)>,
    pub runs: Vec<(Case, Outcome)>,
}

/// The number of times that each call was made.
pub type CallCounts = BTreeMap<FunctionCall, u32>;

/// Runs every scenario once, undisturbed and alone.
pub async fn record(harness: &Harness) -> Recording {
    let mut recording = Recording {
        rows: Vec::new(),
        client_rows: Vec::new(),
        runs: Vec::new(),
    };
    // The user's bucket is made by the first job that needs it: by this one, so that only `NewBucket` shows those calls.
    let first = Case::undisturbed(Scenario::Upload(Route::Import));
    harness.run(&first).await;
    for scenario in Scenario::ALL {
        let case = Case::undisturbed(scenario);
        let outcome = harness.run(&case).await;
        for call in &outcome.calls {
            let is_known = recording
                .rows
                .iter()
                .any(|(other, known)| known == call && other.is_equivalent(scenario, call));
            if !is_known && scenario.breaks_calls_of(&call.function) {
                recording.rows.push((scenario, call.clone()));
            }
        }
        if let Scenario::PushedBy(client) = scenario {
            let calls = outcome.client_calls.iter().cloned();
            recording
                .client_rows
                .extend(calls.map(|call| (client, call)));
        }
        recording.runs.push((case, outcome));
    }
    recording
}

impl Harness {
    /// All calls made so far.
    pub async fn calls(&self) -> CallCounts {
        let mut calls = CallCounts::new();
        for counted in self.faults.all_calls().await {
            if let Some(function) = counted.function {
                let call = counted.call;
                *calls.entry(FunctionCall { function, call }).or_default() += counted.count;
            }
        }
        calls
    }

    /// The calls made since then.
    pub async fn calls_since(&self, before: &CallCounts) -> BTreeSet<FunctionCall> {
        let now = self.calls().await.into_iter();
        now.filter(|(call, count)| before.get(call).is_none_or(|before| before < count))
            .map(|(call, _)| call)
            .collect()
    }
}
