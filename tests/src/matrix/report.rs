//! The page, and the numbers in short.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    bench::Bench,
    cell::{Break, Call, Cell, Column, Outcome},
    record::Recording,
    way::Way,
};

/// What a whole run came to.
pub struct Report {
    recording: Recording,
    cells: Vec<(Cell, Outcome)>,
    /// Calls that functions made at some time and that no undisturbed run makes.
    unknown: BTreeSet<Call>,
    took: Duration,
}

/// The rows of a table: what goes on, and whose calls are broken.
struct Table {
    title: &'static str,
    about: &'static str,
    has: fn(Way) -> bool,
    columns: &'static [Column],
}

const TABLES: [Table; 4] = [
    Table {
        title: "A job that is to succeed",
        about: "\
Seconds from the create call until the job is final and nothing works on it. Where the job is killed while the call is
under way, they are those from the kill to the end of its execution.",
        has: |way| !way.is_exclusive() && way.killed_at().is_none(),
        columns: &Column::ALL,
    },
    Table {
        title: "A job that is killed, and `finish` removes what there is",
        about: "\
The job is killed as it transfers, as its import has just begun, or as its AMI is registered and not yet in the record;
then a call of `finish` is broken. In the last column it is killed a second time at that moment.",
        has: |way| way.killed_at().is_some(),
        columns: &Column::ALL,
    },
    Table {
        title: "A request to the API",
        about: "\
The status of the answer, and seconds until it came. After an error the same request is sent again, which has to answer 200.
A job that a failed create call leaves is ended by the sweeper.",
        has: |way| matches!(way, Way::Asked(_)),
        columns: Column::OF_FUNCTIONS,
    },
    Table {
        title: "The sweeper",
        about: "\
At once: a job without an execution, a killed job whose execution waits and was not told, an execution without a job, and
slots of jobs that do not exist. 500 is a sweep that failed; the next one has to put everything in order.",
        has: |way| way == Way::Swept,
        columns: Column::OF_FUNCTIONS,
    },
];

impl Report {
    pub async fn new(
        recording: Recording,
        cells: Vec<(Cell, Outcome)>,
        bench: &Bench,
        took: Duration,
    ) -> Self {
        let broken: BTreeSet<&Call> = recording.rows.iter().map(|(_, call)| call).collect();
        let mut unknown: BTreeSet<Call> = bench.calls().await.into_keys().collect();
        unknown.retain(|call| !broken.contains(call));
        Self {
            recording,
            cells,
            unknown,
            took,
        }
    }

    /// The cells that miss the bar, and why.
    pub fn missed(&self) -> Vec<String> {
        self.all()
            .map(|(cell, outcome)| (cell, outcome.missed()))
            .filter(|(_, missed)| !missed.is_empty())
            .map(|(cell, missed)| format!("{cell}: {}", missed.join("; ")))
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &(Cell, Outcome)> {
        self.recording.runs.iter().chain(&self.cells)
    }

    /// The numbers.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let of_jobs = || {
            self.cells
                .iter()
                .filter(|(cell, _)| !cell.way.is_exclusive())
        };
        let ended = |end: &str| of_jobs().filter(|(_, outcome)| outcome.end == end).count();
        let left = self
            .cells
            .iter()
            .filter(|(_, outcome)| !outcome.left.is_empty());
        let left_for_good = self
            .all()
            .filter(|(_, outcome)| !outcome.left_for_good.is_empty());
        let longest = |seconds: fn(&Outcome) -> Option<f64>| {
            let all = of_jobs().filter_map(|(_, outcome)| seconds(outcome));
            format!("{:.1} s", all.fold(0.0, f64::max))
        };
        let functions: BTreeSet<&str> = self
            .recording
            .rows
            .iter()
            .map(|(_, (function, _))| function.as_str())
            .collect();
        vec![
            ("functions", functions.len().to_string()),
            ("calls broken (rows)", self.recording.rows.len().to_string()),
            ("runs (cells)", self.cells.len().to_string()),
            ("jobs that succeeded", ended("succeeded").to_string()),
            (
                "jobs that failed, with the reason in `details`",
                ended("failed").to_string(),
            ),
            (
                "jobs that did not end",
                of_jobs()
                    .filter(|(_, outcome)| !["succeeded", "failed"].contains(&outcome.end.as_str()))
                    .count()
                    .to_string(),
            ),
            (
                "runs that left something until the sweeper came",
                left.count().to_string(),
            ),
            (
                "runs that left something for good",
                left_for_good.count().to_string(),
            ),
            (
                "the longest run of a job",
                longest(|outcome| Some(outcome.seconds)),
            ),
            (
                "the longest time from a kill to the end",
                longest(|outcome| outcome.stopped),
            ),
            ("runs that miss the bar", self.missed().len().to_string()),
            ("time for all", format!("{} min", self.took.as_secs() / 60)),
        ]
    }

    pub fn page(&self) -> String {
        let mut page = HEAD.replace("DATE", &today());
        for (what, number) in self.summary() {
            let _ = writeln!(page, "| {what} | {number} |");
        }
        section(&mut page, "Undisturbed", UNDISTURBED);
        page.push_str("| | ends | s | left |\n|---|---|--:|--:|\n");
        for (cell, outcome) in &self.recording.runs {
            let Outcome {
                end, seconds, left, ..
            } = outcome;
            let _ = writeln!(
                page,
                "| {} | {end} | {seconds:.1} | {} |",
                cell.way,
                left.len()
            );
        }
        for table in TABLES {
            section(&mut page, table.title, table.about);
            page.push_str(&self.table(&table));
        }
        section(&mut page, "OBS", OBS);
        page.push_str("| OBS, on the first request for the file | ends | s | `details` |\n|---|---|--:|---|\n");
        for (cell, outcome) in &self.cells {
            if let Break::Obs(fault) = cell.breaks {
                let details = if outcome.end == "failed" {
                    outcome.reason.as_str()
                } else {
                    ""
                };
                let _ = writeln!(
                    page,
                    "| {} | {} | {:.0} | {details} |",
                    fault.title(),
                    outcome.end,
                    outcome.seconds
                );
            }
        }
        section(
            &mut page,
            "What the user reads of a permission that is missing",
            DENIED,
        );
        page.push_str(&self.denials());
        section(&mut page, "What was left until the sweeper came", LEFT);
        page.push_str(&self.left());
        section(&mut page, "Calls that only a fault brings about", UNKNOWN);
        for (function, call) in &self.unknown {
            let _ = writeln!(page, "- `{function}`, `{call}`");
        }
        page.push_str(ELSEWHERE);
        page.push_str("\n## What misses the bar\n\n");
        match self.missed().as_slice() {
            [] => page.push_str("Nothing.\n"),
            missed => {
                for one in missed {
                    let _ = writeln!(page, "- {one}");
                }
            }
        }
        page
    }

    fn table(&self, table: &Table) -> String {
        let mut text = String::from("| function | call |");
        for column in table.columns {
            let _ = write!(text, " {} |", column.title());
        }
        let _ = writeln!(text, "\n|---|---|{}", "---|".repeat(table.columns.len()));
        for (way, (function, call)) in &self.recording.rows {
            if !(table.has)(*way) {
                continue;
            }
            let when = match way {
                Way::Upload | Way::Swept => String::new(),
                way => format!(", {way}"),
            };
            let _ = write!(text, "| `{function}`{when} | `{call}` |");
            for column in table.columns {
                let cell = Cell {
                    way: *way,
                    breaks: Break::Call {
                        function: function.clone(),
                        call: call.clone(),
                        column: *column,
                    },
                };
                let outcome = self.cells.iter().find(|(of, _)| *of == cell);
                let shown =
                    outcome.map_or_else(|| "—".to_owned(), |(_, outcome)| shown(*way, outcome));
                let _ = write!(text, " {shown} |");
            }
            text.push('\n');
        }
        text
    }

    /// The texts, and the calls that lead to them.
    fn denials(&self) -> String {
        let mut said: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for (cell, outcome) in &self.cells {
            if let Break::Call {
                function,
                call,
                column: Column::Denied,
            } = &cell.breaks
                && outcome.end == "failed"
                && outcome.reason != "killed"
            {
                said.entry((call, &outcome.reason))
                    .or_default()
                    .insert(function);
            }
        }
        let mut text = String::from("| call | of | `details` |\n|---|---|---|\n");
        for ((call, reason), functions) in said {
            let functions = Vec::from_iter(functions).join(", ");
            let _ = writeln!(text, "| `{call}` | {functions} | {reason} |");
        }
        text
    }

    fn left(&self) -> String {
        let mut text = String::new();
        for (cell, outcome) in &self.cells {
            if !outcome.left.is_empty() && cell.way != Way::Swept {
                let _ = writeln!(
                    text,
                    "- {cell}: {}",
                    Vec::from_iter(outcome.left.iter().map(|left| kind(left))).join(", ")
                );
            }
        }
        text
    }
}

impl Column {
    /// Those in which no job is killed.
    const OF_FUNCTIONS: &'static [Self] = Self::ALL
        .first_chunk::<5>()
        .expect("there are six")
        .as_slice();
}

fn section(page: &mut String, title: &str, about: &str) {
    let _ = write!(page, "\n## {title}\n\n{about}\n\n");
}

fn shown(way: Way, outcome: &Outcome) -> String {
    let Outcome { end, left, .. } = outcome;
    let mut text = match outcome.stopped {
        Some(stopped) if outcome.reason == "killed" => format!("killed {stopped:.1} s"),
        _ if way.is_exclusive() => format!("{end} {:.1} s", outcome.seconds),
        _ => format!("{end} {:.0} s", outcome.seconds),
    };
    if !left.is_empty() {
        text.push_str(" *");
    }
    match outcome.missed().as_slice() {
        [] => text,
        _ => format!("**{text}: missed**"),
    }
}

/// What a leftover is, without its name in this run.
fn kind(left: &str) -> &str {
    match left.split_once(['-', ' ', ':']) {
        Some(("s3", place)) if place.contains("staging") => "the staged file",
        Some(("s3", _)) => "the disk in the user's bucket",
        Some(("snap", _)) => "the snapshot",
        Some(("ami", _)) => "the AMI",
        Some(("import", _)) => "the import task",
        Some(("slot", _)) => "the slot",
        Some(("open", _)) => "a job that is open",
        _ => left,
    }
}

/// The date, in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let days = now.expect("the clock is past 1970").as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

const HEAD: &str = "\
# What goes wrong, and what comes of it

Written by `make faults OPTIONS=--write` on DATE, from one run on one machine. Every call that a function makes to AWS was
broken in every way that calls break, one at a time, by a proxy between the functions and the emulated AWS
(`tests/src/proxy`). Which calls there are was recorded from undisturbed runs, so that none is left out.

This is about functions, workflow and template on an emulator. It says nothing about real AWS: not how often calls fail
there, nor whether they fail in these ways.

- **throttled once**, **5xx once**: the first such call is refused, in the words of the service.
- **timeout once**: the first such call takes effect, and its answer never comes.
- **denied always**: every such call is refused for want of a permission. It is given back when the job's execution is
  over.
- **function killed**: the function's process gets a SIGKILL; the call takes effect, its answer is not seen.
- **job killed**: `cmd=kill` comes while the call is under way. Calls of a step to S3, EC2 and STS do not come back then;
  others do, once the kill is answered.

The image has 48 MiB, its import takes 4 s. Some jobs run at a time, each of a user of its own.
With a `*`, something was left until the sweeper came.

## The bar

- Every job ends. With a call that fails once it ends as if nothing had been. Without a permission it fails, and `details`
  names the call and AWS's code; but a log that cannot be written fails no job, and what `finish` may not do is done once
  it may, by the sweeper. A job that succeeds has an AMI with the bytes of the disk.
- A killed job is `failed`, `killed` at once, and nothing of it runs 10 s later.
- Whoever gets an error from the API may simply ask again. Without a permission, the error names the call and AWS's code.
- Nothing is left in either account but finished AMIs and their snapshots: no object, no unfinished upload, no snapshot, AMI
  or import task, no slot, no place in the queue, no execution, no mark of an unfinished job. This is counted after a sweep
  a quarter of an hour later (the records are made older by that time); what was there before is counted too.
- No run takes longer than its budget: 60 s, and as long as the function waits for an answer that does not come (60 s for
  S3, 15 s for others), or for the next byte of OBS (30 s). Without a permission of `finish` it is 75 s more, until a
  sweep. A request to the API has 29 s.

## In short

| | |
|---|--:|
";

const UNDISTURBED: &str = "\
The runs from which the calls were recorded. A call belongs to the first of them that makes it; those of `finish` belong to
one that succeeds and to one that is killed.";

const OBS: &str = "\
What the file's server does on the first request for the file; on the next one all is well, except where the job is killed.";

const DENIED: &str = "\
From the runs of the column \"denied always\". The request's id is the proxy's.";

const LEFT: &str = "\
Without what the sweeper's own table is about.";

const UNKNOWN: &str = "\
They are made to find out what became of the call before, and were not broken in their turn: two things would have to go
wrong at once.
";

const ELSEWHERE: &str = "
## What is shown elsewhere

| rule | why not here | where |
|---|---|---|
| a wait for an import ends by its time or by a kill | Step Functions itself writes the token, not through the proxy | `tests/tests/kills.rs`; the emulator's `test_states_tasks.py` |
| the workflow as a whole has an end | it takes seven days | the emulator's `test_states_runs.py`; verdicts in `functions/sweep` |
| an execution that is stopped by hand, or that there is no job for | no call fails | `tests/tests/sweeps.rs` |
| no slot is granted twice, whoever dies | it takes many jobs at once | `tests/tests/slots.rs`, `tests/tests/dispatch.rs` |
| a `receive` whose time is up is called again | it takes 15 minutes | nowhere; that the next one goes on where one died is in the first table |
| several slices at a time | the image would need 1 GiB | `make demo`, without faults |
| buckets expire what is forgotten | the emulator stores lifecycles and applies none | nowhere |
| a throttled function is called again | it is Lambda that throttles, no call of a function | the emulator's `test_states_tasks.py` |
| lists and indexes that are behind | the emulator's never are | times in `functions/sweep/src/verdict.rs`, by unit tests |
";

/// A line for each number.
pub fn lines(summary: &[(&str, String)]) -> String {
    let lines = summary
        .iter()
        .map(|(what, number)| format!("{number:>8}  {}\n", what.replace('`', "")));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_by_kind() {
        for (left, is) in [
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
            assert_eq!(kind(left), is);
        }
    }
}
