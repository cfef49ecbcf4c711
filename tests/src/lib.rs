//! What the tests on the local stack share: the stack, as `infra/local/stack up` describes it in the environment, the
//! disks that go through it, and the faults that calls to AWS suffer on the way.

pub mod disk;
mod faults;
mod job;
pub mod matrix;
pub mod proxy;
mod stack;

pub use faults::{Faults, Laid};
pub use job::Job;
pub use proxy::{Fault, Rule, Sighting};
pub use stack::{Queue, Stack, Upload, unique, until, variable};
