//! What the cells run on.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Mutex;

use crate::{Faults, Job, Stack, Upload, disk, until};

pub struct Bench {
    pub stack: Stack,
    pub faults: Faults,
    number: AtomicU32,
    /// Regions that no upload is under way to.
    regions: Mutex<Vec<&'static str>>,
    /// A job that is over, to be asked for.
    pub over: Job,
}

/// The package whose image most cells upload.
const PACKAGE: &str = "matrix";

const FILE: &str = "disk.raw.xz";
pub const VHD: &str = "disk.vhdfixed.xz";

/// How long anything may take before it counts as stuck.
pub const STUCK: Duration = Duration::from_secs(300);

fn since_1970() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is past 1970").as_secs() as u32
}

impl Bench {
    pub async fn new() -> Self {
        let (stack, faults) = (Stack::new().await, Faults::from_env());
        let disk = disk::disk().await;
        let vhd = disk::xz(&disk::vhdfixed(&disk.raw)).await;
        stack.build(&stack.upload(PACKAGE, FILE), &disk.xz).await;
        stack.build(&stack.upload(PACKAGE, VHD), &vhd).await;
        let first = stack.create(&stack.upload(PACKAGE, FILE)).await;
        let over = stack.success(first.id()).await;
        Self {
            stack,
            faults,
            // Others than those of an earlier run on the same stack.
            number: AtomicU32::new(since_1970() % 1_000_000 * 10),
            regions: Mutex::new(vec![
                "eu-west-1",
                "eu-west-2",
                "eu-west-3",
                "eu-north-1",
                "us-east-2",
                "us-west-1",
                "us-west-2",
                "ca-central-1",
            ]),
            over,
        }
    }

    pub fn next(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// An upload of a user of its own, under a name of its own.
    pub fn upload(&self, filename: &str) -> Upload {
        let number = self.next();
        let mut upload = self.stack.upload(PACKAGE, filename);
        upload.user = format!("{PACKAGE}-{number}");
        upload.body["ami_name"] = upload.user.clone().into();
        upload
    }

    /// The same of a package of its own.
    pub async fn upload_of_own(&self) -> Upload {
        let mut upload = self.upload(FILE);
        upload.package = upload.user.clone();
        self.stack.build(&upload, &disk::disk().await.xz).await;
        upload
    }

    /// The upload of most cells.
    pub fn plain_upload(&self) -> Upload {
        self.upload(FILE)
    }

    /// A region in which the user has no bucket.
    pub async fn take_region(&self) -> (Stack, &'static str) {
        let free = async || self.regions.lock().await.pop().ok_or("none");
        let region = until("a region that is free", free).await;
        let stack = Stack::in_region(region).await;
        // There is none at first.
        let _ = stack.s3.delete_bucket().bucket(stack.bucket()).send().await;
        (stack, region)
    }

    pub async fn give_region_back(&self, region: &'static str) {
        self.regions.lock().await.push(region);
    }

    pub async fn runs(&self, id: &str) -> bool {
        self.stack.execution(&format!("job-{id}")).await.as_deref() == Some("RUNNING")
    }

    /// Until the job waits for a slot, or its execution is over.
    pub async fn waits(&self, id: &str) -> bool {
        let number: u32 = id.parse().expect("a job's id is a number");
        let began = Instant::now();
        while began.elapsed() < STUCK && self.runs(id).await {
            if self.stack.queue().await.waiting.contains_key(&number) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// The job once it is final, by the next sweep at the latest, or as it stands then.
    pub async fn last(&self, id: &str) -> Job {
        let began = Instant::now();
        loop {
            let job = self.stack.job(id).await;
            if job.is_final() || began.elapsed() > STUCK {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
