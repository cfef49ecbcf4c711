//! A proxy between the functions and the emulated AWS, which lets calls fail as they do on AWS, and kills functions.
//!
//! It knows of every request which call it is, which function made it, and for which job. A test lays down rules, and
//! asks what was seen, by JSON:
//!
//! | request | body, and answer |
//! |---|---|
//! | `POST /_faults/rules` | a [`Rule`]; `{"rule": 3}` |
//! | `GET /_faults/rules/3` | a [`Standing`]: `{"hits": 1, "holding": false}` |
//! | `POST /_faults/rules/3/release` | lets go on what the rule holds |
//! | `DELETE /_faults/rules/3`, `DELETE /_faults/rules` | removes a rule, or all, and lets go on what it holds |
//! | `GET /_faults/seen?job=17`, `GET /_faults/seen` | a list of [`Sighting`]s: of a job, or of all |
//!
//! Everything else is passed on, as it is. Linux only: who calls is read from /proc.

mod call;
mod caller;
mod control;
mod fault;
mod rules;
mod seen;
mod serve;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use rules::{Rule, RuleId, Standing};
pub use seen::Sighting;
pub use serve::{BadUpstream, Proxy};
