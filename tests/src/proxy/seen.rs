//! What each function works on, and what it asked.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{call::Call, caller::Caller};

/// A call, by whom and for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub job: Option<String>,
    pub function: Option<String>,
    pub call: String,
}

/// How often a call was made, counted at each attempt. Without a function, by another program; without a job, for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub job: Option<String>,
    pub function: Option<String>,
    pub call: String,
    pub count: u32,
}

#[derive(Default)]
pub struct Seen(Mutex<State>);

#[derive(Default)]
struct State {
    /// The job of each process: a function works on one event at a time.
    jobs: HashMap<Pid, String>,
    counts: BTreeMap<Asked, u32>,
}

impl Seen {
    pub fn note(&self, caller: Option<&Caller>, call: &Call, body: &[u8]) -> Asked {
        let mut state = self.0.lock().expect("nobody panics with it");
        if let Some(caller) = caller
            && let Some(job) = opened(call, body)
        {
            state.jobs.insert(caller.pid, job);
        }
        let asked = Asked {
            job: caller.and_then(|caller| state.jobs.get(&caller.pid).cloned()),
            function: caller.map(|caller| caller.function.clone()),
            call: call.to_string(),
        };
        *state.counts.entry(asked.clone()).or_default() += 1;
        asked
    }

    /// Of a job, or of all.
    pub fn list(&self, job: Option<&str>) -> Vec<Sighting> {
        let state = self.0.lock().expect("nobody panics with it");
        let counts = state.counts.iter();
        counts
            .filter(|(asked, _)| job.is_none() || asked.job.as_deref() == job)
            .map(|(asked, &count)| Sighting {
                job: asked.job.clone(),
                function: asked.function.clone(),
                call: asked.call.clone(),
                count,
            })
            .collect()
    }
}

/// The job that a process turns to with this call: whatever a function does for a job, it first makes, reads or writes
/// the record of it, whose key is the job's number.
fn opened(call: &Call, body: &[u8]) -> Option<String> {
    let place = match (call.service.as_str(), call.operation.as_str()) {
        ("dynamodb", "GetItem" | "UpdateItem") => "Key",
        ("dynamodb", "PutItem") => "Item",
        _ => return None,
    };
    let body: Value = serde_json::from_slice(body).ok()?;
    let id = body[place]["id"]["S"].as_str()?;
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
        let seen = Seen::default();
        let caller = Caller {
            pid: Pid::INIT,
            function: "seal".to_owned(),
        };
        let of = |place: &str, id: &str| json!({ place: { "id": { "S": id } } }).to_string();
        let key = |id: &str| of("Key", id);
        for (operation, body, job) in [
            ("Scan", "{}".to_owned(), None),
            ("UpdateItem", key("counter"), None),
            ("GetItem", key("17"), Some("17")),
            ("TransactWriteItems", "{}".to_owned(), Some("17")),
            ("UpdateItem", key("counter"), Some("17")),
            ("DeleteItem", key("18"), Some("17")),
            ("UpdateItem", key("18"), Some("18")),
            ("PutItem", of("Item", "19"), Some("19")),
        ] {
            let asked = seen.note(Some(&caller), &call(operation), body.as_bytes());
            assert_eq!(asked.job.as_deref(), job, "{operation}");
        }
        let asked = seen.note(None, &call("GetItem"), key("17").as_bytes());
        assert_eq!((asked.job, asked.function), (None, None));
        assert_eq!(
            seen.list(Some("18")),
            [Sighting {
                job: Some("18".to_owned()),
                function: Some("seal".to_owned()),
                call: "dynamodb:UpdateItem".to_owned(),
                count: 1,
            }]
        );
        let all = seen.list(None);
        assert_eq!(all.iter().map(|sighting| sighting.count).sum::<u32>(), 9);
    }
}
