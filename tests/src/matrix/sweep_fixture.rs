//! Work of each kind that only the sweeper does.

use super::harness::Harness;
use crate::{Fault, JobId, Rule, RuleGuard, function};

pub struct SweepFixture {
    /// A job whose `api` died before it started an execution.
    pub unstarted: JobId,
    /// A killed job whose execution waits for a slot, as the kill did not reach it.
    pub unnotified: JobId,
    /// An execution without a job.
    pub stray: JobId,
    /// Holds the stray execution in its first step.
    _hold: RuleGuard,
    /// Jobs that have slots and no records. (There is also an event of the finished job, which was not sent.)
    pub recordless: [JobId; 2],
}

/// Above the numbers of all jobs that are created.
const FIRST_FREE_ID: u32 = 1_900_000_000;

/// In seconds, more than the sweeper allows for a job to start.
const START_OVERDUE: u64 = 1000;

/// In seconds, more than the sweeper allows for a kill to take effect.
const KILL_OVERDUE: u64 = 60;

impl Harness {
    pub async fn sweep_fixture(&self) -> SweepFixture {
        let user = self.disk_upload().user;
        let upload = self.upload_of_own_package().await;
        let unstarted = self.stack.create_without_execution(&upload).await;
        let (unnotified, recordless) = self.unnotified_job(&user).await;
        let [stray, ..] = self.free_ids();
        let hold = Rule::of_job(stray, function::PREFLIGHT, "dynamodb:GetItem", Fault::Hold);
        let hold = self.faults.add(hold.for_all()).await;
        self.stack.start(stray).await;
        self.stack.wait_for_hit(&hold, stray).await;
        self.stack.put_late_event(self.finished_job.id()).await;
        self.stack.age(unstarted, START_OVERDUE).await;
        self.stack.age(unnotified, KILL_OVERDUE).await;
        SweepFixture {
            unstarted,
            unnotified,
            stray,
            _hold: hold,
            recordless,
        }
    }

    /// A job that was killed while it waited for a slot and was not told, and the jobs that have the user's slots. The
    /// scheduled sweep may free the slots before the job waits for one; then another job is made.
    async fn unnotified_job(&self, user: &str) -> (JobId, [JobId; 2]) {
        for _ in 0..5 {
            let mut upload = self.disk_upload();
            upload.user = user.to_owned();
            let recordless = self.free_ids();
            for id in recordless {
                self.stack.put_slot(id, user).await;
            }
            let id = self.stack.create(&upload).await.id();
            let waits = self.wait_until_queued(id).await;
            self.stack.kill_without_notice(id).await;
            if waits && self.stack.is_running(id).await {
                return (id, recordless);
            }
        }
        panic!("the scheduled sweep is always first");
    }

    /// Ids that no job has.
    fn free_ids(&self) -> [JobId; 2] {
        let first = FIRST_FREE_ID + 2 * self.next_number();
        [first, first + 1].map(JobId::new)
    }

    pub async fn leftovers_of_fixture(&self, fixture: &SweepFixture) -> Vec<String> {
        let mut leftovers = Vec::new();
        let unstarted = self.stack.job(fixture.unstarted).await;
        if !unstarted.is_final() {
            leftovers.push(format!("open job {}", fixture.unstarted));
        }
        for id in [fixture.unstarted, fixture.unnotified, fixture.stray] {
            leftovers.extend(self.running(id).await);
        }
        let held = self.stack.queue().await.held;
        let slots = fixture.recordless.iter().filter(|id| held.contains_key(id));
        leftovers.extend(slots.map(|id| format!("slot of job {id}")));
        let job = self.finished_job.id();
        let unsent = self.stack.unsent_events(job).await.into_iter();
        leftovers.extend(unsent.map(|number| format!("event {number} of job {job}")));
        leftovers
    }
}
