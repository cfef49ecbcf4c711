//! What goes on while a call fails: every kind of job and request that makes calls of its own.

use std::fmt;

use super::{case::FunctionCall, client::Client};
use crate::{Route, function};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// A job that succeeds.
    Upload(Route),
    /// A job that succeeds, with a fixed VHD, by `import`.
    FixedVhd,
    /// A job that succeeds, as the first one in its region, by `import`.
    NewBucket,
    /// A job that succeeds, with a file that is pushed.
    Pushed,
    /// A job that succeeds, with a file that this client pushes.
    PushedBy(Client),
    /// A job that succeeds after it has waited for a slot.
    Waits,
    /// A job that is killed, so that there is something of each kind to remove.
    KilledTransferring(Route),
    KilledSealed(Route),
    KilledRegistering(Route),
    /// A request to the API.
    Request(Request),
    /// A run of the sweeper, with work of each kind.
    Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    Create,
    Status,
    List,
    ListAll,
    Log,
    Kill,
    CreatePush,
    PushState,
    PartUrls,
    PushDone,
}

/// A call at which a job is killed.
pub struct KillPoint {
    pub function: &'static str,
    pub call: &'static str,
    /// The number of such calls that come first.
    pub skip: u32,
}

impl Scenario {
    /// In the order of the recording: a call belongs to the first scenario of each kind that makes it.
    pub const ALL: [Self; 29] = [
        Self::Upload(Route::Direct),
        Self::Upload(Route::Import),
        Self::Upload(Route::Copy),
        Self::FixedVhd,
        Self::NewBucket,
        Self::Pushed,
        Self::PushedBy(Client::Osc),
        Self::PushedBy(Client::Relay),
        Self::Waits,
        Self::KilledRegistering(Route::Direct),
        Self::KilledSealed(Route::Direct),
        Self::KilledTransferring(Route::Direct),
        Self::KilledRegistering(Route::Import),
        Self::KilledSealed(Route::Import),
        Self::KilledTransferring(Route::Import),
        Self::KilledRegistering(Route::Copy),
        Self::KilledSealed(Route::Copy),
        Self::KilledTransferring(Route::Copy),
        Self::Request(Request::Create),
        Self::Request(Request::Status),
        Self::Request(Request::List),
        Self::Request(Request::ListAll),
        Self::Request(Request::Log),
        Self::Request(Request::Kill),
        Self::Request(Request::CreatePush),
        Self::Request(Request::PushState),
        Self::Request(Request::PartUrls),
        Self::Request(Request::PushDone),
        Self::Sweep,
    ];

    /// Whether the calls of this function are broken in this scenario.
    pub fn breaks_calls_of(self, function: &str) -> bool {
        match self {
            Self::Request(_) => function == function::API,
            Self::Sweep => function == function::SWEEP,
            // Calls of the client are broken here.
            Self::PushedBy(_) => false,
            _ if self.kill_point().is_some() => function == function::FINISH,
            _ => ![function::API, function::SWEEP].contains(&function),
        }
    }

    /// Whether the call in one scenario stands for the same call in the other. Calls in the account into which a route
    /// leads are that route's own.
    pub fn is_equivalent(self, other: Self, call: &FunctionCall) -> bool {
        match (self, other) {
            (Self::Request(one), Self::Request(other)) => one == other,
            _ => {
                // `preflight` makes the same calls, whatever the route.
                let is_of_route = call.function != function::PREFLIGHT
                    && (call.call.starts_with("ec2:")
                        || call.call.starts_with("ebs:")
                        || (call.function == function::FINISH && call.call.starts_with("s3:")));
                // `receive` only completes what was pushed.
                let is_of_source = call.function == function::RECEIVE;
                let is_pushed = |scenario| scenario == Self::Pushed;
                self.kill_point().is_some() == other.kill_point().is_some()
                    && (is_pushed(self) == is_pushed(other) || !is_of_source)
                    && (self.route() == other.route() || !is_of_route)
            }
        }
    }

    /// The route of the job.
    pub fn route(self) -> Route {
        match self {
            Self::Upload(route)
            | Self::KilledTransferring(route)
            | Self::KilledSealed(route)
            | Self::KilledRegistering(route) => route,
            Self::FixedVhd | Self::NewBucket => Route::Import,
            Self::Pushed | Self::PushedBy(_) | Self::Waits | Self::Request(_) | Self::Sweep => {
                Route::Direct
            }
        }
    }

    /// Where the job is killed, in a scenario that kills it.
    pub fn kill_point(self) -> Option<KillPoint> {
        let (function, call, skip) = match self {
            Self::KilledTransferring(Route::Import) => (function::TRANSFER, "s3:UploadPart", 0),
            Self::KilledTransferring(_) => (function::TRANSFER, "ebs:PutSnapshotBlock", 0),
            // The import has just begun, or the snapshot has been completed.
            Self::KilledSealed(Route::Direct | Route::Import) => {
                (function::SEAL, "logs:PutLogEvents", 0)
            }
            // The copy exists, and is not in the record yet.
            Self::KilledSealed(Route::Copy) => (function::POLL, "dynamodb:UpdateItem", 1),
            // The AMI exists, and is not in the record yet.
            Self::KilledRegistering(_) => (function::REGISTER, "dynamodb:UpdateItem", 1),
            _ => return None,
        };
        Some(KillPoint {
            function,
            call,
            skip,
        })
    }

    /// Whether nothing else may run meanwhile: the proxy cannot tell its calls from those of others, or it changes what
    /// others work with.
    pub fn is_exclusive(self) -> bool {
        matches!(self, Self::Request(_) | Self::Sweep)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upload(route) => return write!(f, "upload by {route}"),
            Self::KilledTransferring(route) => return write!(f, "killed transferring by {route}"),
            Self::KilledSealed(route) => return write!(f, "killed after seal, by {route}"),
            Self::PushedBy(client) => return write!(f, "upload of a file pushed by {client}"),
            Self::KilledRegistering(route) => return write!(f, "killed registering by {route}"),
            Self::FixedVhd => "upload of a fixed VHD",
            Self::NewBucket => "upload into a new region",
            Self::Pushed => "upload of a pushed file",
            Self::Waits => "upload that waits for a slot",
            Self::Request(Request::Create) => "create",
            Self::Request(Request::Status) => "status",
            Self::Request(Request::List) => "list",
            Self::Request(Request::ListAll) => "list of all",
            Self::Request(Request::Log) => "log",
            Self::Request(Request::Kill) => "kill",
            Self::Request(Request::CreatePush) => "create for a push",
            Self::Request(Request::PushState) => "state of a push",
            Self::Request(Request::PartUrls) => "URLs of parts",
            Self::Request(Request::PushDone) => "end of a push",
            Self::Sweep => "sweep",
        })
    }
}
