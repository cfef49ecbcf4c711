//! Completes the disk in the user's bucket and starts its import.

use account::Session;
use cloudupload::{
    clock,
    function::Tools,
    job::Work,
    workflow::{FIRST_WAIT, Importing, Seal, StepError},
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
        let location = session.bucket().disk();
        let disk = location
            .clone()
            .upload(job.target_upload()?)
            .complete(Some(slices.iter().map(|slice| slice.bytes).sum()))
            .await?;
        let news = Work {
            disk_size: Some(disk.size),
            import_began: job.work.import_began.or_else(|| Some(clock::now())),
            ..Work::default()
        };
        self.tools.jobs.learn(id, &news).await?;
        let task = session.import().start(&location).await?;
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
