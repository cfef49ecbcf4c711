//! Waits for jobs.

use std::fmt::Debug;

use super::Stack;
use crate::{
    Job, JobId,
    wait::{WAIT_TIMEOUT, poll},
};

impl Stack {
    /// As [`crate::until`], for a condition of the job: the panic shows its log and the queue, too.
    pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
        &self,
        id: JobId,
        what: &str,
        look: impl FnMut() -> F,
    ) -> T {
        match poll(look).await {
            Ok(found) => found,
            Err(instead) => panic!(
                "job {id}: {what}: not within {WAIT_TIMEOUT:?}, but {instead:?}\n{:?}\n{}",
                self.queue().await,
                self.log(id).await
            ),
        }
    }

    /// Waits for the job to meet the condition, and returns it as it is then.
    pub async fn wait(&self, id: JobId, is_met: impl Fn(&Job) -> bool) -> Job {
        self.until(id, "the condition is met", async || {
            match self.job(id).await {
                job if is_met(&job) => Ok(job),
                job => Err(job),
            }
        })
        .await
    }

    /// Waits for the job to be in the state.
    pub async fn wait_for_state(&self, id: JobId, state: &str) {
        self.wait(id, |job| job.state() == state).await;
    }

    /// Waits until nothing works on the job any more.
    pub async fn wait_until_idle(&self, id: JobId) {
        self.until(id, "nothing runs", || self.is_idle(id)).await;
    }

    /// Waits for the job to be final, and for its clean-up to be done.
    pub async fn end(&self, id: JobId) -> Job {
        let job = self.wait(id, Job::is_final).await;
        self.wait_until_idle(id).await;
        job
    }

    /// The job at its end, which has to be a success.
    pub async fn success(&self, id: JobId) -> Job {
        let job = self.end(id).await;
        assert_eq!(job.state(), "succeeded", "{job:?}\n{}", self.log(id).await);
        job
    }

    /// The job at its end, which has to be a failure with nothing left behind.
    pub async fn failure(&self, id: JobId) -> Job {
        let job = self.end(id).await;
        let log = self.log(id).await;
        assert_eq!(job.state(), "failed", "{job:?}\n{log}");
        assert_eq!(self.leftovers(&job).await, Vec::<String>::new(), "{log}");
        job
    }
}
