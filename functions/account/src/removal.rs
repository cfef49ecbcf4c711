//! Collects the results of removals. Every part is tried, whatever becomes of the others.

use cloudupload::{aws::Failure, error::is_transient, journal::JobLog};

use crate::SessionError;

/// The result of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Clean,
    /// Something is left because AWS was in trouble: worth another try soon.
    Trouble,
    /// Something is left that cannot be removed as things are.
    Left,
}

/// A removal in progress. What could not be removed is told in the job's log.
#[derive(Debug)]
pub struct Removal<'a> {
    log: &'a JobLog,
    outcome: Outcome,
}

impl<'a> Removal<'a> {
    pub fn new(log: &'a JobLog) -> Self {
        Self {
            log,
            outcome: Outcome::Clean,
        }
    }

    /// The worst that came of any part.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Takes down what came of one part.
    pub async fn note(&mut self, what: &str, removed: Result<(), Failure>) {
        if let Err(failure) = removed {
            let line = format!("Could not remove {what}: {failure}");
            self.fail(line, failure.transient).await;
        }
    }

    /// Takes down that nothing can be removed from the user's account.
    pub async fn note_no_session(&mut self, error: SessionError) {
        let line = format!("Could not look into your account for leftovers: {error}");
        self.fail(line, is_transient(&error)).await;
    }

    async fn fail(&mut self, line: String, transient: bool) {
        self.log.line(line).await;
        self.outcome = self.outcome.max(match transient {
            true => Outcome::Trouble,
            false => Outcome::Left,
        });
    }
}
