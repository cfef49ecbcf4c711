//! The events that tell of changes of a job's state. `docs/job-event.schema.json` describes what a subscriber gets.

use serde::{Deserialize, Serialize};

use super::{Destination, JobId, State, Subject};
use crate::{clock::Timestamp, target::Route};

/// What EventBridge calls the source of the events. Names that begin with `aws.` are kept for AWS (EventBridge user
/// guide, "Amazon EventBridge events").
pub const SOURCE: &str = "obs.cloudupload";

/// What EventBridge calls the kind of the events.
pub const DETAIL_TYPE: &str = "Cloud upload job state change";

/// The longest reason of a failure, in bytes, that an event tells. Ten events go into one request of 256 KB (EventBridge
/// API reference, PutEvents).
const LONGEST_REASON: usize = 8 << 10;

/// A change of a job's state, as it lies in the outbox until EventBridge has its event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The key is a number in DynamoDB.
    #[serde(with = "super::id::as_number")]
    pub job: JobId,
    /// The state that the job has come to.
    pub state: State,
    /// When it came to that state.
    pub at: Timestamp,
    /// Of a final state: the AMI's id, or the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

impl StateChange {
    /// A change that comes about now. `details` are those of the job's record.
    pub fn new(job: JobId, state: State, details: &str, at: Timestamp) -> Self {
        let end = details.floor_char_boundary(LONGEST_REASON);
        Self {
            job,
            state,
            at,
            details: state.is_final().then(|| details[..end].to_owned()),
        }
    }

    /// The event that tells of this change.
    pub fn event<'a>(&'a self, record: &'a EventRecord, deployment: &'a str) -> JobEvent<'a> {
        let details_in = |state| self.details.as_deref().filter(|_| self.state == state);
        // It is chosen while the job is `created`. An event that is sent late tells no more than it would have told then.
        let route = record
            .artifacts
            .route
            .filter(|_| self.state != State::Created);
        JobEvent {
            job: self.job,
            sequence: self.state.sequence(),
            state: self.state,
            time: self.at.rfc3339(),
            deployment,
            subject: Subject {
                ec2: None,
                ..record.subject.clone()
            },
            destination: record.subject.ec2.as_ref(),
            route,
            ami: details_in(State::Succeeded),
            reason: details_in(State::Failed),
        }
    }
}

/// The part of any job's record that an event tells. It stays as it is from the job's creation on.
/// It leaves out the role and the external ID.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EventRecord {
    #[serde(rename = "order")]
    subject: Subject,
    /// A job that was refused when it was created has none.
    #[serde(default, rename = "work")]
    artifacts: EventArtifacts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
struct EventArtifacts {
    #[serde(default)]
    route: Option<Route>,
}

/// The detail of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobEvent<'a> {
    job: JobId,
    sequence: u8,
    state: State,
    time: String,
    deployment: &'a str,
    /// Without the destination, which is beside it.
    #[serde(flatten)]
    subject: Subject,
    #[serde(flatten)]
    destination: Option<&'a Destination>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Route>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ami: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use boon::{Compiler, Schemas};
    use serde_json::{Value, json};

    use super::*;
    use crate::job::{Creator, Job, JobSummary, example};

    const NOW: Timestamp = Timestamp::from_secs(1795445900);

    fn record_of(job: &impl Serialize) -> EventRecord {
        serde_json::from_value(serde_json::to_value(job).unwrap()).unwrap()
    }

    fn event(job: &impl Serialize, state: State, details: &str) -> Value {
        let change = StateChange::new(example().id, state, details, NOW);
        serde_json::to_value(change.event(&record_of(job), "0a1b")).unwrap()
    }

    /// A job whose route is chosen.
    fn on_its_way() -> Job {
        let mut job = example();
        job.artifacts.route = Some(Route::Direct);
        job
    }

    const SCHEMA: &str = include_str!("../../../../docs/job-event.schema.json");

    fn holds(event: &Value) -> bool {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        compiler.add_resource("https://schema/", schema).unwrap();
        let schema = compiler.compile("https://schema/", &mut schemas).unwrap();
        schemas.validate(event, schema).is_ok()
    }

    #[test]
    fn the_schema_holds_for_every_state_and_describes_every_property() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        for (state, details) in [
            (State::Created, Job::WAITING),
            (State::Receiving, "receiving image"),
            (State::Scheduled, "waiting to upload"),
            (State::Uploading, "uploading image"),
            (State::Succeeded, "ami-0123456789abcdef0"),
            (State::Failed, "killed"),
        ] {
            let told = event(&on_its_way(), state, details);
            assert!(holds(&told), "{told}");
            for property in told.as_object().unwrap().keys() {
                assert!(schema["properties"].get(property).is_some(), "{property}");
            }
        }
    }

    #[test]
    fn the_schema_refuses_what_no_event_is() {
        let told = event(&on_its_way(), State::Uploading, "");
        for (property, value) in [
            ("sequence", json!(3)),
            ("sequence", json!("4")),
            ("state", json!("waiting")),
            ("job", json!(1)),
            ("time", json!("yesterday")),
            ("ami", json!("ami-1")),
            ("reason", json!("killed")),
            ("route", json!("air")),
        ] {
            let mut changed = told.clone();
            changed[property] = value;
            assert!(!holds(&changed), "{changed}");
        }
        for property in [
            "job",
            "sequence",
            "state",
            "time",
            "deployment",
            "user",
            "region",
        ] {
            let mut changed = told.clone();
            changed.as_object_mut().unwrap().remove(property);
            assert!(!holds(&changed), "{changed}");
        }
        let mut ended = event(&on_its_way(), State::Succeeded, "ami-1");
        assert!(holds(&ended));
        ended.as_object_mut().unwrap().remove("ami");
        assert!(!holds(&ended), "{ended}");
    }

    #[test]
    fn an_event_tells_of_the_change_and_of_the_job() {
        let told = event(&on_its_way(), State::Uploading, "uploading image");
        let expected = json!({
            "job": "1", "sequence": 4, "state": "uploading", "time": "2026-11-23T14:58:20Z", "deployment": "0a1b",
            "user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images", "package": "leap-ec2",
            "arch": "x86_64", "filename": "leap-ec2.x86_64-15.6.raw.xz", "size": 23097940,
            "region": "us-east-1", "ami_name": "leap", "route": "direct",
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn the_end_has_the_ami_or_the_reason() {
        let told = event(&on_its_way(), State::Succeeded, "ami-0123456789abcdef0");
        assert_eq!(told["ami"], "ami-0123456789abcdef0");
        assert_eq!(told["reason"], Value::Null);
        let told = event(&on_its_way(), State::Failed, "killed");
        assert_eq!(
            (&told["ami"], &told["reason"]),
            (&Value::Null, &json!("killed"))
        );
    }

    #[test]
    fn an_event_that_is_late_tells_no_more_than_one_in_time() {
        let in_time = event(&example(), State::Created, Job::WAITING);
        let late = event(&on_its_way(), State::Created, Job::WAITING);
        assert_eq!(in_time, late);
        assert_eq!(late["route"], Value::Null);
    }

    #[test]
    fn a_job_that_was_refused_has_no_target() {
        let subject = Subject {
            size: None,
            ec2: None,
            ..example().request.into()
        };
        let creator = Creator {
            caller: None,
            owner: example().owner(),
        };
        let refused = JobSummary::refused(example().id, subject, "no".to_owned(), creator, NOW);
        let told = event(&refused, State::Failed, &refused.details);
        assert_eq!(
            (&told["reason"], &told["sequence"]),
            (&json!("no"), &json!(5))
        );
        assert!(holds(&told), "{told}");
        for absent in ["region", "ami_name", "route", "size"] {
            assert_eq!(told.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let told = event(
            &example(),
            State::Failed,
            &format!("x{}", "ü".repeat(9_000)),
        );
        let reason = told["reason"].as_str().unwrap();
        assert_eq!(reason.len(), LONGEST_REASON - 1);
        assert!(reason.ends_with('ü'));
    }

    #[test]
    fn no_event_has_the_role_or_the_external_id() {
        let told = event(&example(), State::Created, "").to_string();
        let ec2 = example().request.ec2;
        assert!(!told.contains(&ec2.role.to_string()), "{told}");
        assert!(!told.contains("external_id"), "{told}");
    }

    #[test]
    fn a_change_comes_back_from_the_outbox() {
        let change = StateChange::new(example().id, State::Failed, "killed", NOW);
        let item = serde_json::to_value(&change).unwrap();
        assert_eq!(item["job"], 1);
        assert_eq!(serde_json::from_value::<StateChange>(item).unwrap(), change);
    }
}
