//! One look at the import task.

use account::{Session, Status};
use cloudupload::{
    clock,
    function::Tools,
    job::{JobId, Progress, Work},
    workflow::{Importing, StepError, wait_after},
};

pub struct Checking {
    pub tools: Tools,
    pub deployment: String,
}

/// An import may take this long at least, in seconds, and longer by the disk's size: AWS promises no duration, and
/// 5 to 20 minutes are seen for a few GiB.
const BUDGET: u64 = 2 * 3600;

/// Seconds that EC2 may take to show a task to those who ask for it ("Eventual consistency in the Amazon EC2 API").
const KNOWN_WITHIN: u64 = 300;

/// The slowest import that is still waited for, in bytes a second.
const SLOWEST: u64 = 1 << 20;

impl Checking {
    pub async fn run(&self, id: JobId) -> Result<Importing, StepError> {
        self.tools.while_open(id, self.check(id)).await
    }

    async fn check(&self, id: JobId) -> Result<Importing, StepError> {
        let job = self.tools.open_job(id).await?;
        let (Some(task), Some(began), Some(size)) = (
            &job.work.import_task,
            job.work.import_began,
            job.work.disk_size,
        ) else {
            return Err(StepError::because("the record names no import task"));
        };
        let session = Session::assume(&self.tools.config, &job, &self.deployment).await?;
        let log = self.tools.journal.of(id);
        let waited = clock::now().saturating_sub(began);
        let status = match session.import().status(task).await? {
            Some(status) => status,
            None if waited <= KNOWN_WITHIN => Status::Active {
                percent: 0,
                message: "EC2 does not know it yet".to_owned(),
            },
            None => Status::Over {
                status: "unknown".to_owned(),
                message: "EC2 does not know it any more".to_owned(),
            },
        };
        let budget = BUDGET + size / SLOWEST;
        match status {
            Status::Completed { snapshot } => {
                // In this order: what is in the record, a clean-up finds.
                let news = Work {
                    snapshot: Some(snapshot.clone()),
                    ..Work::default()
                };
                self.tools.jobs.learn(id, &news).await?;
                // One that was made a moment ago may not be known everywhere.
                let done = session.ami().tag_snapshot(&snapshot).await?;
                match done {
                    true => log.line(format!("Created snapshot: {snapshot}")).await,
                    false if waited <= budget => {
                        log.line(format!("EC2 does not know {snapshot} yet")).await;
                    }
                    false => {
                        let gone = format!("{snapshot}, which {task} made, is gone");
                        return Err(StepError::Failed(gone));
                    }
                }
                Ok(Importing {
                    job: id,
                    done,
                    wait: wait_after(waited),
                })
            }
            Status::Active { percent, message } if waited <= budget => {
                self.tools
                    .jobs
                    .set_progress(id, Progress::Imported { percent })
                    .await?;
                log.line(format!("Imported {percent}% ({message})")).await;
                Ok(Importing {
                    job: id,
                    done: false,
                    wait: wait_after(waited),
                })
            }
            Status::Active { percent, message } => Err(StepError::Failed(format!(
                "{task} is at {percent}% ({message}) after {waited} s: given up"
            ))),
            Status::Over { status, message } => Err(StepError::Failed(format!(
                "ec2:ImportSnapshot: {task} is {status}: {message}"
            ))),
        }
    }
}
