//! The sweeper while a call of it fails: it has one to deal with of each kind that it is there for.

use std::time::{Duration, Instant};

use super::{
    bar,
    bench::{Bench, STUCK},
    cell::{Cell, Outcome},
};
use crate::{Fault, Laid, Rule};

/// What only the sweeper puts in order.
struct Mess {
    /// A job whose `api` died before there was an execution.
    unstarted: String,
    /// A job that was killed, and whose execution waits for a slot and was not told.
    deaf: String,
    /// An execution that there is no job for, and what holds it.
    stray: (String, Laid),
    /// Jobs that there is no record of, and that have slots.
    ghosts: [u32; 2],
}

/// Jobs that nobody creates.
const NOBODY: u32 = 1_900_000_000;

/// Older than anything that the sweeper still gives time, in seconds; and for a kill.
const OLD: u64 = 1000;
const TOLD_LATE: u64 = 60;

impl Bench {
    pub async fn run_sweep(&self, cell: &Cell) -> Outcome {
        let mess = self.mess().await;
        let rule = match cell.breaks.rule(None) {
            Some(rule) => Some(self.faults.rule(rule).await),
            None => None,
        };
        let before = self.calls().await;
        let began = Instant::now();
        let swept = self.stack.sweep().await;
        self.quiet(&mess.unstarted).await;
        let mut outcome = Outcome {
            seconds: began.elapsed().as_secs_f64(),
            end: match swept["errorMessage"].is_string() {
                true => "500".to_owned(),
                false => "200".to_owned(),
            },
            reason: swept["errorMessage"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            made: self.calls_since(&before).await,
            ..Outcome::default()
        };
        if let Some(rule) = rule {
            outcome.hits = rule.hits().await;
        }
        outcome.left = self.mess_left(&mess).await;
        // As its schedule does a minute later.
        self.stack.sweep().await;
        let began = Instant::now();
        while !self.mess_left(&mess).await.is_empty() && began.elapsed() < STUCK {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        outcome.left_for_good = self.mess_left(&mess).await;
        for (id, details) in [
            (
                &mess.unstarted,
                "the upload was not started: ask for it again",
            ),
            (&mess.deaf, "killed"),
        ] {
            let job = self.last(id).await;
            outcome
                .left_for_good
                .extend(self.left_for_good(&self.stack, &job).await);
            if (job.state(), job.details()) != ("failed", details) {
                outcome
                    .misses
                    .push(format!("one of its jobs is not as it should be: {job:?}"));
            }
        }
        outcome.misses.extend(bar::misses(cell, &outcome));
        outcome.late = bar::late(cell, &outcome);
        outcome
    }

    async fn mess(&self) -> Mess {
        let user = self.plain_upload().user;
        let unstarted = self.stack.unstarted(&self.upload_of_own().await).await;
        let (deaf, ghosts) = self.deaf(&user).await;
        let stray = (NOBODY + 3 * self.next()).to_string();
        let hold = Rule {
            times: None,
            ..Rule::of_job(&stray, "receive", "dynamodb:UpdateItem", Fault::Hold)
        };
        let hold = self.faults.rule(hold).await;
        self.stack.start(&stray).await;
        self.stack.hits(&hold, &stray).await;
        self.stack.age(&unstarted, OLD).await;
        self.stack.age(&deaf, TOLD_LATE).await;
        Mess {
            unstarted,
            deaf,
            stray: (stray, hold),
            ghosts,
        }
    }

    /// The schedule's sweep may free the slots before the job has come to wait for one: then another is made.
    async fn deaf(&self, user: &str) -> (String, [u32; 2]) {
        for _ in 0..5 {
            let mut upload = self.plain_upload();
            upload.user = user.to_owned();
            let first = NOBODY + 3 * self.next();
            let ghosts = [first + 1, first + 2];
            for ghost in ghosts {
                self.stack.hold_slot(&ghost.to_string(), user).await;
            }
            let id = self.stack.create(&upload).await.id().to_owned();
            let waits = self.waits(&id).await;
            let rule = Rule {
                times: None,
                ..Rule::of_job(&id, "api", "states:SendTaskFailure", Fault::AccessDenied)
            };
            let _rule = self.faults.rule(rule).await;
            self.stack.kill(&id).await;
            if waits && self.runs(&id).await {
                return (id, ghosts);
            }
        }
        panic!("the schedule's sweep is always first");
    }

    async fn mess_left(&self, mess: &Mess) -> Vec<String> {
        let mut left = Vec::new();
        let unstarted = self.stack.job(&mess.unstarted).await;
        if !unstarted.is_final() {
            left.push(format!("open job {}", mess.unstarted));
        }
        for id in [&mess.unstarted, &mess.deaf, &mess.stray.0] {
            left.extend(self.running(id).await);
        }
        let held = self.stack.queue().await.held;
        let ghosts = mess.ghosts.iter().filter(|ghost| held.contains_key(ghost));
        left.extend(ghosts.map(|ghost| format!("slot of job {ghost}")));
        left
    }
}
