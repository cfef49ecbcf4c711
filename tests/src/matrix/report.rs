//! What a whole run came to: the numbers, and the page docs/faults.md.

mod date;
mod page;
mod tables;
mod texts;

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use super::{
    case::{Case, FunctionCall},
    harness::Harness,
    outcome::Outcome,
    recording::Recording,
};

pub struct Report {
    recording: Recording,
    cases: Vec<(Case, Outcome)>,
    /// Calls that functions have made, and that no undisturbed run makes.
    unbroken: BTreeSet<FunctionCall>,
    took: Duration,
    date: String,
}

impl Report {
    pub async fn new(
        recording: Recording,
        cases: Vec<(Case, Outcome)>,
        harness: &Harness,
        took: Duration,
    ) -> Self {
        let broken: BTreeSet<&FunctionCall> = recording.rows.iter().map(|(_, call)| call).collect();
        let mut unbroken: BTreeSet<FunctionCall> = harness.calls().await.into_keys().collect();
        unbroken.retain(|call| !broken.contains(call));
        Self {
            recording,
            cases,
            unbroken,
            took,
            date: date::of(SystemTime::now()),
        }
    }

    /// The cases that do not meet their expectations, and why.
    pub fn unmet(&self) -> Vec<String> {
        self.all()
            .map(|(case, outcome)| (case, outcome.all_unmet()))
            .filter(|(_, unmet)| !unmet.is_empty())
            .map(|(case, unmet)| format!("{case}: {}", unmet.join("; ")))
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &(Case, Outcome)> {
        self.recording.runs.iter().chain(&self.cases)
    }

    /// The outcomes of cases that are about a job of their own.
    fn outcomes_of_jobs(&self) -> impl Iterator<Item = &Outcome> {
        let of_jobs = |(case, _): &&(Case, Outcome)| !case.scenario.is_exclusive();
        self.cases
            .iter()
            .filter(of_jobs)
            .map(|(_, outcome)| outcome)
    }

    /// The numbers, and what they count.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let rows = self.recording.rows.iter();
        let functions: BTreeSet<&str> = rows.map(|(_, call)| call.function.as_str()).collect();
        let ended = |end: &str| self.outcomes_of_jobs().filter(|of| of.end == end).count();
        let (succeeded, failed) = (ended("succeeded"), ended("failed"));
        let left = self
            .cases
            .iter()
            .filter(|(_, outcome)| !outcome.leftovers.is_empty());
        let left_for_good = self
            .all()
            .filter(|(_, outcome)| !outcome.leftovers_after_sweep.is_empty());
        let longest = |duration: fn(&Outcome) -> Option<Duration>| {
            let longest = self.outcomes_of_jobs().filter_map(duration).max();
            format!("{:.1} s", longest.unwrap_or_default().as_secs_f64())
        };
        vec![
            ("functions", functions.len().to_string()),
            ("calls broken (rows)", self.recording.rows.len().to_string()),
            (
                "calls of clients broken",
                self.recording.client_rows.len().to_string(),
            ),
            ("runs (cases)", self.cases.len().to_string()),
            ("jobs that succeeded", succeeded.to_string()),
            (
                "jobs that failed, with the reason in `details`",
                failed.to_string(),
            ),
            (
                "jobs that did not end",
                (self.outcomes_of_jobs().count() - succeeded - failed).to_string(),
            ),
            (
                "runs that left something until the sweeper ran",
                left.count().to_string(),
            ),
            (
                "runs that left something for good",
                left_for_good.count().to_string(),
            ),
            ("the longest run of a job", longest(|of| Some(of.took))),
            (
                "the longest time from a kill to the end",
                longest(|of| of.stopped_after),
            ),
            (
                "runs that do not meet their expectation",
                self.unmet().len().to_string(),
            ),
            ("time for all", format!("{} min", self.took.as_secs() / 60)),
        ]
    }
}

/// The summary as text for a terminal, one line per number.
pub fn lines(summary: &[(&str, String)]) -> String {
    let lines = summary
        .iter()
        .map(|(what, number)| format!("{number:>8}  {}\n", what.replace('`', "")));
    lines.collect()
}
