//! The routes by which a disk gets into the user's account.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A way into the user's account. Users name it in the job's JSON, and its name is in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Blocks go straight into a snapshot in the user's account (EBS direct APIs).
    Direct,
    /// The raw disk goes into a bucket in the user's account, and EC2 imports it (`ec2:ImportSnapshot`).
    Import,
    /// Blocks go into a snapshot in the service's own account, which the user's role copies (`ec2:CopySnapshot`).
    Copy,
}

impl Route {
    /// All routes, the best one first.
    pub const ALL: [Route; 3] = [Route::Direct, Route::Import, Route::Copy];

    pub fn as_str(self) -> &'static str {
        match self {
            Route::Direct => "direct",
            Route::Import => "import",
            Route::Copy => "copy",
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route '{0}' is unknown: give direct, import or copy, or leave it out")]
pub struct BadRoute(String);

impl FromStr for Route {
    type Err = BadRoute;

    fn from_str(text: &str) -> Result<Self, BadRoute> {
        let route = Self::ALL.into_iter().find(|route| route.as_str() == text);
        route.ok_or_else(|| BadRoute(text.chars().take(64).collect()))
    }
}
