//! What is left of a job, and the end of what works on it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::fs;

use super::{
    bench::{Bench, STUCK},
    cell::Outcome,
};
use crate::{Job, Stack, disk, stack::variable};

/// Longer than any function lives, in seconds.
const LATE: u64 = 1000;

impl Bench {
    /// Everything there is of a job in both accounts but a finished AMI and its snapshot, and what still works on it.
    pub async fn left(&self, stack: &Stack, job: &Job) -> Vec<String> {
        let mut left = stack.leftovers(job).await;
        left.extend(self.running(job.id()).await);
        left
    }

    /// The same once the sweeper has looked, a quarter of an hour later.
    pub async fn left_for_good(&self, stack: &Stack, job: &Job) -> Vec<String> {
        self.stack.age(job.id(), LATE).await;
        self.stack.sweep().await;
        // Another sweep, by the schedule, may have been first.
        self.quiet(job.id()).await;
        let mut left = self.left(stack, job).await;
        if self.stack.record(job.id()).await.contains_key("unfinished") {
            left.push(format!("the mark of job {} as unfinished", job.id()));
        }
        left
    }

    /// Until nothing works on the job any more.
    pub async fn quiet(&self, id: &str) {
        let began = Instant::now();
        while !self.running(id).await.is_empty() && began.elapsed() < STUCK {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The job's executions that run.
    pub async fn running(&self, id: &str) -> Vec<String> {
        let names = self.stack.running(id).await.into_iter();
        names.map(|name| format!("execution {name}")).collect()
    }

    /// Looks whether a finished AMI is the disk, and removes it with its snapshot, as it would fill this machine's disk.
    pub async fn take_ami(&self, stack: &Stack, job: &Job, outcome: &mut Outcome) {
        if job.state() != "succeeded" {
            return;
        }
        let image = stack.image(job.details()).await;
        let answer = stack.ec2.deregister_image().image_id(job.details());
        answer.send().await.expect("an AMI is deregistered");
        let devices = image.block_device_mappings().iter();
        for snapshot in devices.filter_map(|device| device.ebs()?.snapshot_id()) {
            let file: PathBuf = [
                &variable("SNAPSHOTS"),
                &variable("USER_ACCOUNT"),
                &stack.region,
                &format!("{snapshot}.raw"),
            ]
            .iter()
            .collect();
            let bytes = fs::read(file).await.expect("a snapshot has bytes");
            if !bytes.starts_with(&disk::disk().await.raw) {
                let other = format!("{} is not the disk", job.details());
                outcome.misses.push(other);
            }
            let answer = stack.ec2.delete_snapshot().snapshot_id(snapshot);
            answer.send().await.expect("a snapshot is deleted");
        }
    }
}
