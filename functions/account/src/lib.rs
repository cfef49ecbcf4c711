//! What happens in the user's account: a session under the role that the job names, the ways of a disk into a snapshot
//! (`route`), the pace of those that put blocks, and the AMI that is registered from it. What is made stands beside what
//! removes it again.

mod ami;
mod image_removal;
pub mod messages;
mod pace;
mod policy;
mod preflight;
mod removal;
pub mod route;
mod session;
mod snapshot;
mod tags;
#[cfg(test)]
mod testing;

pub use ami::{Ami, AmiError};
pub use image_removal::ImageRemovalError;
pub use pace::Pace;
pub use policy::Purpose;
pub use preflight::{BadCopyRoute, Choice, CopyRoute, PreflightError, Refusal, TrialError};
pub use removal::{Outcome, Removal};
pub use session::{Accounts, Session, SessionError};
pub use tags::JobTag;
