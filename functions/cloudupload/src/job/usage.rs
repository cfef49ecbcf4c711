//! What a job used so far of the things that AWS bills.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What was used: by one invocation of a step, or by all that have ended.
///
/// In a job's record, each number is an attribute beside the others, because DynamoDB adds to nothing else (API reference,
/// UpdateItem, `ADD`). One that is zero is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Calls to AWS that were signed by the service's own account, which then pays for them.
    #[serde(skip_serializing_if = "is_zero")]
    pub own_calls: u64,
    /// Calls to AWS that were signed by the user's role.
    #[serde(skip_serializing_if = "is_zero")]
    pub user_calls: u64,
    /// Blocks of EBS that were written.
    #[serde(skip_serializing_if = "is_zero")]
    pub own_blocks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub user_blocks: u64,
    /// Requests that S3 bills as "PUT, COPY, POST, LIST".
    #[serde(skip_serializing_if = "is_zero")]
    pub own_s3_writes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub user_s3_writes: u64,
    /// Requests that S3 bills as "GET, SELECT, and all other requests".
    #[serde(skip_serializing_if = "is_zero")]
    pub own_s3_reads: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub user_s3_reads: u64,
    /// Units of DynamoDB, by the size that records have at most.
    #[serde(skip_serializing_if = "is_zero")]
    pub read_units: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub write_units: u64,
    /// Bytes of all requests to AWS.
    #[serde(skip_serializing_if = "is_zero")]
    pub sent: u64,
    /// Those that left the service's region.
    #[serde(skip_serializing_if = "is_zero")]
    pub sent_abroad: u64,
    /// Bytes of all answers of AWS.
    #[serde(skip_serializing_if = "is_zero")]
    pub fetched: u64,
    /// Invocations of functions, and the states of the workflow that they stand for.
    #[serde(skip_serializing_if = "is_zero")]
    pub invocations: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub transitions: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub function_ms: u64,
    /// Milliseconds times the function's memory in MiB.
    #[serde(skip_serializing_if = "is_zero")]
    pub function_mib_ms: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    /// Time and memory of the functions as Lambda bills them.
    pub fn gb_seconds(&self) -> f64 {
        self.function_mib_ms as f64 / 1024.0 / 1000.0
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        // Named one by one, so that a new number cannot be forgotten.
        let Self {
            own_calls,
            user_calls,
            own_blocks,
            user_blocks,
            own_s3_writes,
            user_s3_writes,
            own_s3_reads,
            user_s3_reads,
            read_units,
            write_units,
            sent,
            sent_abroad,
            fetched,
            invocations,
            transitions,
            function_ms,
            function_mib_ms,
        } = other;
        self.own_calls += own_calls;
        self.user_calls += user_calls;
        self.own_blocks += own_blocks;
        self.user_blocks += user_blocks;
        self.own_s3_writes += own_s3_writes;
        self.user_s3_writes += user_s3_writes;
        self.own_s3_reads += own_s3_reads;
        self.user_s3_reads += user_s3_reads;
        self.read_units += read_units;
        self.write_units += write_units;
        self.sent += sent;
        self.sent_abroad += sent_abroad;
        self.fetched += fetched;
        self.invocations += invocations;
        self.transitions += transitions;
        self.function_ms += function_ms;
        self.function_mib_ms += function_mib_ms;
    }
}
