//! The fault matrix: every call that a function makes is broken in every way that calls break, and its job has to end
//! all the same and to leave nothing behind.
//!
//! The rows are calls. They are recorded from undisturbed runs of each [`Scenario`], not listed by hand, so that none
//! is left out. The columns are faults ([`CallFault`]). A [`Case`] is one run with one fault, and its [`Outcome`] is
//! checked against an expectation.

mod case;
mod client;
mod expectation;
mod harness;
mod leftovers;
mod outcome;
mod recording;
mod report;
mod request;
mod run;
mod scenario;
mod sweep;
mod sweep_fixture;
mod upload;

pub use case::{CallFault, Case, FunctionCall, Injection, ObsFault};
pub use client::{Client, ClientFault};
pub use harness::Harness;
pub use outcome::Outcome;
pub use recording::{Recording, record};
pub use report::{Report, lines};
pub use run::{all_cases, run};
pub use scenario::{Request, Scenario};
