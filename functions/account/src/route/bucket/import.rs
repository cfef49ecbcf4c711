//! The import task: EC2 reads the disk in the bucket and makes a snapshot of it.

use aws_sdk_ec2::types::{ImportSnapshotTask, ResourceType, SnapshotDiskContainer, UserBucket};
use cloudupload::{
    aws::{self, Failure},
    job::{ImportTaskId, SnapshotId},
    multipart::Location,
};

use super::SERVICE_ROLE;
use crate::{Session, tags};

/// How an import task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// At work, with the percent done and EC2's words for what it does.
    Active {
        percent: u8,
        message: String,
    },
    Completed {
        snapshot: SnapshotId,
    },
    /// It will make no snapshot, for the reason that EC2 gives.
    Over {
        status: String,
        message: String,
    },
}

/// The import tasks of one job.
#[derive(Clone, Debug)]
pub(super) struct Import<'a> {
    pub(super) session: &'a Session<'a>,
}

impl Import<'_> {
    /// Starts the import of the job's disk, and answers with the task's id. Idempotent, by the client token.
    pub(super) async fn start(&self, disk: &Location) -> Result<ImportTaskId, Failure> {
        let Session { job, tag, ec2, .. } = self.session;
        let encryption = job.request.ec2.encryption();
        let answer = ec2
            .import_snapshot()
            .client_token(tag.client_token())
            .description(tags::description(&format!(
                "{} of OBS job {}",
                job.request.filename, job.id
            )))
            .role_name(SERVICE_ROLE)
            .set_encrypted(encryption.is_wished().then_some(true))
            .set_kms_key_id(encryption.key().map(|key| key.as_str().to_owned()))
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
                job,
                tag,
            ))
            .send()
            .await
            .map_err(Failure::of("ec2:ImportSnapshot"))?;
        let task = answer.import_task_id.unwrap_or_default();
        task.parse()
            .map_err(|bad| Failure::unexpected("ec2:ImportSnapshot", format!("{bad}")))
    }

    /// How the task stands; nothing if EC2 does not know it, or does not know it yet.
    pub(super) async fn status(&self, task: &ImportTaskId) -> Result<Option<Status>, Failure> {
        let answer = self
            .session
            .ec2
            .describe_import_snapshot_tasks()
            .import_task_ids(task.as_str())
            .send()
            .await
            .map_err(Failure::of("ec2:DescribeImportSnapshotTasks"));
        let answer = aws::ok_on_codes(&UNKNOWN, answer)?;
        Ok(answer
            .and_then(|answer| answer.import_snapshot_tasks)
            .and_then(|tasks| tasks.into_iter().next())
            .map(read_status))
    }

    /// All tasks with the job's tag, those that are over among them: a step may have died before it recorded an id. EC2's
    /// own filters are not used: its API reference names none for this call.
    pub(super) async fn find(&self) -> Result<Vec<ImportTaskId>, Failure> {
        let tasks = self
            .session
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
            .filter(|task| self.session.tag.is_in(task.tags()))
            .filter_map(|task| task.import_task_id?.parse().ok())
            .collect())
    }

    pub(super) async fn cancel(&self, task: &ImportTaskId) -> Result<(), Failure> {
        self.session
            .ec2
            .cancel_import_task()
            .import_task_id(task.as_str())
            .cancel_reason("the job was ended")
            .send()
            .await
            .map(drop)
            .map_err(Failure::of("ec2:CancelImportTask"))
    }
}

/// EC2's codes for a task that it does not know ("Error codes for the Amazon EC2 API").
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
    let snapshot = detail.snapshot_id.and_then(|id| id.parse().ok());
    match (status.as_str(), snapshot) {
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
                snapshot: "snap-1".parse().unwrap()
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
