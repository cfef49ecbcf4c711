//! What was made for a job and is not its AMI goes away. Every part is tried, whatever becomes of the others, and may
//! be tried again; what could not be removed is told in the job's log.

use std::time::Duration;

use account::{Ami, Bucket, Import, Session, Status};
use aws_config::SdkConfig;
use cloudupload::{aws::Failure, job::Job, journal::JobLog, staging::Staging};

pub struct CleanUp {
    pub config: SdkConfig,
    pub staging: Staging,
    pub deployment: String,
}

/// How often an import task is looked at until its cancellation is through.
const LOOKS: u32 = 15;

impl CleanUp {
    /// Removes the disk in the user's bucket and the staged file.
    pub async fn after_success(&self, job: &Job, log: &JobLog) {
        if let Some(session) = self.session(job, log).await {
            let key = Bucket::key(&self.deployment, job.id);
            told(
                log,
                "the disk in your bucket",
                session.bucket().remove(&key).await,
            )
            .await;
        }
        self.unstage(job, log).await;
    }

    /// Removes everything: import task, AMI, snapshot, the disk in the user's bucket, the staged file.
    pub async fn after_failure(&self, job: &Job, log: &JobLog) {
        // Nothing was touched in the account of a job that did not get to `uploading`.
        if job.work.upload_began.is_some()
            && let Some(session) = self.session(job, log).await
        {
            let ami = Ami {
                ec2: &session.ec2,
                job,
                deployment: &self.deployment,
            };
            told(log, "the AMI", self.remove_ami(&ami).await).await;
            let import = Import {
                ec2: &session.ec2,
                job,
                deployment: &self.deployment,
            };
            told(
                log,
                "the import task or its snapshot",
                self.remove_import(&import, &ami).await,
            )
            .await;
            let key = Bucket::key(&self.deployment, job.id);
            told(
                log,
                "the disk in your bucket",
                session.bucket().remove(&key).await,
            )
            .await;
        }
        self.unstage(job, log).await;
    }

    async fn session(&self, job: &Job, log: &JobLog) -> Option<Session> {
        match Session::assume(&self.config, job, &self.deployment).await {
            Ok(session) => Some(session),
            Err(error) => {
                let line = format!("Could not look into your account for leftovers: {error}");
                log.line(line).await;
                None
            }
        }
    }

    async fn unstage(&self, job: &Job, log: &JobLog) {
        told(
            log,
            "the staged file",
            self.staging.remove(&job.staged_key()).await,
        )
        .await;
    }

    async fn remove_ami(&self, ami: &Ami<'_>) -> Result<(), Failure> {
        match ami.find().await? {
            Some(image) => ami.deregister(&image).await,
            None => Ok(()),
        }
    }

    /// A task may complete while it is being cancelled: it is looked at until it is over or has a snapshot to delete.
    async fn remove_import(&self, import: &Import<'_>, ami: &Ami<'_>) -> Result<(), Failure> {
        for (task, mut status) in import.find().await? {
            let mut cancelled = Ok(());
            for _ in 0..LOOKS {
                match &status {
                    Status::Over { .. } => break,
                    Status::Completed { snapshot } => {
                        ami.delete_snapshot(snapshot).await?;
                        break;
                    }
                    Status::Active { .. } => {
                        cancelled = import.cancel(&task).await;
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        status = import.status(&task).await?;
                    }
                }
            }
            if let Status::Active { .. } = status {
                cancelled?;
            }
        }
        Ok(())
    }
}

async fn told(log: &JobLog, what: &str, outcome: Result<(), Failure>) {
    if let Err(failure) = outcome {
        log.line(format!("Could not remove {what}: {failure}"))
            .await;
    }
}
