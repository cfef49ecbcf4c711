//! Puts a job in the queue for a slot.

use cloudupload::{
    clock,
    dispatch::Dispatcher,
    function::Tools,
    slots::{Holder, Place, Waiter},
    workflow::{Step, StepError, WaitForSlot},
};

pub struct Queueing {
    pub tools: Tools,
    pub dispatcher: Dispatcher,
}

impl Queueing {
    pub async fn run(&self, event: WaitForSlot) -> Result<Step, StepError> {
        let id = event.job;
        self.tools.while_open(id, self.queue(event)).await?;
        Ok(Step { job: id })
    }

    async fn queue(&self, event: WaitForSlot) -> Result<(), StepError> {
        let job = self.tools.open_job(event.job).await?;
        let waiter = Waiter {
            job: job.id,
            user: job.order.user,
            execution: event.execution,
            since: clock::now(),
        };
        match self.dispatcher.slots.wait(&waiter, &event.token).await? {
            // The step ran before, with another token.
            Place::Held => self.dispatcher.tell(job.id).await?,
            Place::Waiting => {
                let held = self.dispatcher.run().await?;
                if !held.iter().any(|holder| holder.job == job.id) {
                    let line = self.why_it_waits(&waiter, &held);
                    self.tools.journal.of(job.id).line(line).await;
                }
            }
        }
        Ok(())
    }

    fn why_it_waits(&self, waiter: &Waiter, held: &[Holder]) -> String {
        let of_user = held.iter().filter(|holder| holder.user == waiter.user);
        match of_user.count() {
            count if count >= self.dispatcher.limits.per_user => format!(
                "Waiting for a slot: {count} uploads of {} are at work, as many as one user may have",
                waiter.user
            ),
            _ => format!(
                "Waiting for a slot: {} uploads are at work, as many as there may be",
                held.len()
            ),
        }
    }
}
