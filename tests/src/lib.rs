//! What the tests on the local stack share: the stack, as `infra/local/stack up` describes it in the environment, and
//! the disks that go through it.

pub mod disk;
mod job;
mod stack;

pub use job::Job;
pub use stack::{Stack, Upload, unique};
