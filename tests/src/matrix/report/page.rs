//! docs/faults.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{Report, tables::TABLES, texts};
use crate::matrix::{
    case::{CallFault, Injection},
    scenario::Scenario,
};

impl Report {
    pub fn page(&self) -> String {
        let mut page = texts::HEAD.replace("DATE", &self.date);
        for (what, number) in self.summary() {
            let _ = writeln!(page, "| {what} | {number} |");
        }
        let mut section = |title: &str, about: &str, content: String| {
            let _ = write!(page, "\n## {title}\n\n{about}\n\n{content}");
        };
        section("Undisturbed", texts::UNDISTURBED, self.undisturbed());
        for table in TABLES {
            section(table.title, table.about, self.table(&table));
        }
        section(
            "A client that pushes",
            texts::CLIENTS,
            self.calls_of_clients(),
        );
        section("OBS", texts::OBS, self.faults_of_obs());
        section(
            "What the user reads of a permission that is missing",
            texts::DENIED,
            self.denials(),
        );
        section(
            "What was left until the sweeper ran",
            texts::LEFT,
            self.left_until_sweep(),
        );
        section(
            "Calls that only a fault brings about",
            texts::UNBROKEN,
            self.unbroken_calls(),
        );
        page.push_str(texts::ELSEWHERE);
        page.push_str("\n## What does not meet its expectation\n\n");
        page.push_str(&match self.unmet().as_slice() {
            [] => "Nothing.\n".to_owned(),
            unmet => list(unmet),
        });
        page
    }

    fn undisturbed(&self) -> String {
        let mut text = String::from("| | ends | s | left |\n|---|---|--:|--:|\n");
        for (case, outcome) in &self.recording.runs {
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {} |",
                case.scenario,
                outcome.end,
                outcome.took.as_secs_f64(),
                outcome.leftovers.len()
            );
        }
        text
    }

    fn faults_of_obs(&self) -> String {
        let mut text = String::from(
            "| OBS, on the first request for the file | ends | s | `details` |\n|---|---|--:|---|\n",
        );
        for (case, outcome) in &self.cases {
            if let Injection::Obs(fault) = case.injection {
                let details = match outcome.end.as_str() {
                    "failed" => &outcome.reason,
                    _ => "",
                };
                let _ = writeln!(
                    text,
                    "| {} | {} | {:.0} | {details} |",
                    fault.title(),
                    outcome.end,
                    outcome.took.as_secs_f64()
                );
            }
        }
        text
    }

    /// The texts, and the calls that lead to them.
    fn denials(&self) -> String {
        let mut denials: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for (case, outcome) in &self.cases {
            if let Injection::Call {
                target,
                fault: CallFault::Denied,
            } = &case.injection
                && outcome.end == "failed"
                && outcome.reason != "killed"
            {
                denials
                    .entry((&target.call, &outcome.reason))
                    .or_default()
                    .insert(&target.function);
            }
        }
        let mut text = String::from("| call | of | `details` |\n|---|---|---|\n");
        for ((call, reason), functions) in denials {
            let functions = Vec::from_iter(functions).join(", ");
            let _ = writeln!(text, "| `{call}` | {functions} | {reason} |");
        }
        text
    }

    fn left_until_sweep(&self) -> String {
        let left = self.cases.iter().filter(|(case, outcome)| {
            !outcome.leftovers.is_empty() && case.scenario != Scenario::Sweep
        });
        list(left.map(|(case, outcome)| {
            let kinds = outcome.leftovers.iter().map(|leftover| kind(leftover));
            format!("{case}: {}", Vec::from_iter(kinds).join(", "))
        }))
    }

    fn unbroken_calls(&self) -> String {
        let calls = self.unbroken.iter();
        list(calls.map(|call| format!("`{}`, `{}`", call.function, call.call)))
    }
}

fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items = items.into_iter();
    items.map(|item| format!("- {}\n", item.as_ref())).collect()
}

/// What a leftover is, without its name in this run.
fn kind(leftover: &str) -> &str {
    match leftover.split_once(['-', ' ', ':']) {
        Some(("s3", place)) if place.contains("staging") => "the staged file",
        Some(("s3", _)) => "the disk in the user's bucket",
        Some(("snap", _)) => "the snapshot",
        Some(("ami", _)) => "the AMI",
        Some(("import", _)) => "the import task",
        Some(("slot", _)) => "the slot",
        Some(("open", _)) => "a job that is open",
        _ => leftover,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_by_kind() {
        for (leftover, is) in [
            (
                "s3://cloudupload-staging-1/job-1/disk.raw.xz",
                "the staged file",
            ),
            (
                "s3://obs-cloudupload-1-eu/job-1.raw",
                "the disk in the user's bucket",
            ),
            ("snap-1", "the snapshot"),
            ("import-snap-1", "the import task"),
            ("execution job-1", "execution job-1"),
        ] {
            assert_eq!(kind(leftover), is);
        }
    }
}
