//! The ways that a job or a request can go, as far as they make different calls.

use std::fmt;

/// What goes on while a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A job that succeeds.
    Upload,
    /// A job that succeeds, with a fixed VHD.
    FixedVhd,
    /// A job that succeeds, as the first one in its region.
    NewBucket,
    /// A job that succeeds, and waits for a slot before.
    Waits,
    /// A job that is killed, so that there is something to remove of each kind.
    KilledTransferring,
    KilledImporting,
    KilledRegistering,
    /// A request to the API.
    Asked(Request),
    /// The sweeper finds what there is to find.
    Swept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    Create,
    Status,
    List,
    ListAll,
    Log,
    Kill,
}

/// A call at which a job is killed.
pub struct Place {
    pub function: &'static str,
    pub call: &'static str,
    /// How many such calls come before it.
    pub skip: u32,
}

impl Way {
    /// In the order in which they are recorded: a call belongs to the first of each kind that makes it.
    pub const ALL: [Self; 14] = [
        Self::Upload,
        Self::FixedVhd,
        Self::NewBucket,
        Self::Waits,
        Self::KilledRegistering,
        Self::KilledImporting,
        Self::KilledTransferring,
        Self::Asked(Request::Create),
        Self::Asked(Request::Status),
        Self::Asked(Request::List),
        Self::Asked(Request::ListAll),
        Self::Asked(Request::Log),
        Self::Asked(Request::Kill),
        Self::Swept,
    ];

    /// Whether the calls of a function are to be broken on this way.
    pub fn is_about(self, function: &str) -> bool {
        match self {
            Self::Asked(_) => function == "api",
            Self::Swept => function == "sweep",
            _ if self.killed_at().is_some() => function == "finish",
            _ => !["api", "sweep"].contains(&function),
        }
    }

    /// Whether a call on one is as good as the same call on the other.
    pub fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Asked(one), Self::Asked(other)) => one == other,
            _ => self.killed_at().is_some() == other.killed_at().is_some(),
        }
    }

    /// Where the job is killed, on a way that has that.
    pub fn killed_at(self) -> Option<Place> {
        let (function, call, skip) = match self {
            Self::KilledTransferring => ("transfer", "s3:UploadPart", 0),
            // The import has just begun.
            Self::KilledImporting => ("seal", "logs:PutLogEvents", 0),
            // The AMI is there, and not in the record yet.
            Self::KilledRegistering => ("register", "dynamodb:UpdateItem", 1),
            _ => return None,
        };
        Some(Place {
            function,
            call,
            skip,
        })
    }

    /// Whether nothing else may run beside it: its calls cannot be told from those of others, or it changes what others
    /// work with.
    pub fn is_exclusive(self) -> bool {
        matches!(self, Self::Asked(_) | Self::Swept)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upload => "upload",
            Self::FixedVhd => "upload of a fixed VHD",
            Self::NewBucket => "upload into a new region",
            Self::Waits => "upload that waits for a slot",
            Self::KilledTransferring => "killed while transferring",
            Self::KilledImporting => "killed while importing",
            Self::KilledRegistering => "killed while registering",
            Self::Asked(Request::Create) => "create",
            Self::Asked(Request::Status) => "status",
            Self::Asked(Request::List) => "list",
            Self::Asked(Request::ListAll) => "list of all",
            Self::Asked(Request::Log) => "log",
            Self::Asked(Request::Kill) => "kill",
            Self::Swept => "sweep",
        })
    }
}
