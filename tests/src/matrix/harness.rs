//! What the cases run on: the stack, the faults, and uploads that do not meet each other.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::Mutex;

use super::case::Injection;
use crate::{
    Administrator, FaultClient, Job, JobId, RuleGuard, Stack, Upload, disk, poll, stack::DISK_FILE,
    until,
};

pub struct Harness {
    pub stack: Stack,
    pub faults: FaultClient,
    number: AtomicU32,
    /// Regions to which no upload is under way.
    free_regions: Mutex<Vec<&'static str>>,
    /// A finished job, for requests that need one.
    pub finished_job: Job,
    /// Makes users for the clients that have some.
    pub administrator: Administrator,
}

/// The package whose image most cases upload.
const PACKAGE: &str = "matrix";

pub const VHD_FILE: &str = "disk.vhdfixed.xz";

/// Regions of the upload into a new region.
const REGIONS: [&str; 8] = [
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
];

impl Harness {
    pub async fn new() -> Self {
        let (stack, faults) = (Stack::new().await, FaultClient::from_env());
        let upload = stack.built_disk(PACKAGE).await;
        let vhd = disk::xz(&disk::vhdfixed(&disk::disk().await.raw)).await;
        stack.build(&stack.upload(PACKAGE, VHD_FILE), &vhd).await;
        let job = stack.create(&upload).await;
        let finished_job = stack.success(job.id()).await;
        Self {
            stack,
            faults,
            number: AtomicU32::new(first_number()),
            free_regions: Mutex::new(REGIONS.to_vec()),
            finished_job,
            administrator: Administrator::new().await,
        }
    }

    /// A number that no other case uses.
    pub fn next_number(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// The upload of most cases.
    pub fn disk_upload(&self) -> Upload {
        self.upload(DISK_FILE)
    }

    /// An upload of a file of the common package, with a user and an AMI name of its own.
    pub fn upload(&self, filename: &str) -> Upload {
        let mut upload = self.stack.upload(PACKAGE, filename);
        upload.user = format!("{PACKAGE}-{}", self.next_number());
        upload.body["ami_name"] = upload.user.clone().into();
        upload
    }

    /// An upload of the disk with a package of its own, too.
    pub async fn upload_of_own_package(&self) -> Upload {
        let mut upload = self.disk_upload();
        upload.package = upload.user.clone();
        self.stack.build(&upload, &disk::disk().await.xz).await;
        upload
    }

    /// A region in which the user has no bucket.
    pub async fn take_region(&self) -> (Stack, &'static str) {
        let take = async || self.free_regions.lock().await.pop().ok_or("none");
        let region = until("a region is free", take).await;
        let stack = Stack::in_region(region).await;
        // The first time, there is none to delete.
        let _ = stack.s3.delete_bucket().bucket(stack.bucket()).send().await;
        (stack, region)
    }

    pub async fn give_region_back(&self, region: &'static str) {
        self.free_regions.lock().await.push(region);
    }

    /// Makes the fault hit calls made for the job, or, without a job, calls made for anything.
    pub async fn inject(&self, injection: &Injection, job: Option<JobId>) -> Option<RuleGuard> {
        match injection.rule(job) {
            Some(rule) => Some(self.faults.add(rule).await),
            None => None,
        }
    }

    // These waits return also after their time is up: what is stuck then shows in the outcome.

    /// Waits until nothing works on the job.
    pub async fn wait_until_idle(&self, id: JobId) {
        let _ = poll(|| self.stack.is_idle(id)).await;
    }

    /// Waits until the job's own execution is over.
    pub async fn wait_until_stopped(&self, id: JobId) {
        let _ = poll(async || match self.stack.is_running(id).await {
            true => Err(()),
            false => Ok(()),
        })
        .await;
    }

    /// Waits until the job waits for a slot, or its execution is over, and returns whether it waits.
    pub async fn wait_until_queued(&self, id: JobId) -> bool {
        let look = async || match self.stack.is_running(id).await {
            true => self.stack.waits_for_slot(id).await.map(|()| true),
            false => Ok(false),
        };
        poll(look).await.unwrap_or(false)
    }

    /// The job once it is final, or as it is when the time is up. The next sweep may have to end it.
    pub async fn final_job(&self, id: JobId) -> Job {
        let look = async || match self.stack.job(id).await {
            job if job.is_final() => Ok(job),
            job => Err(job),
        };
        poll(look).await.unwrap_or_else(|job| job)
    }
}

/// Seconds of the clock, so that a second run on the same stack begins with other numbers.
fn first_number() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.expect("the clock is past 1970").as_secs() as u32;
    seconds % 1_000_000 * 10
}
