//! What is left of a job.

use std::{path::PathBuf, time::Duration};

use tokio::{fs, time::sleep};

use super::{harness::Harness, outcome::Outcome};
use crate::{Job, JobId, Stack, disk, env_var, stack::snapshots};

/// Longer than any function lives, in seconds.
const LATE: u64 = 1000;

impl Harness {
    /// Looks for what the job has left, now and once the sweeper has run a quarter of an hour later.
    pub async fn collect_leftovers(&self, stack: &Stack, job: &Job, outcome: &mut Outcome) {
        outcome.leftovers.extend(self.leftovers(stack, job).await);
        let later = self.leftovers_after_sweep(stack, job).await;
        outcome.leftovers_after_sweep.extend(later);
    }

    /// What is left of a job in both accounts, except its finished AMI and that AMI's snapshot, and what works on it.
    async fn leftovers(&self, stack: &Stack, job: &Job) -> Vec<String> {
        let mut leftovers = stack.leftovers(job).await;
        leftovers.extend(self.running(job.id()).await);
        leftovers
    }

    pub async fn leftovers_after_sweep(&self, stack: &Stack, job: &Job) -> Vec<String> {
        self.sweep_later(job.id()).await;
        if !job.is_final() {
            // That sweep ended it. A job that fails is looked at once more, a quarter of an hour after its end. The
            // execution that does it is named after the second.
            sleep(Duration::from_secs(1)).await;
            self.sweep_later(job.id()).await;
        }
        let mut leftovers = self.leftovers(stack, job).await;
        if self.stack.record(job.id()).await.contains_key("unfinished") {
            leftovers.push(format!("the mark of job {} as unfinished", job.id()));
        }
        let unsent = self.stack.unsent_events(job.id()).await.into_iter();
        leftovers.extend(unsent.map(|number| format!("event {number} of job {}", job.id())));
        leftovers
    }

    /// Runs the sweeper as it would run a quarter of an hour later.
    async fn sweep_later(&self, id: JobId) {
        self.stack.age(id, LATE).await;
        self.stack.age_events(id, LATE).await;
        self.stack.sweep().await;
        // The scheduled sweep may have been first.
        self.wait_until_idle(id).await;
    }

    /// The job's running executions, as leftovers.
    pub async fn running(&self, id: JobId) -> Vec<String> {
        let names = self.stack.running(id).await.into_iter();
        names.map(|name| format!("execution {name}")).collect()
    }

    /// Compares a finished AMI with the disk, and removes it with its snapshot, which would fill this machine's disk.
    pub async fn check_and_remove_ami(&self, stack: &Stack, job: &Job, outcome: &mut Outcome) {
        if job.state() != "succeeded" {
            return;
        }
        let image = stack.image(job.details()).await;
        let answer = stack.ec2.deregister_image().image_id(job.details());
        answer.send().await.expect("an AMI is deregistered");
        for snapshot in snapshots(&image) {
            let file: PathBuf = [
                &env_var("SNAPSHOTS"),
                &env_var("USER_ACCOUNT"),
                &stack.region,
                &format!("{snapshot}.raw"),
            ]
            .iter()
            .collect();
            let bytes = fs::read(file).await.expect("a snapshot has bytes");
            if !bytes.starts_with(&disk::disk().await.raw) {
                let other = format!("{} is not the disk", job.details());
                outcome.unmet.push(other);
            }
            let answer = stack.ec2.delete_snapshot().snapshot_id(snapshot);
            answer.send().await.expect("a snapshot is deleted");
        }
    }
}
