//! What happens in the user's account: a session under the role that the job names, the bucket for disks on their way,
//! the import task that makes a snapshot of one, and the AMI.

mod ami;
mod bucket;
mod import;
mod session;
mod tags;

pub use ami::{Ami, AmiError};
pub use bucket::{Bucket, BucketError};
pub use import::{Import, Status};
pub use session::{Session, SessionError};
