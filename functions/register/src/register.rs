//! Registers the AMI.

use account::Session;
use cloudupload::{
    clock,
    function::Tools,
    job::{JobId, Work},
    workflow::{Step, StepError},
};

pub struct Registering {
    pub tools: Tools,
    pub deployment: String,
}

impl Registering {
    pub async fn run(&self, id: JobId) -> Result<Step, StepError> {
        self.tools.while_open(id, self.register(id)).await
    }

    async fn register(&self, id: JobId) -> Result<Step, StepError> {
        let job = self.tools.open_job(id).await?;
        let (Some(snapshot), Some(disk)) = (&job.work.snapshot, &job.work.disk) else {
            return Err(StepError::because("the record names no snapshot"));
        };
        let session = Session::assume(&self.tools.config, &job, &self.deployment).await?;
        let news = Work {
            register_began: job.work.register_began.or_else(|| Some(clock::now())),
            ..Work::default()
        };
        self.tools.jobs.learn(id, &news).await?;
        let image = session.ami().register(snapshot, disk.boot).await?;
        let news = Work {
            image: Some(image),
            ..Work::default()
        };
        self.tools.jobs.learn(id, &news).await?;
        Ok(Step { job: id })
    }
}
