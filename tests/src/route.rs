//! The routes into the user's account, as a job's JSON names them.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    Direct,
    Import,
    Copy,
}

impl Route {
    pub const ALL: [Self; 3] = [Self::Direct, Self::Import, Self::Copy];
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Import => "import",
            Self::Copy => "copy",
        })
    }
}
