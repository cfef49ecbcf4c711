//! Sends events that are late, and looks at every job that is not settled, at every running execution, and at every slot.

use std::collections::BTreeSet;

use cloudupload::{
    clock::Timestamp,
    dispatch::Dispatcher,
    environment::Environment,
    error::StepError,
    function::{Event, Function},
    job::{Job, JobId},
    machine::{Execution, UploadMachine},
    metrics,
    settings::setting,
    store::{Holder, Jobs, StoreError},
};
use lambda_runtime::tracing;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::verdict::{GIVEN_UP, Verdict, is_stuck, verdict};

pub struct Sweep {
    jobs: Jobs,
    machine: UploadMachine,
    dispatcher: Dispatcher,
}

/// What EventBridge sends: on the schedule, or of an execution that ended (Step Functions developer guide, "Automating
/// Step Functions event delivery with EventBridge").
#[derive(Debug, Deserialize)]
pub struct SweepEvent {
    detail: Detail,
}

#[derive(Debug, Deserialize)]
struct Detail {
    /// The execution's name. The schedule has none.
    name: Option<String>,
}

impl Event for SweepEvent {
    fn job(&self) -> Option<JobId> {
        JobId::of_execution(self.detail.name.as_deref()?)
    }
}

/// What was done, by the numbers of the jobs.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    finished: Vec<JobId>,
    woken: Vec<JobId>,
    given_up: Vec<JobId>,
    stopped: Vec<JobId>,
    released: Vec<JobId>,
}

impl Function for Sweep {
    const NAME: &str = "sweep";
    type Event = SweepEvent;
    type Answer = Swept;

    fn from_env(environment: Environment) -> Result<Self, lambda_runtime::Error> {
        let states = aws_sdk_sfn::Client::new(&environment.config);
        Ok(Self {
            machine: UploadMachine::new(states, setting("UPLOAD_MACHINE_ARN")?),
            dispatcher: Dispatcher::from_env(&environment)?,
            jobs: environment.jobs,
        })
    }

    async fn handle(&self, event: SweepEvent, _: Instant) -> Result<Swept, StepError> {
        let mut swept = Swept::default();
        match event.detail.name {
            Some(name) => {
                // One that finished a job and failed is left to the schedule: it would be started again at once.
                if let Some(Ok(id)) = name.strip_prefix("job-").map(str::parse) {
                    self.job(id, &mut swept).await?;
                }
            }
            None => {
                let events = self.send_late_events().await;
                self.everything(&mut swept).await?;
                events?;
            }
        }
        if swept != Swept::default() {
            tracing::warn!(?swept, "swept");
        }
        Ok(swept)
    }
}

impl Sweep {
    /// Events are no job's work: if they cannot be sent, that is a metric with an alarm, and no failure.
    async fn send_late_events(&self) -> Result<(), StoreError> {
        let unsent = self.jobs.send_late_events(Timestamp::now()).await?;
        metrics::events_unsent(unsent);
        Ok(())
    }

    async fn job(&self, id: JobId, swept: &mut Swept) -> Result<(), StepError> {
        let job = match self.jobs.get(id).await {
            Err(StoreError::NoSuchJob(_)) => return Ok(()),
            job => job?,
        };
        if job.is_settled() {
            return Ok(());
        }
        let execution = self.machine.execution(id).await?;
        self.act(&job, execution, swept).await
    }

    /// A failure for one job does not keep back the others: the first one is told in the end.
    async fn everything(&self, swept: &mut Swept) -> Result<(), StepError> {
        let held = self.dispatcher.slots.held().await?;
        let queued = self.queued(&held).await?;
        metrics::slots(queued.len() - held.len(), held.len());
        let unfinished: BTreeSet<JobId> = self.jobs.unfinished().await?.into_iter().collect();
        let running = self.machine.running().await?;
        let of_interest = [&unfinished, &running, &queued].into_iter().flatten();
        let found = self.jobs.get_many(of_interest.copied().collect()).await?;
        let mut trouble = Ok(());
        for job in unfinished.iter().filter_map(|id| found.get(id)) {
            trouble = trouble.and(match job {
                Ok(job) => self.unfinished(job, &running, swept).await,
                Err(unreadable) => Err(StepError::Failed(unreadable.to_string())),
            });
        }
        for &id in running.iter().filter(|id| !found.contains_key(id)) {
            trouble = trouble.and(self.stop(id, "there is no such job", swept).await);
        }
        for holder in &held {
            if let Some(Ok(job)) = found.get(&holder.job)
                && running.contains(&job.id)
                && is_stuck(job, holder, Timestamp::now())
            {
                let reason = "the upload did not go on with its slot: ask for it again";
                trouble = trouble.and(self.stop(job.id, reason, swept).await);
            }
        }
        for &id in &queued {
            let ended = match found.get(&id) {
                Some(job) => job.as_ref().is_ok_and(|job| job.state.is_final()),
                None => true,
            };
            if ended && !running.contains(&id) && !unfinished.contains(&id) {
                trouble = trouble.and(self.release(id, swept).await);
            }
        }
        // An empty queue needs no dispatcher: the next job to come runs one itself.
        if !queued.is_empty() {
            self.dispatcher.run().await?;
        }
        trouble
    }

    /// The jobs that have a slot or wait for one.
    async fn queued(&self, held: &[Holder]) -> Result<BTreeSet<JobId>, StoreError> {
        let mut queued: BTreeSet<JobId> = held.iter().map(|holder| holder.job).collect();
        let mut from = None;
        loop {
            let (page, next) = self.dispatcher.slots.waiting(from).await?;
            queued.extend(page.iter().map(|waiter| waiter.job));
            if next.is_none() {
                return Ok(queued);
            }
            from = next;
        }
    }

    async fn unfinished(
        &self,
        job: &Job,
        running: &BTreeSet<JobId>,
        swept: &mut Swept,
    ) -> Result<(), StepError> {
        let execution = match running.contains(&job.id) {
            true => Execution::Running,
            false => self.machine.execution(job.id).await?,
        };
        self.act(job, execution, swept).await
    }

    async fn act(
        &self,
        job: &Job,
        execution: Execution,
        swept: &mut Swept,
    ) -> Result<(), StepError> {
        match verdict(job, execution, Timestamp::now()) {
            Verdict::Fine => {}
            Verdict::Wake(token) => {
                self.dispatcher.tokens.fail(&token).await?;
                swept.woken.push(job.id);
            }
            Verdict::GoOn(token) => {
                self.dispatcher.tokens.succeed(&token).await?;
                swept.woken.push(job.id);
            }
            Verdict::GiveUp => {
                match self.jobs.fail(job.id, GIVEN_UP).await {
                    Ok(_) => swept.given_up.push(job.id),
                    Err(StoreError::Superseded(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                if let Some(token) = &job.token {
                    self.dispatcher.tokens.fail(token).await?;
                }
            }
            Verdict::Finish(error) => {
                self.machine.start_finish(job.id, error).await?;
                swept.finished.push(job.id);
            }
        }
        Ok(())
    }

    async fn stop(&self, id: JobId, reason: &str, swept: &mut Swept) -> Result<(), StepError> {
        self.machine.stop(id, reason).await?;
        swept.stopped.push(id);
        Ok(())
    }

    async fn release(&self, id: JobId, swept: &mut Swept) -> Result<(), StepError> {
        self.dispatcher.slots.release(id).await?;
        swept.released.push(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_an_execution_or_none() {
        let event: SweepEvent =
            serde_json::from_str(include_str!("../../../events/sweep.json")).unwrap();
        assert_eq!(event.detail.name.as_deref(), Some("job-17"));
        let event: SweepEvent =
            serde_json::from_str(r#"{"detail-type": "Scheduled Event", "detail": {}}"#).unwrap();
        assert_eq!(event.detail.name, None);
    }
}
