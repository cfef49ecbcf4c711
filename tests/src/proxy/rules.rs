//! Which calls fail, and how many of them.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, futures::OwnedNotified};

use super::{counts::AttributedCall, fault::Fault};
use crate::JobId;

/// Makes calls fail. A field that is `None` matches anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub job: Option<String>,
    /// The short name, as in `transfer`.
    pub function: Option<String>,
    /// As in `s3:UploadPart`.
    pub call: String,
    /// Contained in the path and query or in the body, as they are sent. Bodies sent to S3 are not searched.
    pub text: Option<String>,
    /// The number of such calls that are let through first.
    #[serde(default)]
    pub skip: u32,
    /// The number that is hit then; `None` is all.
    pub times: Option<u32>,
    pub fault: Fault,
}

impl Rule {
    /// A rule that hits the next such call, whoever makes it.
    pub fn new(call: &str, fault: Fault) -> Self {
        Self {
            job: None,
            function: None,
            call: call.to_owned(),
            text: None,
            skip: 0,
            times: Some(1),
            fault,
        }
    }

    /// A rule that hits the next such call of the function, for whatever job.
    pub fn of_function(function: &str, call: &str, fault: Fault) -> Self {
        Self {
            function: Some(function.to_owned()),
            ..Self::new(call, fault)
        }
    }

    /// A rule that hits the next such call of the function for the job.
    pub fn of_job(job: JobId, function: &str, call: &str, fault: Fault) -> Self {
        // A function may make a transaction before the proxy knows the function's job. Each has the job's record in its body.
        let by_text = call == "dynamodb:TransactWriteItems";
        Self {
            job: (!by_text).then(|| job.to_string()),
            text: by_text.then(|| format!("{{\"S\":\"{job}\"}}")),
            ..Self::of_function(function, call, fault)
        }
    }

    /// The same rule for every such call, not only the next.
    pub fn for_all(self) -> Self {
        Self {
            times: None,
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleId(pub u64);

/// What a rule has done, and does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStatus {
    pub hits: u32,
    /// Whether a call waits to be released.
    pub holding: bool,
}

/// What a rule does to a call.
pub struct Hit {
    pub rule: RuleId,
    pub fault: Fault,
    /// Notified when the call is released, if it is held.
    pub released: OwnedNotified,
}

/// In the order in which they were added: the first that matches a call applies.
#[derive(Default)]
pub struct Rules(Mutex<State>);

#[derive(Default)]
struct State {
    added: u64,
    entries: Vec<Entry>,
}

struct Entry {
    id: RuleId,
    rule: Rule,
    /// The number of calls that it matched, those let through included.
    matched: u32,
    /// Each call that is held has a handle, so that their number is known even when callers hang up.
    gate: Arc<Notify>,
}

impl Rules {
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut state = self.state();
        state.added += 1;
        let id = RuleId(state.added);
        state.entries.push(Entry {
            id,
            rule,
            matched: 0,
            gate: Arc::default(),
        });
        id
    }

    /// Removes a rule, or all, and returns the number removed.
    pub fn remove(&self, id: Option<RuleId>) -> usize {
        self.state()
            .entries
            .extract_if(.., |entry| id.is_none_or(|id| entry.id == id))
            .inspect(|entry| entry.gate.notify_waiters())
            .count()
    }

    pub fn status(&self, id: RuleId) -> Option<RuleStatus> {
        self.state().get(id).map(|entry| RuleStatus {
            hits: entry.hits(),
            holding: entry.rule.fault == Fault::Hold && Arc::strong_count(&entry.gate) > 1,
        })
    }

    /// Releases the calls that the rule holds now. Returns whether the rule exists.
    pub fn release(&self, id: RuleId) -> bool {
        let state = self.state();
        state
            .get(id)
            .map(|entry| entry.gate.notify_waiters())
            .is_some()
    }

    /// What happens to a call. `texts` is its path and its body.
    pub fn hit(&self, call: &AttributedCall, texts: [&str; 2]) -> Option<Hit> {
        let mut state = self.state();
        state.entries.iter_mut().find_map(|entry| {
            if !entry.matches(call, texts) {
                return None;
            }
            entry.matched += 1;
            (entry.hits() > 0).then(|| Hit {
                rule: entry.id,
                fault: entry.rule.fault,
                released: entry.gate.clone().notified_owned(),
            })
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl State {
    fn get(&self, id: RuleId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }
}

impl Entry {
    fn hits(&self) -> u32 {
        self.matched.saturating_sub(self.rule.skip)
    }

    fn matches(&self, call: &AttributedCall, texts: [&str; 2]) -> bool {
        let rule = &self.rule;
        let is =
            |wanted: &Option<String>, actual: &Option<String>| wanted.is_none() || wanted == actual;
        rule.times.is_none_or(|times| self.hits() < times)
            && rule.call == call.call
            && is(&rule.job, &call.job)
            && is(&rule.function, &call.function)
            && (!rule.fault.is_deadly() || call.function.is_some())
            && rule
                .text
                .as_ref()
                .is_none_or(|text| texts.iter().any(|sent| sent.contains(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributed(call: &str) -> AttributedCall {
        AttributedCall {
            job: Some("17".to_owned()),
            function: Some("transfer".to_owned()),
            call: call.to_owned(),
        }
    }

    fn hits(rules: &Rules, call: &str, count: usize) -> Vec<Option<Fault>> {
        let call = attributed(call);
        let hit = || rules.hit(&call, ["/b/job-17.raw?partNumber=3", ""]);
        (0..count).map(|_| hit().map(|hit| hit.fault)).collect()
    }

    #[test]
    fn a_used_up_rule_leaves_the_call_to_the_next() {
        let rules = Rules::default();
        let first = rules.add(Rule {
            skip: 1,
            ..Rule::new("s3:UploadPart", Fault::Throttle)
        });
        rules.add(Rule::new("s3:UploadPart", Fault::Timeout).for_all());
        assert_eq!(hits(&rules, "s3:GetObject", 1), [None]);
        let (throttle, timeout) = (Some(Fault::Throttle), Some(Fault::Timeout));
        assert_eq!(
            hits(&rules, "s3:UploadPart", 4),
            [timeout, throttle, timeout, timeout]
        );
        let status = rules.status(first).expect("the rule is there");
        assert_eq!((status.hits, status.holding), (1, false));
        assert_eq!(rules.remove(Some(first)), 1);
        assert_eq!(rules.status(first), None);
        assert_eq!(rules.remove(None), 1);
        assert_eq!(hits(&rules, "s3:UploadPart", 1), [None]);
    }

    #[test]
    fn who_and_what() {
        let job = |job: &str| Rule {
            job: Some(job.to_owned()),
            ..Rule::new("s3:UploadPart", Fault::Throttle)
        };
        let function =
            |function: &str| Rule::of_function(function, "s3:UploadPart", Fault::Throttle);
        let text = |text: &str| Rule {
            text: Some(text.to_owned()),
            ..Rule::new("s3:UploadPart", Fault::Throttle)
        };
        for (rule, hit) in [
            (job("17"), true),
            (job("1"), false),
            (function("transfer"), true),
            (function("seal"), false),
            (text("partNumber=3"), true),
            (text("partNumber=4"), false),
        ] {
            let rules = Rules::default();
            rules.add(rule.clone());
            assert_eq!(
                hits(&rules, "s3:UploadPart", 1)[0].is_some(),
                hit,
                "{rule:?}"
            );
        }
    }

    #[test]
    fn only_functions_are_killed() {
        let rules = Rules::default();
        rules.add(Rule::new("s3:UploadPart", Fault::Kill));
        let other = AttributedCall {
            function: None,
            ..attributed("s3:UploadPart")
        };
        assert!(rules.hit(&other, ["", ""]).is_none());
        assert_eq!(hits(&rules, "s3:UploadPart", 1), [Some(Fault::Kill)]);
    }
}
