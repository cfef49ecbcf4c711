//! One run with one fault.

use std::fmt;

use serde_json::{Value, json};

use super::{client::ClientFault, scenario::Scenario};
use crate::{Fault, JobId, Rule, function};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub scenario: Scenario,
    pub injection: Injection,
}

/// The fault of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injection {
    Nothing,
    Call {
        target: FunctionCall,
        fault: CallFault,
    },
    Obs(ObsFault),
    /// A call of the client that pushes the file.
    Client {
        call: String,
        fault: ClientFault,
    },
}

/// A call to AWS, and the function that makes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionCall {
    pub function: String,
    pub call: String,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
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

impl Case {
    /// The run of a scenario without any fault.
    pub fn undisturbed(scenario: Scenario) -> Self {
        Self {
            scenario,
            injection: Injection::Nothing,
        }
    }

    /// Whether the function that suffers the fault cannot answer.
    pub fn ends_function(&self) -> bool {
        matches!(
            self.injection,
            Injection::Call {
                fault: CallFault::FunctionKilled,
                ..
            }
        )
    }

    /// Whether the client that pushes cannot say what became of the job.
    pub fn kills_client(&self) -> bool {
        matches!(&self.injection, Injection::Client { fault, .. } if fault.kills_client())
    }

    /// Whether the case shows nothing if its fault does not hit.
    pub fn must_hit(&self) -> bool {
        matches!(
            self.injection,
            Injection::Call { .. } | Injection::Client { .. }
        )
    }
}

impl Injection {
    /// The rule that breaks a call made for the job; without a job, every such call of the function.
    pub fn rule(&self, job: Option<JobId>) -> Option<Rule> {
        let Self::Call { target, fault } = self else {
            return None;
        };
        let FunctionCall { function, call } = target;
        let rule = match job {
            Some(job) => Rule::of_job(job, function, call, fault.at_proxy()),
            None => Rule::of_function(function, call, fault.at_proxy()),
        };
        Some(match fault {
            CallFault::Denied => rule.for_all(),
            _ => rule,
        })
    }

    /// Whether the job is killed while a call or a download hangs.
    pub fn kills_job(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Client { fault, .. } => *fault == ClientFault::JobKilled,
            Self::Call { fault, .. } => *fault == CallFault::JobKilled,
            Self::Obs(fault) => *fault == ObsFault::JobKilled,
        }
    }

    /// Whether the call hangs on after the kill, as long calls may. `finish` has no work to drop.
    pub fn outlasts_kill(&self) -> bool {
        let Self::Call { target, .. } = self else {
            return false;
        };
        let long = ["s3:", "ec2:", "sts:"];
        let is_long = long.iter().any(|service| target.call.starts_with(service));
        target.function != function::FINISH && is_long
    }

    /// Whether it is a call of this function that is broken.
    pub fn is_in(&self, function: &str) -> bool {
        matches!(self, Self::Call { target, .. } if target.function == function)
    }
}

impl CallFault {
    pub const ALL: [Self; 6] = [
        Self::Throttle,
        Self::ServerError,
        Self::Timeout,
        Self::Denied,
        Self::FunctionKilled,
        Self::JobKilled,
    ];

    /// What the fault proxy does for it.
    fn at_proxy(self) -> Fault {
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

    /// In the form that `infra/local/obs` reads.
    pub fn sidecar(self) -> Value {
        const MIB: u32 = 1 << 20;
        let silent = json!({"after": MIB, "do": "stall"});
        match self {
            Self::Silent | Self::JobKilled => json!([silent]),
            Self::SilentTwice => json!([silent, silent]),
            Self::Reset => json!([{"after": MIB, "do": "reset"}]),
            Self::Close => json!([{"after": MIB, "do": "close"}]),
            Self::Short => json!([{"after": MIB, "do": "short"}]),
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

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = self.scenario;
        match &self.injection {
            Injection::Nothing => write!(f, "{scenario}"),
            Injection::Call { target, fault } => {
                let FunctionCall { function, call } = target;
                write!(f, "{scenario}: {function}, {call}, {}", fault.title())
            }
            Injection::Obs(fault) => write!(f, "{scenario}: OBS {}", fault.title()),
            Injection::Client { call, fault } => write!(f, "{scenario}: {call}, {}", fault.title()),
        }
    }
}
