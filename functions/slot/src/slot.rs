//! Puts a job in the queue for a slot.

use cloudupload::{
    dispatch::Dispatcher,
    environment::Environment,
    error::StepError,
    messages::{JobMessage, SlotInput},
    settings::parsed,
    step::{Invocation, Step},
    store::{Holder, Queued, Waiter},
    target::{AccountId, AccountRegion},
};

pub struct Slot {
    dispatcher: Dispatcher,
    /// The account of this service.
    account: AccountId,
}

impl Step for Slot {
    const NAME: &str = "slot";
    type Input = SlotInput;
    type Output = JobMessage;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            dispatcher: Dispatcher::from_env(environment)?,
            account: parsed("SERVICE_ACCOUNT")?,
        })
    }

    async fn run(&self, invocation: &Invocation<'_, SlotInput>) -> Result<JobMessage, StepError> {
        let (job, input) = (&invocation.job, &invocation.input);
        let waiter = Waiter::new(job, input.execution.clone(), &self.account);
        match self.dispatcher.slots.wait(&waiter, &input.token).await? {
            // The step ran before, with another token.
            Queued::Held => self.dispatcher.tell(job.id).await?,
            Queued::Waiting => {
                let held = self.dispatcher.run().await?;
                if !held.iter().any(|holder| holder.job == job.id) {
                    invocation.log(self.why_it_waits(&waiter, &held)).await;
                }
            }
        }
        Ok(JobMessage { job: job.id })
    }
}

impl Slot {
    fn why_it_waits(&self, waiter: &Waiter, held: &[Holder]) -> String {
        let owner = waiter.owner();
        let of_user = held.iter().filter(|holder| holder.owner() == owner);
        match of_user.count() {
            count if count >= self.dispatcher.limits.per_user => format!(
                "Waiting for a slot: {count} uploads of {} are at work, as many as one user may have",
                waiter.user
            ),
            _ => match waiter.full_place(held) {
                Some(AccountRegion { account, region }) => format!(
                    "Waiting for a slot: as many uploads into account {account} are at work as there may be in {region}"
                ),
                None => format!(
                    "Waiting for a slot: {} uploads are at work, as many as there may be",
                    held.len()
                ),
            },
        }
    }
}
