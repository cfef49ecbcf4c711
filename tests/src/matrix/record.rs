//! Which calls there are to break.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    bench::Bench,
    cell::{Break, Call, Cell, Outcome},
    way::Way,
};

/// What undisturbed runs showed.
pub struct Recording {
    /// The way on which each call is to be broken.
    pub rows: Vec<(Way, Call)>,
    /// What came of the undisturbed runs.
    pub runs: Vec<(Cell, Outcome)>,
}

/// Goes every way once, undisturbed and alone.
pub async fn record(bench: &Bench) -> Recording {
    let mut recording = Recording {
        rows: Vec::new(),
        runs: Vec::new(),
    };
    for way in Way::ALL {
        let cell = Cell {
            way,
            breaks: Break::Nothing,
        };
        let outcome = bench.run(&cell).await;
        for call in &outcome.made {
            let known = recording
                .rows
                .iter()
                .any(|(other, known)| known == call && other.is_like(way));
            if !known && way.is_about(&call.0) {
                recording.rows.push((way, call.clone()));
            }
        }
        recording.runs.push((cell, outcome));
    }
    recording
}

/// How often each call was made so far.
pub type Calls = BTreeMap<Call, u32>;

impl Bench {
    pub async fn calls(&self) -> Calls {
        let mut calls = Calls::new();
        for sighting in self.faults.all_seen().await {
            if let Some(function) = sighting.function {
                *calls.entry((function, sighting.call)).or_default() += sighting.count;
            }
        }
        calls
    }

    /// The calls that were made since.
    pub async fn calls_since(&self, before: &Calls) -> BTreeSet<Call> {
        let now = self.calls().await.into_iter();
        now.filter(|(call, count)| before.get(call).is_none_or(|before| before < count))
            .map(|(call, _)| call)
            .collect()
    }
}
