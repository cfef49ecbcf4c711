//! The functions' names, by which the fault proxy knows its callers.

pub const API: &str = "api";
pub const PREFLIGHT: &str = "preflight";
pub const RECEIVE: &str = "receive";
pub const PUSH: &str = "push";
pub const SLOT: &str = "slot";
pub const PREPARE: &str = "prepare";
pub const TRANSFER: &str = "transfer";
pub const SEAL: &str = "seal";
pub const POLL: &str = "poll";
pub const REGISTER: &str = "register";
pub const FINISH: &str = "finish";
pub const SWEEP: &str = "sweep";
