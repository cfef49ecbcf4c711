//! Who hands out slots: whoever came to wait, gave one back, or looks after the others does it in passing.

use std::collections::BTreeSet;

use crate::{
    clock,
    function::Tools,
    job::JobId,
    jobs::{self, JobsError},
    machine::Callbacks,
    settings::{SettingError, parsed, setting},
    slots::{Grant, Holder, Limits, Slots, SlotsError, Waiter},
};

/// Gives the slots that are free to those that wait.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub slots: Slots,
    pub limits: Limits,
    pub callbacks: Callbacks,
}

/// Seconds after which a job that was granted a slot is told again, if it was not seen to go on.
const TELL_AGAIN: u64 = 3;

impl Dispatcher {
    pub fn from_env(tools: &Tools) -> Result<Self, SettingError> {
        Ok(Self {
            slots: Slots::new(tools.jobs.clone(), setting("SLOTS_TABLE")?),
            limits: Limits {
                total: parsed("SLOTS")?,
                per_user: parsed("SLOTS_PER_USER")?,
            },
            callbacks: Callbacks::new(aws_sdk_sfn::Client::new(&tools.config)),
        })
    }

    /// Grants what there is to grant, tells those that it is granted to, and answers who has a slot then. Any number of
    /// dispatchers may do so at the same time. One that dies on the way leaves nothing that the next does not find.
    pub async fn run(&self) -> Result<Vec<Holder>, SlotsError> {
        let mut told = BTreeSet::new();
        for tried in 0.. {
            // In this order: a grant that comes after the turn was read is refused, whoever was held then.
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
                Grant::Overtaken => jobs::pause(tried).await,
                Grant::Gone => {
                    self.forget(next.job).await?;
                    jobs::pause(tried).await;
                }
            }
        }
        unreachable!("the loop ends by its return")
    }

    async fn next(&self, held: &[Holder]) -> Result<Option<Waiter>, SlotsError> {
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
    pub async fn tell(&self, id: JobId) -> Result<(), SlotsError> {
        let job = match self.slots.jobs.get(id).await {
            Err(JobsError::NoSuchJob(_)) => return Ok(()),
            job => job?,
        };
        match job.token {
            Some(token) if !job.state.is_final() => Ok(self.callbacks.go_on(&token).await?),
            _ => Ok(()),
        }
    }

    /// Takes a job that ended while it waited off the list. One that another dispatcher granted a slot meanwhile is not on
    /// it any more, and keeps its slot.
    async fn forget(&self, id: JobId) -> Result<(), SlotsError> {
        match self.slots.release(id).await {
            Err(SlotsError::NotFinal(_)) => Ok(()),
            released => released,
        }
    }
}

fn is_untold(holder: &Holder) -> bool {
    holder.begun.is_none() && holder.since + TELL_AGAIN <= clock::now()
}
