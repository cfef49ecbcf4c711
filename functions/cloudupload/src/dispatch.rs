//! Hands out slots. `slot`, `finish` and `sweep` do it in passing: there is no dispatcher that runs by itself.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    clock::Timestamp,
    environment::Environment,
    job::JobId,
    machine::TaskTokens,
    retry::RetryBudget,
    settings::{SettingError, parsed, setting},
    store::{Grant, Holder, Limits, Slots, StoreError, Waiter},
};

/// Gives the slots that are free to those that wait.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub slots: Slots,
    pub limits: Limits,
    pub tokens: TaskTokens,
}

/// The time within which a job begins to use its slot. After it, the job is told again.
const TELL_AGAIN: Duration = Duration::from_secs(3);

/// The pauses of a dispatcher after a lost race or a stale waiter. There is always another attempt: each lost one means that
/// another dispatcher got ahead.
const LOST_RACES: RetryBudget = RetryBudget {
    attempts: u32::MAX,
    first: Duration::from_millis(50),
    longest: Duration::from_secs(6),
};

impl Dispatcher {
    pub fn from_env(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            slots: Slots::new(environment.jobs.clone(), setting("SLOTS_TABLE")?),
            limits: Limits {
                total: parsed("SLOTS")?,
                per_user: parsed("SLOTS_PER_USER")?,
            },
            tokens: TaskTokens::new(aws_sdk_sfn::Client::new(&environment.config)),
        })
    }

    /// Grants free slots to waiting jobs, tells those jobs, and answers who has a slot then. Any number of dispatchers may
    /// run at the same time. A crash is safe: the next dispatcher finishes the work.
    pub async fn run(&self) -> Result<Vec<Holder>, StoreError> {
        let mut told = BTreeSet::new();
        let mut attempts = LOST_RACES.start();
        loop {
            // In this order: if another grant comes after the turn was read, ours is refused.
            let turn = self.slots.turn().await?;
            let held = self.slots.held().await?;
            for holder in &held {
                if is_untold(holder) && told.insert(holder.job) {
                    self.tell(holder.job).await?;
                }
            }
            let Some(next) = self.next(&held).await? else {
                return Ok(held);
            };
            match self.slots.grant(&next, turn).await? {
                Grant::Given => {
                    told.insert(next.job);
                    self.tell(next.job).await?;
                }
                Grant::Overtaken => {
                    attempts.again().await;
                }
                Grant::Gone => {
                    self.forget(next.job).await?;
                    attempts.again().await;
                }
            }
        }
    }

    async fn next(&self, held: &[Holder]) -> Result<Option<Waiter>, StoreError> {
        if held.len() >= self.limits.total {
            return Ok(None);
        }
        let mut from = None;
        loop {
            let (page, next) = self.slots.waiting(from).await?;
            if let Some(first) = self.limits.first(held, &page) {
                return Ok(Some(first.clone()));
            }
            if next.is_none() {
                return Ok(None);
            }
            from = next;
        }
    }

    /// Tells the job's execution that it may go on.
    pub async fn tell(&self, id: JobId) -> Result<(), StoreError> {
        let job = match self.slots.jobs.get(id).await {
            Err(StoreError::NoSuchJob(_)) => return Ok(()),
            job => job?,
        };
        match job.token {
            Some(token) if !job.state.is_final() => Ok(self.tokens.succeed(&token).await?),
            _ => Ok(()),
        }
    }

    /// Takes a job that ended while it waited out of the queue. A job that another dispatcher has just granted a slot is not
    /// final, and keeps it.
    async fn forget(&self, id: JobId) -> Result<(), StoreError> {
        match self.slots.release(id).await {
            Err(StoreError::NotFinal(_)) => Ok(()),
            released => released,
        }
    }
}

fn is_untold(holder: &Holder) -> bool {
    holder.begun.is_none() && holder.since + TELL_AGAIN <= Timestamp::now()
}
