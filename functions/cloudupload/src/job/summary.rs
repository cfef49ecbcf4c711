//! A job as OBS's clients see it.

use serde::{Deserialize, Serialize};

use super::{Creator, Job, JobId, Owner, State, TaskToken, UploadRequest, owner_of};
use crate::{
    caller::CallerName,
    clock::Timestamp,
    names::{FileName, Package, Project, Repository, User},
    target::{AmiName, Region},
};

/// What every job's record has. A job that was refused when it was created has no more than this: its record is no
/// [`Job`], and no step ever reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSummary {
    pub id: JobId,
    pub state: State,
    pub details: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TaskToken>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_removed: Option<Timestamp>,
    #[serde(rename = "order")]
    pub subject: Subject,
}

/// What is to be uploaded, for whom, and into which cloud. A job that was refused may have a target or an architecture
/// that is unknown here, and no size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub user: User,
    pub target: String,
    pub project: Project,
    pub repository: Repository,
    pub package: Package,
    pub arch: String,
    pub filename: FileName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where it goes; none if the job was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2: Option<Destination>,
}

/// What a job's user is told of the place that the image goes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    pub region: Region,
    pub ami_name: AmiName,
}

impl JobSummary {
    /// The attributes of a record that are read for it, with dots before nested ones.
    pub const ATTRIBUTES: [&str; 21] = [
        "id",
        "state",
        "details",
        "progress",
        "try",
        "created",
        "caller",
        "owner",
        "ended",
        "token",
        "image_removed",
        "order.user",
        "order.target",
        "order.project",
        "order.repository",
        "order.package",
        "order.arch",
        "order.filename",
        "order.size",
        "order.ec2.region",
        "order.ec2.ami_name",
    ];

    /// A job that fails as it is created. Nothing is left to do for it.
    pub fn refused(
        id: JobId,
        subject: Subject,
        reason: String,
        creator: Creator,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            state: State::Failed,
            details: reason,
            progress: None,
            tries: None,
            created: now,
            caller: creator.caller,
            owner: Some(creator.owner),
            ended: Some(now),
            token: None,
            image_removed: None,
            subject,
        }
    }

    /// The job's owner.
    pub fn owner(&self) -> Owner {
        owner_of(&self.owner, &self.subject.user)
    }
}

impl From<Job> for JobSummary {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            state: job.state,
            details: job.details,
            progress: job.progress,
            tries: job.tries,
            created: job.created,
            caller: job.caller,
            owner: job.owner,
            ended: job.ended,
            token: job.token,
            image_removed: job.image_removed,
            subject: job.request.into(),
        }
    }
}

impl From<UploadRequest> for Subject {
    fn from(request: UploadRequest) -> Self {
        Self {
            user: request.user,
            target: request.target.as_str().to_owned(),
            project: request.project,
            repository: request.repository,
            package: request.package,
            arch: request.arch.as_str().to_owned(),
            filename: request.filename,
            size: Some(request.size),
            ec2: Some(Destination {
                region: request.ec2.region,
                ami_name: request.ec2.ami_name,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::job::{CleanUpNote, example};

    #[test]
    fn the_record_of_a_job_has_its_summary() {
        let now = Timestamp::from_secs(1795445900);
        let job = Job {
            progress: Some(7),
            tries: Some(2),
            ended: Some(now),
            token: Some(TaskToken("AQC8".to_owned())),
            image_removed: Some(now),
            cleaned: Some(CleanUpNote {
                at: now,
                complete: true,
            }),
            ..example()
        };
        let record = serde_json::to_value(&job).unwrap();
        let summary: JobSummary = serde_json::from_value(record).unwrap();
        assert_eq!(summary, job.into());
    }

    #[test]
    fn its_attributes_are_all_that_is_read_for_it() {
        let now = Timestamp::from_secs(1795445900);
        let all = JobSummary {
            progress: Some(7),
            tries: Some(2),
            caller: Some("obs".parse().unwrap()),
            owner: Some(example().owner()),
            ended: Some(now),
            token: Some(TaskToken("AQC8".to_owned())),
            image_removed: Some(now),
            ..example().into()
        };
        let record = serde_json::to_value(&all).unwrap();
        let mut attributes = BTreeSet::new();
        let mut nested = vec![(String::new(), &record)];
        while let Some((path, value)) = nested.pop() {
            match value {
                Value::Object(inner) => {
                    let dot = if path.is_empty() { "" } else { "." };
                    nested.extend(
                        inner
                            .iter()
                            .map(|(name, value)| (format!("{path}{dot}{name}"), value)),
                    );
                }
                _ => drop(attributes.insert(path)),
            }
        }
        assert_eq!(attributes, JobSummary::ATTRIBUTES.map(str::to_owned).into());
    }

    #[test]
    fn a_refused_job_comes_back_from_its_record_and_is_no_job() {
        let subject = Subject {
            target: "azure".to_owned(),
            arch: "s390x".to_owned(),
            size: None,
            ec2: None,
            ..example().request.into()
        };
        let now = Timestamp::from_secs(1795445900);
        let creator = Creator {
            caller: "obs".parse().ok(),
            owner: Owner::Obs(subject.user.clone()),
        };
        let refused = JobSummary::refused(example().id, subject, "no".to_owned(), creator, now);
        let record = serde_json::to_value(&refused).unwrap();
        assert!(serde_json::from_value::<Job>(record.clone()).is_err());
        assert_eq!(
            serde_json::from_value::<JobSummary>(record).unwrap(),
            refused
        );
    }
}
