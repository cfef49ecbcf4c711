//! A job: one image on its way from OBS into a user's account.

use std::{collections::BTreeMap, fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    image::{format::Compression, partition::BootMode},
    names::{Arch, FileName, Package, Project, Repository, User},
    target::Ec2Target,
};

/// A job's number: counted up from 1, never reused, below 2^31 because the OBS frontend keeps it in a signed 32-bit
/// column (`cloud_user_upload_jobs.job_id` in its schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(u32);

/// Why a number is no job id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadJobId {
    #[error("not a number: '{text}'")]
    NotANumber { text: String, source: ParseIntError },
    #[error("no job can have the number {0}: job numbers go from 1 to {max}", max = JobId::MAX)]
    OutOfRange(u64),
}

impl JobId {
    pub const MAX: u32 = i32::MAX as u32;

    pub fn new(number: u64) -> Result<Self, BadJobId> {
        u32::try_from(number)
            .ok()
            .filter(|n| (1..=Self::MAX).contains(n))
            .map(Self)
            .ok_or(BadJobId::OutOfRange(number))
    }

    pub fn number(self) -> u32 {
        self.0
    }

    /// The name under which the job's execution and its log stream run.
    pub fn execution_name(self) -> String {
        format!("job-{self}")
    }

    /// The job of the execution of that name: its own, or another that finishes it.
    pub fn of_execution(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("job-")?;
        let number = rest.split_once('-').map_or(rest, |(number, _)| number);
        number.parse().ok()
    }
}

impl TryFrom<String> for JobId {
    type Error = BadJobId;

    fn try_from(text: String) -> Result<Self, BadJobId> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> String {
        id.to_string()
    }
}

impl FromStr for JobId {
    type Err = BadJobId;

    fn from_str(text: &str) -> Result<Self, BadJobId> {
        let number = text.parse().map_err(|source| BadJobId::NotANumber {
            text: text.to_owned(),
            source,
        })?;
        Self::new(number)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a job stands. It only moves forward; the last two are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Created,
    Receiving,
    Scheduled,
    Uploading,
    Succeeded,
    Failed,
}

impl State {
    /// The states of a job that is still on its way, in order.
    pub const OPEN: [State; 4] = [
        State::Created,
        State::Receiving,
        State::Scheduled,
        State::Uploading,
    ];

    /// The states of a job that has ended.
    pub const FINAL: [State; 2] = [State::Succeeded, State::Failed];

    pub fn is_final(self) -> bool {
        !Self::OPEN.contains(&self)
    }

    /// The states from which a job may be set to this one. An open state follows itself too, because a step may run
    /// twice; a final one follows none that is final.
    pub fn predecessors(self) -> &'static [State] {
        match self {
            State::Created => &[State::Created],
            State::Receiving => &[State::Created, State::Receiving],
            State::Scheduled => &[State::Receiving, State::Scheduled],
            State::Uploading => &[State::Scheduled, State::Uploading],
            State::Succeeded => &[State::Uploading],
            State::Failed => &Self::OPEN,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Receiving => "receiving",
            State::Scheduled => "scheduled",
            State::Uploading => "uploading",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a job is, in percent of the whole way. The shares are what the stages took of a 10 GiB image's time; they
/// only have to move steadily.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Bytes of the file that came from OBS, of how many.
    Received { bytes: u64, of: u64 },
    /// Bytes of the staged file that went into the user's bucket, of how many.
    Transferred { bytes: u64, of: u64 },
    /// Percent of the import task, as EC2 tells it.
    Imported { percent: u8 },
}

impl Progress {
    pub fn percent(self) -> u8 {
        let (from, to, share) = match self {
            Progress::Received { bytes, of } => (0, 25, ratio(bytes, of)),
            Progress::Transferred { bytes, of } => (25, 60, ratio(bytes, of)),
            Progress::Imported { percent } => (60, 99, ratio(percent.into(), 100)),
        };
        from + (share * f64::from(to - from)) as u8
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 1.0;
    }
    (part as f64 / whole as f64).min(1.0)
}

/// The cloud a job's image goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    Ec2,
}

/// What is asked for when a job is created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub user: User,
    pub target: Cloud,
    pub project: Project,
    pub repository: Repository,
    pub package: Package,
    pub arch: Arch,
    pub filename: FileName,
    /// Bytes of the file as it lies in OBS.
    pub size: u64,
    pub ec2: Ec2Target,
}

/// A job's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub state: State,
    pub details: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// How often a step of this job had to be tried again.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// Seconds since the epoch.
    pub created: u64,
    /// Seconds since the epoch at which the job became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// By which Step Functions knows the state in which the job's execution waits, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TaskToken>,
    /// The last clean-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<CleanUp>,
    pub order: Order,
    #[serde(default)]
    pub work: Work,
}

/// Names a state of an execution that waits until it is told to go on (Step Functions developer guide, "Wait for a
/// Callback with Task Token").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskToken(pub String);

/// How a clean-up went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanUp {
    /// Seconds since the epoch.
    pub at: u64,
    /// Whether all that was begun is gone.
    pub complete: bool,
}

/// After so many seconds nothing that a job's steps began can still be at work: a function lives 900 s at most (Lambda
/// developer guide, "Lambda quotas"), and what it asked AWS for last takes some more.
pub const LATE_WRITERS: u64 = 900 + 60;

/// After so many seconds what could not be removed is left to its owner, who was told in the log, and to the buckets'
/// lifecycles.
pub const CLEAN_UP_BUDGET: u64 = 24 * 3600;

impl Job {
    pub const WAITING: &str = "waiting to receive image";
    pub const KILLED: &str = "killed";

    /// The job as it is created, at so many seconds since the epoch.
    pub fn new(id: JobId, order: Order, created: u64) -> Self {
        Self {
            id,
            state: State::Created,
            details: Self::WAITING.to_owned(),
            progress: None,
            tries: None,
            created,
            ended: None,
            token: None,
            cleaned: None,
            order,
            work: Work::default(),
        }
    }

    /// Whether nothing is left to do for the job: it is final, and cleaned up. If anything was begun before it failed, that
    /// takes a second look, because a step that was given up may have gone on for a while and made something after the
    /// first.
    pub fn is_settled(&self) -> bool {
        let (Some(ended), Some(cleaned)) = (self.ended, self.cleaned) else {
            return false;
        };
        let age = cleaned.at.saturating_sub(ended);
        match self.state {
            State::Succeeded => cleaned.complete || age >= CLEAN_UP_BUDGET,
            State::Failed => {
                let sure = age >= LATE_WRITERS || self.work.staging_began.is_none();
                (cleaned.complete && sure) || age >= CLEAN_UP_BUDGET
            }
            _ => false,
        }
    }

    /// Whether its user ended it.
    pub fn is_killed(&self) -> bool {
        self.state == State::Failed && self.details == Self::KILLED
    }

    /// The key of the file in the staging bucket.
    pub fn staged_key(&self) -> String {
        format!("job-{}/{}", self.id, self.order.filename)
    }

    /// The multipart upload into the user's bucket.
    pub fn target_upload(&self) -> Result<String, Unrecorded> {
        let upload = self.work.target_upload.clone();
        upload.ok_or(Unrecorded("upload into the user's bucket"))
    }
}

/// What a step needs, and no step before it has written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record names no {0}")]
pub struct Unrecorded(pub &'static str);

/// What the steps of a job found and made so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// Seconds since the epoch at which something was begun in the staging bucket. This and the others called `…_began`
    /// are written before AWS is asked for the first thing of its kind, and the clean-up goes by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging_began: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<Received>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<Staged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// Seconds since the epoch at which the job got to `uploading`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_began: Option<u64>,
    /// Bytes of the staged file that each slice has moved, by the slice's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<BTreeMap<String, u64>>,
    /// Seconds since the epoch at which something was begun in the user's bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_began: Option<u64>,
    /// The multipart upload into the user's bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_upload: Option<String>,
    /// Bytes of the disk, as it was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<u64>,
    /// Seconds since the epoch at which the import task was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_began: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Seconds since the epoch at which the AMI was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register_began: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// How far the receiving is, so that another invocation can go on from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// The multipart upload into the staging bucket.
    pub upload: String,
    /// Bytes that lie in whole parts of that upload.
    pub bytes: u64,
    /// How many parts those are.
    pub parts: u32,
    /// State of the SHA-256 over those bytes, in hex.
    pub hash: String,
    /// What OBS said of the file's version, if it says anything.
    pub version: Option<String>,
}

/// The file, complete in the staging bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    pub etag: String,
    /// Of the file as it came from OBS, in hex.
    pub sha256: String,
}

/// What was found out about the disk image in the staged file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub compression: Compression,
    pub boot: BootMode,
}

/// A job for tests.
#[cfg(test)]
pub(crate) fn example() -> Job {
    let order = serde_json::from_str(
        r#"{"user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images",
            "package": "leap-ec2", "arch": "x86_64", "filename": "leap-ec2.x86_64-15.6.raw.xz", "size": 23097940,
            "ec2": {"role": "arn:aws:iam::123456789012:role/obs", "external_id": "id", "region": "us-east-1",
                    "ami_name": "leap"}}"#,
    );
    Job::new(JobId(1), order.expect("this is an order"), 1795445844)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [State; 6] = [
        State::Created,
        State::Receiving,
        State::Scheduled,
        State::Uploading,
        State::Succeeded,
        State::Failed,
    ];

    #[test]
    fn a_state_only_moves_forward() {
        for to in ALL {
            for from in to.predecessors() {
                assert!(from <= &to, "{from} to {to}");
                assert!(!from.is_final(), "{from} is final");
            }
        }
        for from in State::OPEN {
            assert!(State::Failed.predecessors().contains(&from));
        }
    }

    #[test]
    fn a_number_is_a_job_id_if_obs_can_keep_it() {
        assert_eq!("17".parse(), Ok(JobId(17)));
        assert_eq!("2147483647".parse(), Ok(JobId(JobId::MAX)));
        for text in ["0", "2147483648"] {
            assert!(
                matches!(text.parse::<JobId>(), Err(BadJobId::OutOfRange(_))),
                "{text}"
            );
        }
        assert_eq!(
            "abc".parse::<JobId>().unwrap_err().to_string(),
            "not a number: 'abc'"
        );
    }

    #[test]
    fn an_execution_names_its_job() {
        for name in ["job-17", "job-17-finish-1795445844"] {
            assert_eq!(JobId::of_execution(name), Some(JobId(17)), "{name}");
        }
        for name in ["17", "job-", "job-x", "job--finish-1"] {
            assert_eq!(JobId::of_execution(name), None, "{name}");
        }
    }

    #[test]
    fn a_failure_is_settled_after_a_second_look() {
        let settled = |state, ended, cleaned: Option<(u64, bool)>| {
            let mut job = Job {
                state,
                ended,
                cleaned: cleaned.map(|(at, complete)| CleanUp { at, complete }),
                ..example()
            };
            job.work.staging_began = Some(1);
            job.is_settled()
        };
        let ended = Some(1000);
        assert!(!settled(State::Uploading, None, None));
        assert!(!settled(State::Failed, ended, None));
        assert!(!settled(State::Failed, ended, Some((1001, true))));
        let second_look = 1000 + LATE_WRITERS;
        assert!(settled(State::Failed, ended, Some((second_look, true))));
        assert!(!settled(State::Failed, ended, Some((second_look, false))));
        assert!(settled(State::Succeeded, ended, Some((1001, true))));
        assert!(!settled(State::Succeeded, ended, Some((1001, false))));
        let untouched = Job {
            state: State::Failed,
            ended,
            cleaned: Some(CleanUp {
                at: 1001,
                complete: true,
            }),
            ..example()
        };
        assert!(untouched.is_settled());
        let given_up = 1000 + CLEAN_UP_BUDGET;
        for state in [State::Succeeded, State::Failed] {
            assert!(settled(state, ended, Some((given_up, false))));
        }
    }

    proptest! {
        #[test]
        fn progress_never_goes_back(bytes in 0..1_000u64, more in 0..1_000u64, of in 0..1_500u64) {
            let stages: [fn(u64, u64) -> Progress; 3] = [
                |bytes, of| Progress::Received { bytes, of },
                |bytes, of| Progress::Transferred { bytes, of },
                |bytes, _| Progress::Imported { percent: (bytes / 20) as u8 },
            ];
            let mut before = 0;
            for stage in stages {
                for bytes in [bytes, bytes + more] {
                    let percent = stage(bytes, of).percent();
                    prop_assert!(before <= percent && percent < 100);
                    before = percent;
                }
            }
        }
    }
}
