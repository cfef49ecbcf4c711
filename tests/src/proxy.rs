//! A proxy between the functions and the emulated AWS. It makes calls fail as they do on AWS, and kills functions.
//!
//! It knows of every request which call it is, which function made it, and for which job. Tests add rules and read what
//! was called, in JSON:
//!
//! | request | body, and answer |
//! |---|---|
//! | `POST /_faults/rules` | a [`Rule`]; `{"rule": 3}` |
//! | `GET /_faults/rules/3` | a [`RuleStatus`]: `{"hits": 1, "holding": false}` |
//! | `POST /_faults/rules/3/release` | releases the calls that the rule holds |
//! | `DELETE /_faults/rules/3`, `DELETE /_faults/rules` | removes a rule, or all, and releases what it holds |
//! | `GET /_faults/calls?job=17`, `GET /_faults/calls` | a list of [`CallCount`]s: of a job, or of all |
//!
//! Everything else is forwarded unchanged. Linux only: the caller is found in /proc.

mod call;
mod caller;
mod control;
mod counts;
mod fault;
mod rules;
mod serve;
#[cfg(test)]
mod tests;

pub use counts::CallCount;
pub use fault::Fault;
pub use rules::{Rule, RuleId, RuleStatus};
pub use serve::{BadUpstream, Proxy};
