//! A job: one image on its way from OBS into a user's account.

mod artifacts;
mod event;
mod id;
mod owner;
mod progress;
mod state;
mod summary;
mod usage;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::id::as_number;
pub use self::{
    artifacts::{
        AmiId, Artifacts, BadEc2Id, BlocksArtifacts, BucketArtifacts, Checkpoint, DiskFacts,
        ImportTaskId, Intent, PushArtifacts, SnapshotId, Staged,
    },
    event::{DETAIL_TYPE, EventRecord, JobEvent, SOURCE, StateChange},
    id::{BadJobId, JobId},
    owner::{BadOwner, Owner},
    progress::Progress,
    state::State,
    summary::{Destination, JobSummary, Subject},
    usage::Usage,
};
use crate::{
    caller::CallerName,
    clock::Timestamp,
    names::{Arch, FileName, Package, Project, Repository, User},
    target::Ec2Target,
};

/// The cloud a job's image goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    Ec2,
}

impl Cloud {
    pub fn as_str(self) -> &'static str {
        match self {
            Cloud::Ec2 => "ec2",
        }
    }
}

/// Where a job's file comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `receive` downloads it from OBS.
    #[default]
    Obs,
    /// The job's creator puts it into the staging bucket, part by part.
    Push,
}

impl Source {
    fn is_obs(&self) -> bool {
        *self == Self::Obs
    }
}

/// What a job was created for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadRequest {
    pub user: User,
    pub target: Cloud,
    pub project: Project,
    pub repository: Repository,
    pub package: Package,
    pub arch: Arch,
    pub filename: FileName,
    /// Bytes of the file as it lies in OBS.
    pub size: u64,
    /// The releases before knew only files of OBS, and did not write it down.
    #[serde(default, skip_serializing_if = "Source::is_obs")]
    pub source: Source,
    pub ec2: Ec2Target,
}

/// A job's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub state: State,
    pub details: String,
    /// Percent of the whole way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// How many times the download from OBS broke.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    pub created: Timestamp,
    /// The caller that created it; none if the call had no secret, where that is allowed, or if a user of this service made it
    /// with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerName>,
    /// The job's owner. The release before did not write it: then the owner is the user of OBS in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// When the job became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// When progress was written down last, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<u64>,
    /// Task token of the state in which the job's execution waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TaskToken>,
    /// The last clean-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<CleanUpNote>,
    /// When the image that the job made was removed again, by `deregister`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_removed: Option<Timestamp>,
    /// The usage of the job's invocations that have ended.
    #[serde(flatten)]
    pub usage: Usage,
    #[serde(rename = "order")]
    pub request: UploadRequest,
    #[serde(default, rename = "work")]
    pub artifacts: Artifacts,
}

/// Names a state of an execution that waits until it is told to go on (Step Functions developer guide, "Wait for a
/// Callback with Task Token").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskToken(pub String);

/// When a clean-up was, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanUpNote {
    pub at: Timestamp,
    /// Whether all that was begun is gone.
    pub complete: bool,
}

/// The time after which nothing that a job's steps began can still be at work: a function lives 900 s at most (Lambda
/// developer guide, "Lambda quotas"), and its last call to AWS takes some more.
pub const LATE_WRITERS: Duration = Duration::from_secs(900 + 60);

/// The time after which what could not be removed is left to its owner, who was told in the log, and to the buckets'
/// lifecycles.
pub const CLEAN_UP_BUDGET: Duration = Duration::from_secs(24 * 3600);

impl Job {
    pub const WAITING: &str = "waiting to receive image";
    pub const KILLED: &str = "killed";

    /// A new job. The file of one that is pushed may come at once, before any step is at work.
    pub fn new(id: JobId, request: UploadRequest, created: Timestamp) -> Self {
        let is_pushed = request.source == Source::Push;
        Self {
            id,
            state: State::Created,
            details: Self::WAITING.to_owned(),
            progress: None,
            tries: None,
            created,
            caller: None,
            owner: None,
            ended: None,
            reported: None,
            token: None,
            cleaned: None,
            image_removed: None,
            usage: Usage::default(),
            request,
            artifacts: Artifacts {
                staging_began: is_pushed.then_some(created),
                ..Artifacts::default()
            },
        }
    }

    /// Whether nothing is left to do for the job: it is final, and cleaned up. If anything was begun before it failed, that
    /// takes a second clean-up, because a step that was given up may have gone on for a while and made something after the
    /// first.
    pub fn is_settled(&self) -> bool {
        let (Some(ended), Some(cleaned)) = (self.ended, self.cleaned) else {
            return false;
        };
        let age = cleaned.at.since(ended);
        match self.state {
            State::Succeeded => cleaned.complete || age >= CLEAN_UP_BUDGET,
            State::Failed => {
                let sure = age >= LATE_WRITERS || self.artifacts.staging_began.is_none();
                (cleaned.complete && sure) || age >= CLEAN_UP_BUDGET
            }
            _ => false,
        }
    }

    /// How long a job that has ended was in each of its states. Jobs of the release before lack the times of some.
    pub fn times_in_states(&self) -> impl Iterator<Item = (State, Duration)> {
        let work = &self.artifacts;
        let entered = [
            Some(self.created),
            work.receiving_began,
            work.scheduled_began,
            work.upload_began,
        ];
        let last = entered.iter().rposition(Option::is_some);
        let left = move |state: usize| match Some(state) == last {
            true => self.ended,
            false => entered.get(state + 1).copied().flatten(),
        };
        State::OPEN
            .into_iter()
            .enumerate()
            .filter_map(move |(number, state)| Some((state, left(number)?.since(entered[number]?))))
    }

    /// The job's owner.
    pub fn owner(&self) -> Owner {
        owner_of(&self.owner, &self.request.user)
    }

    /// Since when nobody has gone on with the push of its file; none if that is complete, or was never to come.
    pub fn pushed_last(&self) -> Option<Timestamp> {
        let waits = [State::Created, State::Receiving].contains(&self.state)
            && self.request.source == Source::Push
            && !self.artifacts.pushed();
        let reported = self
            .reported
            .map(|millis| Timestamp::from_secs(millis / 1000));
        waits.then(|| reported.unwrap_or(self.created))
    }

    /// Whether its user ended it.
    pub fn is_killed(&self) -> bool {
        self.state == State::Failed && self.details == Self::KILLED
    }

    /// The key of the file in the staging bucket.
    pub fn staged_key(&self) -> String {
        format!("job-{}/{}", self.id, self.request.filename)
    }
}

/// The caller that creates a job, and the job's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creator {
    /// None for a call without a secret, and for a user of this service.
    pub caller: Option<CallerName>,
    pub owner: Owner,
}

/// The owner of a job whose record has this `owner` and this `user`.
pub(crate) fn owner_of(owner: &Option<Owner>, user: &User) -> Owner {
    owner.clone().unwrap_or_else(|| Owner::Obs(user.clone()))
}

/// A fact that a step needs and that no step before it has written into the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record names no {0}")]
pub struct Unrecorded(pub &'static str);

/// A job for tests.
#[cfg(test)]
pub(crate) fn example() -> Job {
    let request = serde_json::from_str(
        r#"{"user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images",
            "package": "leap-ec2", "arch": "x86_64", "filename": "leap-ec2.x86_64-15.6.raw.xz", "size": 23097940,
            "ec2": {"role": "arn:aws:iam::123456789012:role/obs", "external_id": "id", "region": "us-east-1",
                    "ami_name": "leap"}}"#,
    );
    Job::new(
        JobId::new(1).expect("1 is a job's number"),
        request.expect("this is a request"),
        Timestamp::from_secs(1795445844),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(at: u64, complete: bool) -> Option<CleanUpNote> {
        let at = Timestamp::from_secs(at);
        Some(CleanUpNote { at, complete })
    }

    #[test]
    fn a_job_that_has_ended_tells_how_long_it_was_in_each_state() {
        let at = |seconds| Some(example().created + Duration::from_secs(seconds));
        let times = |receiving, scheduled, uploading, ended| {
            let mut job = example();
            job.artifacts.receiving_began = receiving;
            job.artifacts.scheduled_began = scheduled;
            job.artifacts.upload_began = uploading;
            job.ended = ended;
            let times = job.times_in_states();
            times
                .map(|(state, time)| (state, time.as_secs()))
                .collect::<Vec<_>>()
        };
        let whole = [
            (State::Created, 2),
            (State::Receiving, 30),
            (State::Scheduled, 400),
            (State::Uploading, 5000),
        ];
        assert_eq!(times(at(2), at(32), at(432), at(5432)), whole);
        assert_eq!(times(at(2), None, None, at(32)), whole[..2]);
        assert_eq!(times(None, None, None, at(2)), whole[..1]);
        assert_eq!(times(at(2), at(32), at(432), None), whole[..3]);
        // The release before wrote down only when the upload began.
        assert_eq!(times(None, None, at(432), at(5432)), whole[3..]);
    }

    #[test]
    fn a_failure_is_settled_after_a_second_look() {
        let settled = |state, ended, cleaned| {
            let mut job = Job {
                state,
                ended,
                cleaned,
                ..example()
            };
            job.artifacts.staging_began = Some(Timestamp::from_secs(1));
            job.is_settled()
        };
        let ended = Some(Timestamp::from_secs(1000));
        assert!(!settled(State::Uploading, None, None));
        assert!(!settled(State::Failed, ended, None));
        assert!(!settled(State::Failed, ended, cleaned(1001, true)));
        let second_look = 1000 + LATE_WRITERS.as_secs();
        assert!(settled(State::Failed, ended, cleaned(second_look, true)));
        assert!(!settled(State::Failed, ended, cleaned(second_look, false)));
        assert!(settled(State::Succeeded, ended, cleaned(1001, true)));
        assert!(!settled(State::Succeeded, ended, cleaned(1001, false)));
        let untouched = Job {
            state: State::Failed,
            ended,
            cleaned: cleaned(1001, true),
            ..example()
        };
        assert!(untouched.is_settled());
        let given_up = 1000 + CLEAN_UP_BUDGET.as_secs();
        for state in [State::Succeeded, State::Failed] {
            assert!(settled(state, ended, cleaned(given_up, false)));
        }
    }
}
