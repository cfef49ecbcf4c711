//! The calls that were made, and the job that each function works on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{call::Call, caller::Caller};
use crate::function;

/// A call, with the function that makes it and the job that it is for. Without a function, another program makes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributedCall {
    pub job: Option<String>,
    pub function: Option<String>,
    pub call: String,
}

/// The number of times that a call was made, each attempt counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    pub job: Option<String>,
    pub function: Option<String>,
    pub call: String,
    pub count: u32,
}

#[derive(Default)]
pub struct CallCounts(Mutex<State>);

#[derive(Default)]
struct State {
    /// The job of each process: a function works on one event at a time.
    jobs: HashMap<Pid, String>,
    counts: BTreeMap<AttributedCall, u32>,
}

impl CallCounts {
    /// Counts a call, and tells whose it is.
    pub fn add(&self, caller: Option<&Caller>, call: &Call, body: &[u8]) -> AttributedCall {
        let mut state = self.0.lock().expect("nobody panics with it");
        if let Some(caller) = caller
            && let Some(job) = job_of(caller, call, body)
        {
            state.jobs.insert(caller.pid, job);
        }
        let attributed = AttributedCall {
            job: caller.and_then(|caller| state.jobs.get(&caller.pid).cloned()),
            function: caller.map(|caller| caller.function.clone()),
            call: call.to_string(),
        };
        *state.counts.entry(attributed.clone()).or_default() += 1;
        attributed
    }

    /// The calls for a job, or all.
    pub fn list(&self, job: Option<&str>) -> Vec<CallCount> {
        let state = self.0.lock().expect("nobody panics with it");
        let counts = state.counts.iter();
        counts
            .filter(|(call, _)| job.is_none() || call.job.as_deref() == job)
            .map(|(call, &count)| CallCount {
                job: call.job.clone(),
                function: call.function.clone(),
                call: call.call.clone(),
                count,
            })
            .collect()
    }
}

/// The functions that begin with a transaction, by which their job comes to its next state. Transactions of others may be
/// about other jobs, which they give slots to.
const BEGIN_WITH_A_TRANSACTION: [&str; 3] = [function::RECEIVE, function::PUSH, function::PREPARE];

/// The job that a process begins to work on with this call: whatever a function does for a job, it first makes, reads
/// or writes the job's record, whose key is the job's number.
fn job_of(caller: &Caller, call: &Call, body: &[u8]) -> Option<String> {
    if call.service != "dynamodb" {
        return None;
    }
    let body = || serde_json::from_slice::<Value>(body).ok();
    match call.operation.as_str() {
        "GetItem" | "UpdateItem" => number(&body()?["Key"]),
        "PutItem" => number(&body()?["Item"]),
        "TransactWriteItems" if BEGIN_WITH_A_TRANSACTION.contains(&&*caller.function) => {
            let body = body()?;
            let mut parts = body["TransactItems"].as_array()?.iter();
            parts.find_map(|part| number(&part["Update"]["Key"]))
        }
        _ => None,
    }
}

/// The number in the key of a job's record.
fn number(key: &Value) -> Option<String> {
    let id = key["id"]["S"].as_str()?;
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(operation: &str) -> Call {
        Call {
            service: "dynamodb".to_owned(),
            operation: operation.to_owned(),
        }
    }

    #[test]
    fn a_process_works_on_the_job_it_read_last() {
        let counts = CallCounts::default();
        let caller = Caller {
            pid: Pid::INIT,
            function: "seal".to_owned(),
        };
        let body = |field: &str, id: &str| json!({ field: { "id": { "S": id } } }).to_string();
        let key = |id: &str| body("Key", id);
        for (operation, body, job) in [
            ("Scan", "{}".to_owned(), None),
            ("UpdateItem", key("counter"), None),
            ("GetItem", key("17"), Some("17")),
            ("TransactWriteItems", "{}".to_owned(), Some("17")),
            ("UpdateItem", key("counter"), Some("17")),
            ("DeleteItem", key("18"), Some("17")),
            ("UpdateItem", key("18"), Some("18")),
            ("PutItem", body("Item", "19"), Some("19")),
        ] {
            let attributed = counts.add(Some(&caller), &call(operation), body.as_bytes());
            assert_eq!(attributed.job.as_deref(), job, "{operation}");
        }
        let transaction = json!({"TransactItems": [
            {"Update": {"Key": {"kind": {"S": "held"}}}}, {"Update": {"Key": {"id": {"S": "20"}}}},
        ]})
        .to_string();
        for (function, job) in [("finish", "19"), ("prepare", "20")] {
            let caller = Caller {
                function: function.to_owned(),
                ..caller.clone()
            };
            let call = call("TransactWriteItems");
            let attributed = counts.add(Some(&caller), &call, transaction.as_bytes());
            assert_eq!(attributed.job.as_deref(), Some(job), "{function}");
        }
        let attributed = counts.add(None, &call("GetItem"), key("17").as_bytes());
        assert_eq!((attributed.job, attributed.function), (None, None));
        assert_eq!(
            counts.list(Some("18")),
            [CallCount {
                job: Some("18".to_owned()),
                function: Some("seal".to_owned()),
                call: "dynamodb:UpdateItem".to_owned(),
                count: 1,
            }]
        );
        let all = counts.list(None);
        assert_eq!(all.iter().map(|counted| counted.count).sum::<u32>(), 11);
    }
}
