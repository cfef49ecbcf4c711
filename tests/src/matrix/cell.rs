//! One run with one fault, and what came of it.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

use super::way::Way;
use crate::{Fault, Rule};

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub way: Way,
    pub breaks: Break,
}

/// What is broken in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    Nothing,
    Call {
        function: String,
        call: String,
        column: Column,
    },
    Obs(ObsFault),
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Throttle,
    ServerError,
    Timeout,
    Denied,
    FunctionKilled,
    JobKilled,
}

/// What OBS does on the first request for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObsFault {
    Silent,
    SilentTwice,
    Reset,
    Close,
    Short,
    NotFound,
    Error,
    JobKilled,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The job's final state, or how the request or the sweep was answered.
    pub end: String,
    /// The job's details, or what the answer says.
    pub reason: String,
    /// How often the fault hit.
    pub hits: u32,
    /// Seconds from the creation of the job until it is final and nothing works on it, or until the answer.
    pub seconds: f64,
    /// Seconds from the kill to the end of the execution, where the job was killed.
    pub stopped: Option<f64>,
    /// What was left at the end.
    pub left: Vec<String>,
    /// What was left after the sweeper had looked.
    pub left_for_good: Vec<String>,
    /// What does not meet the bar, times aside.
    pub misses: Vec<String>,
    /// What took too long.
    pub late: Vec<String>,
    /// The calls that functions made meanwhile, where nothing else ran beside it.
    pub made: BTreeSet<Call>,
}

/// A function and a call of it.
pub type Call = (String, String);

impl Outcome {
    /// What does not meet the bar.
    pub fn missed(&self) -> Vec<&str> {
        let both = self.misses.iter().chain(&self.late);
        both.map(String::as_str).collect()
    }
}

impl Column {
    pub const ALL: [Self; 6] = [
        Self::Throttle,
        Self::ServerError,
        Self::Timeout,
        Self::Denied,
        Self::FunctionKilled,
        Self::JobKilled,
    ];

    fn fault(self) -> Fault {
        match self {
            Self::Throttle => Fault::Throttle,
            Self::ServerError => Fault::ServerError,
            Self::Timeout => Fault::Timeout,
            Self::Denied => Fault::AccessDenied,
            Self::FunctionKilled => Fault::Kill,
            Self::JobKilled => Fault::Hold,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Throttle => "throttled once",
            Self::ServerError => "5xx once",
            Self::Timeout => "timeout once",
            Self::Denied => "denied always",
            Self::FunctionKilled => "function killed",
            Self::JobKilled => "job killed",
        }
    }
}

impl ObsFault {
    pub const ALL: [Self; 8] = [
        Self::Silent,
        Self::SilentTwice,
        Self::Reset,
        Self::Close,
        Self::Short,
        Self::NotFound,
        Self::Error,
        Self::JobKilled,
    ];

    /// As `infra/local/obs` reads it.
    pub fn sidecar(self) -> Value {
        const SOME: u32 = 1 << 20;
        let silent = json!({"after": SOME, "do": "stall"});
        match self {
            Self::Silent | Self::JobKilled => json!([silent]),
            Self::SilentTwice => json!([silent, silent]),
            Self::Reset => json!([{"after": SOME, "do": "reset"}]),
            Self::Close => json!([{"after": SOME, "do": "close"}]),
            Self::Short => json!([{"after": SOME, "do": "short"}]),
            Self::NotFound => json!([{"status": 404}]),
            Self::Error => json!([{"status": 500}]),
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Silent => "falls silent after 1 MiB",
            Self::SilentTwice => "falls silent after 1 MiB, twice",
            Self::Reset => "resets the connection after 1 MiB",
            Self::Close => "closes the connection after 1 MiB",
            Self::Short => "has only 1 MiB of the file",
            Self::NotFound => "answers 404",
            Self::Error => "answers 500",
            Self::JobKilled => "is silent, and the job is killed",
        }
    }
}

impl Break {
    /// The rule that breaks a call made for the job; without a job, by the function whoever it is for.
    pub fn rule(&self, job: Option<&str>) -> Option<Rule> {
        let Self::Call {
            function,
            call,
            column,
        } = self
        else {
            return None;
        };
        let rule = match job {
            Some(job) => Rule::of_job(job, function, call, column.fault()),
            None => Rule {
                function: Some(function.clone()),
                ..Rule::new(call, column.fault())
            },
        };
        Some(Rule {
            times: (*column != Column::Denied).then_some(1),
            ..rule
        })
    }

    pub fn column(&self) -> Option<Column> {
        match self {
            Self::Call { column, .. } => Some(*column),
            _ => None,
        }
    }

    /// Whether it is the job that is killed while this lasts.
    pub fn is_kill(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Call { column, .. } => *column == Column::JobKilled,
            Self::Obs(fault) => *fault == ObsFault::JobKilled,
        }
    }

    /// Whether the call hangs on after the kill, as long calls may. `finish` has no work to drop.
    pub fn lasts(&self) -> bool {
        let Self::Call { function, call, .. } = self else {
            return false;
        };
        let long = ["s3:", "ec2:", "sts:"];
        function != "finish" && long.iter().any(|service| call.starts_with(service))
    }

    pub fn is_by(&self, name: &str) -> bool {
        matches!(self, Self::Call { function, .. } if function == name)
    }
}

impl Cell {
    /// Whether it shows nothing if no call was broken.
    pub fn has_to_hit(&self) -> bool {
        matches!(self.breaks, Break::Call { .. })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.breaks {
            Break::Nothing => write!(f, "{}", self.way),
            Break::Call {
                function,
                call,
                column,
            } => write!(f, "{}: {function}, {call}, {}", self.way, column.title()),
            Break::Obs(fault) => write!(f, "{}: OBS {}", self.way, fault.title()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:.0} s", self.end, self.seconds)?;
        if let Some(stopped) = self.stopped {
            write!(f, ", {stopped:.1} s after the kill")?;
        }
        if !self.left.is_empty() {
            write!(f, ", {} left", self.left.len())?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}
