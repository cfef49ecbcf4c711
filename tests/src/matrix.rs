//! The fault matrix: whatever call a function makes, it fails in every way that calls fail, and its job ends all the same
//! and leaves nothing behind.
//!
//! The rows are the calls, as a recording sees them on each of the ways that a job can go ([`Way`]); nobody lists them, so
//! that none is forgotten. The columns are the faults ([`Column`]). A [`Cell`] is one run with one fault, its [`Outcome`]
//! what came of it, measured against a bar that says what has to come of it.

mod bar;
mod bench;
mod cell;
mod job;
mod mess;
mod record;
mod remains;
mod report;
mod request;
mod run;
mod way;

pub use bench::Bench;
pub use cell::{Break, Cell, Column, ObsFault, Outcome};
pub use record::{Recording, record};
pub use report::{Report, lines};
pub use run::{all_cells, run};
pub use way::{Request, Way};
