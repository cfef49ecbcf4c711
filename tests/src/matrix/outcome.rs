//! What came of a run.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::case::FunctionCall;

#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The job's final state, or the status of the answer to the request or the sweep.
    pub end: String,
    /// The job's details, or the text of the answer.
    pub reason: String,
    /// The number of calls that the fault hit.
    pub hits: u32,
    /// From the creation of the job until it is final and nothing works on it, or until the answer.
    pub took: Duration,
    /// From the kill to the end of the execution, if the job was killed while its fault lasted.
    pub stopped_after: Option<Duration>,
    /// What was left at the end.
    pub leftovers: Vec<String>,
    /// What was left once the sweeper had run.
    pub leftovers_after_sweep: Vec<String>,
    /// The expectations that were not met, but for those of time.
    pub unmet: Vec<String>,
    /// The limits of time that were exceeded.
    pub overruns: Vec<String>,
    /// The calls that functions made meanwhile, those for other jobs included.
    pub calls: BTreeSet<FunctionCall>,
    /// The calls that the client of the service has made.
    pub client_calls: BTreeSet<String>,
    /// The times that its user started it.
    pub attempts: u32,
    /// Whether it failed, the last time.
    pub client_failed: bool,
}

impl Outcome {
    /// All expectations that were not met.
    pub fn all_unmet(&self) -> Vec<&str> {
        let both = self.unmet.iter().chain(&self.overruns);
        both.map(String::as_str).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:.0} s", self.end, self.took.as_secs_f64())?;
        if let Some(stopped_after) = self.stopped_after {
            let seconds = stopped_after.as_secs_f64();
            write!(f, ", {seconds:.1} s after the kill")?;
        }
        if self.attempts > 1 {
            write!(f, ", started {} times", self.attempts)?;
        }
        if !self.leftovers.is_empty() {
            write!(f, ", {} left", self.leftovers.len())?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}
