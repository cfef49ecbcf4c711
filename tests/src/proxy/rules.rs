//! Which calls are to fail, and how often.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, futures::OwnedNotified};

use super::{fault::Fault, seen::Asked};

/// Lets a call fail. `None` is whoever, whatever.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub job: Option<String>,
    /// By its short name, as in `transfer`.
    pub function: Option<String>,
    /// As in `s3:UploadPart`.
    pub call: String,
    /// Found in the path with its parameters, or in the body, both as they are sent; the bodies of S3 do not count.
    pub text: Option<String>,
    /// How many such calls are let through first.
    #[serde(default)]
    pub skip: u32,
    /// How many are hit then; `None` is all.
    pub times: Option<u32>,
    pub fault: Fault,
}

impl Rule {
    /// The next such call fails, whoever makes it.
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

    /// The next such call fails that the function makes for the job.
    pub fn of_job(job: &str, function: &str, call: &str, fault: Fault) -> Self {
        // A function may begin with a transaction, by which the proxy does not tell what it works on. The job's record is
        // in each of them.
        let by_text = call == "dynamodb:TransactWriteItems";
        Self {
            job: (!by_text).then(|| job.to_owned()),
            function: Some(function.to_owned()),
            text: by_text.then(|| format!("{{\"S\":\"{job}\"}}")),
            ..Self::new(call, fault)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleId(pub u64);

/// How far a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub hits: u32,
    /// Whether a call waits to be released.
    pub holding: bool,
}

/// What a rule does to a call.
pub struct Hit {
    pub rule: RuleId,
    pub fault: Fault,
    /// Comes when what is held is released.
    pub released: OwnedNotified,
}

/// In the order in which they were made: the first that fits counts.
#[derive(Default)]
pub struct Rules(Mutex<State>);

#[derive(Default)]
struct State {
    made: u64,
    entries: Vec<Entry>,
}

struct Entry {
    id: RuleId,
    rule: Rule,
    /// The calls that it fitted, those let through included.
    met: u32,
    /// Whoever is hit has a handle of it, so that their number is known even when they hang up.
    gate: Arc<Notify>,
}

impl Rules {
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut state = self.state();
        state.made += 1;
        let id = RuleId(state.made);
        state.entries.push(Entry {
            id,
            rule,
            met: 0,
            gate: Arc::default(),
        });
        id
    }

    /// Removes a rule, or all. Answers how many there were.
    pub fn remove(&self, id: Option<RuleId>) -> usize {
        self.state()
            .entries
            .extract_if(.., |entry| id.is_none_or(|id| entry.id == id))
            .inspect(|entry| entry.gate.notify_waiters())
            .count()
    }

    pub fn standing(&self, id: RuleId) -> Option<Standing> {
        self.state().get(id).map(|entry| Standing {
            hits: entry.hits(),
            holding: entry.rule.fault == Fault::Hold && Arc::strong_count(&entry.gate) > 1,
        })
    }

    /// Lets go on what the rule holds now. Answers whether there is that rule.
    pub fn release(&self, id: RuleId) -> bool {
        let state = self.state();
        state
            .get(id)
            .map(|entry| entry.gate.notify_waiters())
            .is_some()
    }

    /// What is to happen to a call, of which `texts` is what was sent.
    pub fn hit(&self, asked: &Asked, texts: [&str; 2]) -> Option<Hit> {
        let mut state = self.state();
        state.entries.iter_mut().find_map(|entry| {
            if !entry.fits(asked, texts) {
                return None;
            }
            entry.met += 1;
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
        self.met.saturating_sub(self.rule.skip)
    }

    fn fits(&self, asked: &Asked, texts: [&str; 2]) -> bool {
        let rule = &self.rule;
        let fits = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        rule.times.is_none_or(|times| self.hits() < times)
            && rule.call == asked.call
            && fits(&rule.job, &asked.job)
            && fits(&rule.function, &asked.function)
            && (!rule.fault.is_deadly() || asked.function.is_some())
            && rule
                .text
                .as_ref()
                .is_none_or(|text| texts.iter().any(|sent| sent.contains(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(call: &str) -> Asked {
        Asked {
            job: Some("17".to_owned()),
            function: Some("transfer".to_owned()),
            call: call.to_owned(),
        }
    }

    fn hits(rules: &Rules, call: &str, count: usize) -> Vec<Option<Fault>> {
        let asked = asked(call);
        let hit = || rules.hit(&asked, ["/b/job-17.raw?partNumber=3", ""]);
        (0..count).map(|_| hit().map(|hit| hit.fault)).collect()
    }

    #[test]
    fn a_used_up_rule_leaves_the_call_to_the_next() {
        let rules = Rules::default();
        let first = rules.add(Rule {
            skip: 1,
            ..Rule::new("s3:UploadPart", Fault::Throttle)
        });
        rules.add(Rule {
            times: None,
            ..Rule::new("s3:UploadPart", Fault::Timeout)
        });
        assert_eq!(hits(&rules, "s3:GetObject", 1), [None]);
        let (throttle, timeout) = (Some(Fault::Throttle), Some(Fault::Timeout));
        assert_eq!(
            hits(&rules, "s3:UploadPart", 4),
            [timeout, throttle, timeout, timeout]
        );
        let standing = rules.standing(first).expect("the rule is there");
        assert_eq!((standing.hits, standing.holding), (1, false));
        assert_eq!(rules.remove(Some(first)), 1);
        assert_eq!(rules.standing(first), None);
        assert_eq!(rules.remove(None), 1);
        assert_eq!(hits(&rules, "s3:UploadPart", 1), [None]);
    }

    #[test]
    fn who_and_what() {
        let job = |job: &str| Rule {
            job: Some(job.to_owned()),
            ..Rule::new("s3:UploadPart", Fault::Throttle)
        };
        let function = |function: &str| Rule {
            function: Some(function.to_owned()),
            ..Rule::new("s3:UploadPart", Fault::Throttle)
        };
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
        let other = Asked {
            function: None,
            ..asked("s3:UploadPart")
        };
        assert!(rules.hit(&other, ["", ""]).is_none());
        assert_eq!(hits(&rules, "s3:UploadPart", 1), [Some(Fault::Kill)]);
    }
}
