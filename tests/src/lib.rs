//! What the tests on the local stack share: the stack, as `infra/local/stack up` describes it in the environment, the
//! disks that are uploaded, and the faults that calls to AWS suffer.

pub mod disk;
pub mod ebs_sink;
mod environment;
mod fault_client;
pub mod function;
mod job;
mod last_request;
pub mod matrix;
pub mod part_sink;
pub mod proxy;
mod route;
pub mod serve;
mod stack;
mod user;
mod wait;

pub use environment::{env_var, unique};
pub use fault_client::{FaultClient, RuleGuard};
pub use job::{Job, JobId};
pub use proxy::{CallCount, Fault, Rule};
pub use route::Route;
pub use stack::{
    AccountSettings, PartUrl, Queue, Stack, Subscription, Trust, Upload, crc32, put, snapshots,
};
pub use user::{Administrator, DIRECT, User, detail, job_id};
pub use wait::{poll, until};
