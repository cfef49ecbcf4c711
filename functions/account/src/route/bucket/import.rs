//! The import task: EC2 reads the disk in the bucket and makes a snapshot of it.

use aws_sdk_ec2::{
    Client,
    types::{ImportSnapshotTask, ResourceType, SnapshotDiskContainer, UserBucket},
};
use cloudupload::{
    aws::{self, Failure},
    job::Job,
    multipart::Location,
};

use crate::tags;

/// The role under which VM Import reads the bucket. `infra/user-account.yaml` makes it.
pub(crate) const SERVICE_ROLE: &str = "obs-cloudupload-vmimport";

/// How an import task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// At work, with the percent done and EC2's words for what it does.
    Active {
        percent: u8,
        message: String,
    },
    Completed {
        snapshot: String,
    },
    /// It will make no snapshot, for the reason that EC2 gives.
    Over {
        status: String,
        message: String,
    },
}

/// The import tasks of one job.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    pub(crate) ec2: &'a Client,
    pub(crate) job: &'a Job,
    pub(crate) deployment: &'a str,
}

impl Import<'_> {
    /// Starts the import of the job's disk, and answers with the task's id. Started twice, it is still one task: the
    /// client token sees to it.
    pub async fn start(&self, disk: &Location) -> Result<String, Failure> {
        let answer = self
            .ec2
            .import_snapshot()
            .client_token(format!(
                "{}-{}",
                self.deployment,
                self.job.id.execution_name()
            ))
            .description(tags::description(&format!(
                "{} of OBS job {}",
                self.job.order.filename, self.job.id
            )))
            .role_name(SERVICE_ROLE)
            .disk_container(
                SnapshotDiskContainer::builder()
                    .format("RAW")
                    .user_bucket(
                        UserBucket::builder()
                            .s3_bucket(&disk.bucket)
                            .s3_key(&disk.key)
                            .build(),
                    )
                    .build(),
            )
            .tag_specifications(tags::specification(
                ResourceType::ImportSnapshotTask,
                self.job,
                self.deployment,
            ))
            .send()
            .await
            .map_err(Failure::of("ec2:ImportSnapshot"))?;
        answer
            .import_task_id
            .ok_or_else(|| Failure::odd("ec2:ImportSnapshot", "the answer has no task id"))
    }

    /// How the task stands; nothing if EC2 does not know it, or does not know it yet.
    pub async fn status(&self, task: &str) -> Result<Option<Status>, Failure> {
        let answer = self
            .ec2
            .describe_import_snapshot_tasks()
            .import_task_ids(task)
            .send()
            .await
            .map_err(Failure::of("ec2:DescribeImportSnapshotTasks"));
        let answer = aws::unless(&UNKNOWN, answer)?;
        Ok(answer
            .and_then(|answer| answer.import_snapshot_tasks)
            .and_then(|tasks| tasks.into_iter().next())
            .map(read_status))
    }

    /// The job's tasks by their tags: also those whose id nobody lived to write down, and those that are over. EC2's own
    /// filters are not used: its API reference names none for this call.
    pub async fn find(&self) -> Result<Vec<String>, Failure> {
        let tasks = self
            .ec2
            .describe_import_snapshot_tasks()
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(Failure::of("ec2:DescribeImportSnapshotTasks"))?;
        Ok(tasks
            .into_iter()
            .filter(|task| tags::are_of(task.tags(), self.job.id, self.deployment))
            .filter_map(|task| task.import_task_id)
            .collect())
    }

    pub async fn cancel(&self, task: &str) -> Result<(), Failure> {
        self.ec2
            .cancel_import_task()
            .import_task_id(task)
            .cancel_reason("the job was ended")
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("ec2:CancelImportTask"))
    }
}

/// What EC2 answers of an id that it does not know ("Error codes for the Amazon EC2 API").
const UNKNOWN: [&str; 2] = [
    "InvalidConversionTaskId",
    "InvalidConversionTaskId.Malformed",
];

/// The statuses are those of the VM Import/Export user guide, "Check the status of your snapshot import"; `active`,
/// `completed`, `deleting` and `deleted` are what it documents, and `cancelled` and `error` what EC2 was seen to answer.
/// A status unknown here counts as at work: the job's budget ends it.
fn read_status(task: ImportSnapshotTask) -> Status {
    let Some(detail) = task.snapshot_task_detail else {
        return Status::Active {
            percent: 0,
            message: "no details yet".to_owned(),
        };
    };
    let status = detail.status.unwrap_or_default();
    let message = detail.status_message.unwrap_or_default();
    match (status.as_str(), detail.snapshot_id) {
        ("completed", Some(snapshot)) => Status::Completed { snapshot },
        ("completed", None) => Status::Over {
            status,
            message: "the task names no snapshot".to_owned(),
        },
        ("deleting" | "deleted" | "cancelling" | "cancelled" | "canceled" | "error", _) => {
            Status::Over { status, message }
        }
        _ => Status::Active {
            percent: detail
                .progress
                .and_then(|percent| percent.trim_end_matches('%').parse().ok())
                .unwrap_or_default(),
            message,
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::SnapshotTaskDetail;

    use super::*;

    fn task(status: &str, snapshot: Option<&str>) -> Status {
        read_status(
            ImportSnapshotTask::builder()
                .snapshot_task_detail(
                    SnapshotTaskDetail::builder()
                        .status(status)
                        .progress("42")
                        .set_snapshot_id(snapshot.map(str::to_owned))
                        .status_message("why")
                        .build(),
                )
                .build(),
        )
    }

    #[test]
    fn every_terminal_status_is_known() {
        for status in [
            "deleting",
            "deleted",
            "cancelling",
            "cancelled",
            "canceled",
            "error",
        ] {
            assert!(
                matches!(task(status, None), Status::Over { .. }),
                "{status}"
            );
        }
        assert!(matches!(task("completed", None), Status::Over { .. }));
        assert_eq!(
            task("completed", Some("snap-1")),
            Status::Completed {
                snapshot: "snap-1".to_owned()
            }
        );
    }

    #[test]
    fn what_is_not_over_goes_on() {
        for status in ["pending", "active", "something new"] {
            assert_eq!(
                task(status, None),
                Status::Active {
                    percent: 42,
                    message: "why".to_owned()
                }
            );
        }
    }
}
