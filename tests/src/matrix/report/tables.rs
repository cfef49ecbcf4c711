//! The tables of the page: a row per call, a column per fault.

use std::fmt::Write;

use super::Report;
use crate::{
    Route,
    matrix::{
        case::{CallFault, Case, Injection},
        client::{Client, ClientFault},
        outcome::Outcome,
        scenario::Scenario,
    },
};

pub struct Table {
    pub title: &'static str,
    pub about: &'static str,
    has: fn(Scenario) -> bool,
    columns: &'static [CallFault],
}

pub const TABLES: [Table; 4] = [
    Table {
        title: "A job that is to succeed",
        about: "\
Seconds from the create call until the job is final and nothing works on it. Where the job is killed while the call is
under way, seconds from the kill to the end of its execution.",
        has: |scenario| !scenario.is_exclusive() && scenario.kill_point().is_none(),
        columns: &CallFault::ALL,
    },
    Table {
        title: "A job that is killed, and `finish` removes what there is",
        about: "\
The job is killed as it transfers, as its target has just been sealed (by `copy`: as the copy is made and not yet in the
record), or as its AMI is registered and not yet in the record; then a call of `finish` is broken. In the last column the job is killed a second time at that moment.",
        has: |scenario| scenario.kill_point().is_some(),
        columns: &CallFault::ALL,
    },
    Table {
        title: "A request to the API",
        about: "\
The status of the answer, and seconds until it came. After an error the same request is sent again, which has to answer
200. A job that a failed create call leaves is ended by the sweeper.",
        has: |scenario| matches!(scenario, Scenario::Request(_)),
        columns: CallFault::WITHOUT_A_JOB,
    },
    Table {
        title: "The sweeper",
        about: "\
In one run: a job without an execution, a killed job whose execution waits and was not told, an execution without a job,
and slots of jobs that do not exist. 500 is a sweep that failed; the next one has to put everything in order.",
        has: |scenario| scenario == Scenario::Sweep,
        columns: CallFault::WITHOUT_A_JOB,
    },
];

impl CallFault {
    /// All but the kill of a job.
    const WITHOUT_A_JOB: &'static [Self] = Self::ALL
        .first_chunk::<5>()
        .expect("there are six")
        .as_slice();
}

impl Report {
    pub fn table(&self, table: &Table) -> String {
        let mut text = String::from("| function | call |");
        for fault in table.columns {
            let _ = write!(text, " {} |", fault.title());
        }
        let _ = writeln!(text, "\n|---|---|{}", "---|".repeat(table.columns.len()));
        for (scenario, target) in &self.recording.rows {
            if !(table.has)(*scenario) {
                continue;
            }
            let when = match scenario {
                Scenario::Upload(Route::Direct) | Scenario::Sweep => String::new(),
                scenario => format!(", {scenario}"),
            };
            let _ = write!(text, "| `{}`{when} | `{}` |", target.function, target.call);
            for fault in table.columns {
                let case = Case {
                    scenario: *scenario,
                    injection: Injection::Call {
                        target: target.clone(),
                        fault: *fault,
                    },
                };
                let outcome = self.cases.iter().find(|(of, _)| *of == case);
                let entry = outcome
                    .map_or_else(|| "—".to_owned(), |(_, outcome)| entry(*scenario, outcome));
                let _ = write!(text, " {entry} |");
            }
            text.push('\n');
        }
        text
    }
}

impl Report {
    /// A row per call of a client that pushes.
    pub fn calls_of_clients(&self) -> String {
        let mut text = String::from("| client | call |");
        for fault in ClientFault::ALL {
            let _ = write!(text, " {} |", fault.title());
        }
        let _ = writeln!(text, "\n|---|---|{}", "---|".repeat(ClientFault::ALL.len()));
        for (client, call) in &self.recording.client_rows {
            let _ = write!(text, "| {client} | `{call}` |");
            for fault in ClientFault::ALL {
                let _ = write!(text, " {} |", self.entry_of_client(*client, call, fault));
            }
            text.push('\n');
        }
        text
    }

    fn entry_of_client(&self, client: Client, call: &str, fault: ClientFault) -> String {
        let case = Case {
            scenario: Scenario::PushedBy(client),
            injection: Injection::Client {
                call: call.to_owned(),
                fault,
            },
        };
        let Some((_, outcome)) = self.cases.iter().find(|(of, _)| *of == case) else {
            return "—".to_owned();
        };
        let again = if outcome.attempts > 1 {
            ", 2nd start"
        } else {
            ""
        };
        format!("{}{again}", entry(case.scenario, outcome))
    }
}

fn entry(scenario: Scenario, outcome: &Outcome) -> String {
    let (end, seconds) = (&outcome.end, outcome.took.as_secs_f64());
    let mut text = match outcome.stopped_after {
        Some(after) if outcome.reason == "killed" => format!("killed {:.1} s", after.as_secs_f64()),
        _ if scenario.is_exclusive() => format!("{end} {seconds:.1} s"),
        _ => format!("{end} {seconds:.0} s"),
    };
    if !outcome.leftovers.is_empty() {
        text.push_str(" *");
    }
    match outcome.all_unmet().as_slice() {
        [] => text,
        _ => format!("**{text}: unmet**"),
    }
}
