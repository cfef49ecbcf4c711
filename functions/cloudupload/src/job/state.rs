//! The states of a job.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a job stands. It only moves forward; the last two are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Created,
    Receiving,
    Scheduled,
    Uploading,
    Succeeded,
    Failed,
}

impl State {
    /// The states of a job that is still on its way, in order.
    pub const OPEN: [State; 4] = [
        State::Created,
        State::Receiving,
        State::Scheduled,
        State::Uploading,
    ];

    /// The states of a job that has ended.
    pub const FINAL: [State; 2] = [State::Succeeded, State::Failed];

    pub fn is_final(self) -> bool {
        !Self::OPEN.contains(&self)
    }

    /// The states from which a job may come to this one.
    pub fn predecessors(self) -> &'static [State] {
        match self {
            State::Created => &[],
            State::Receiving => &[State::Created],
            State::Scheduled => &[State::Receiving],
            State::Uploading => &[State::Scheduled],
            State::Succeeded => &[State::Uploading],
            State::Failed => &Self::OPEN,
        }
    }

    /// The number of the event that tells that a job has come to this state. Those of a job rise; where a job fails early,
    /// some are left out.
    pub fn sequence(self) -> u8 {
        match self {
            State::Created => 1,
            State::Receiving => 2,
            State::Scheduled => 3,
            State::Uploading => 4,
            State::Succeeded | State::Failed => 5,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Receiving => "receiving",
            State::Scheduled => "scheduled",
            State::Uploading => "uploading",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 6] = [
        State::Created,
        State::Receiving,
        State::Scheduled,
        State::Uploading,
        State::Succeeded,
        State::Failed,
    ];

    #[test]
    fn a_state_only_moves_forward() {
        for to in ALL {
            for from in to.predecessors() {
                assert!(from < &to, "{from} to {to}");
                assert!(from.sequence() < to.sequence(), "{from} to {to}");
                assert!(!from.is_final(), "{from} is final");
            }
        }
        for from in State::OPEN {
            assert!(State::Failed.predecessors().contains(&from));
        }
    }
}
