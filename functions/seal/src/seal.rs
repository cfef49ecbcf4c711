//! Completes the disk in the user's bucket and starts its import.

use account::{Bucket, Import, Session};
use cloudupload::{
    job::Work,
    jobs,
    workflow::{FIRST_WAIT, Importing, Seal, StepError, Tools},
};

pub struct Sealing {
    pub tools: Tools,
    pub deployment: String,
}

impl Sealing {
    pub async fn run(&self, event: Seal) -> Result<Importing, StepError> {
        self.tools.while_open(event.job, self.seal(event)).await
    }

    async fn seal(&self, Seal { job: id, slices }: Seal) -> Result<Importing, StepError> {
        let job = self.tools.open_job(id).await?;
        let session = Session::assume(&self.tools.config, &job, &self.deployment).await?;
        let bucket = session.bucket();
        let upload = job.work.target_upload.clone().ok_or_else(|| {
            StepError::because("the record names no upload into the user's bucket")
        })?;
        let disk = bucket
            .upload(Bucket::key(&self.deployment, id), upload)
            .complete(Some(slices.iter().map(|slice| slice.bytes).sum()))
            .await?;
        let import = Import {
            ec2: &session.ec2,
            job: &job,
            deployment: &self.deployment,
        };
        let news = Work {
            disk_size: Some(disk.size),
            import_began: job.work.import_began.or_else(|| Some(jobs::now())),
            ..Work::default()
        };
        self.tools.jobs.learn(id, &news).await?;
        let task = import.start(&bucket).await?;
        let news = Work {
            import_task: Some(task.clone()),
            ..Work::default()
        };
        self.tools.jobs.learn(id, &news).await?;
        self.tools
            .journal
            .of(id)
            .line(format!("Importing a disk of {} bytes: {task}", disk.size))
            .await;
        Ok(Importing {
            job: id,
            done: false,
            wait: FIRST_WAIT,
        })
    }
}
