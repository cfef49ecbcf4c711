//! The pace of a slice that puts EBS blocks: no more puts a second than its share of the account and region.
//!
//! The share comes from the ledger of writers (`cloudupload::store`). What may be put when is decided by [`Writer`] and
//! [`Limiter`](limiter::Limiter), which know no clock and no network; here they get both.

mod limiter;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cloudupload::{
    aws::Failure,
    clock::Moment,
    error::is_transient,
    job::JobId,
    metrics,
    retry::RetryBudget,
    store::{StoreError, WriterId, Writers, Written},
    target::AccountRegion,
};
use tokio::time::{Instant, sleep, timeout};

use self::writer::Writer;

/// Attempts to replace the ledger in one look. The first fails as a rule, as others have looked since.
const OVERTAKEN: RetryBudget = RetryBudget {
    attempts: 20,
    first: Duration::from_millis(20),
    longest: Duration::from_millis(500),
};

/// The longest sleep of a put that waits: its rate may have changed after that.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The time in which a writer gives its share back. If it takes longer, the share is free at the end of the lease.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pace of one invocation that puts blocks.
///
/// ```ignore
/// let pace = Pace::register(&writers, place, job.id, slice.index, peers).await?;
/// let done = tokio::select! {
///     done = put_all_blocks(&pace) => done,
///     failed = pace.keep() => Err(failed.into()),
/// };
/// pace.leave().await;
/// ```
///
/// Dropped without [`leave`](Self::leave), its share is free for others once the lease has ended.
#[derive(Debug)]
pub struct Pace {
    writers: Writers,
    place: AccountRegion,
    began: Instant,
    writer: Mutex<Writer>,
    /// Puts that wait do so in the order in which they came.
    turn: tokio::sync::Mutex<()>,
}

impl Pace {
    /// Registers a slice among the writers of an account and region. `peers` is the number of the job's slices that are
    /// written at a time, this one included, as far as that is known: those that run and those that will follow them.
    ///
    /// A share that another writer just gave back may be used a second later, so register before anything else. If DynamoDB
    /// is in trouble, the writer has no share until [`keep`](Self::keep) gets through.
    pub async fn register(
        writers: &Writers,
        place: AccountRegion,
        job: JobId,
        slice: u32,
        peers: u32,
    ) -> Result<Self, StoreError> {
        let pace = Self {
            writers: writers.clone(),
            place,
            began: Instant::now(),
            writer: Mutex::new(Writer::new(WriterId::new(job, slice), job, peers)),
            turn: tokio::sync::Mutex::new(()),
        };
        pace.look_if_possible().await?;
        Ok(pace)
    }

    /// Waits until one block may be put. An attempt at a block that EBS throttled takes anew.
    pub async fn take(&self) {
        let _turn = self.turn.lock().await;
        loop {
            let taken = self.writer().take(self.now());
            match taken {
                Ok(()) => return,
                Err(wait) => sleep(wait.min(LONGEST_SLEEP)).await,
            }
        }
    }

    /// EBS throttled a put: fewer come for a while.
    pub fn throttled(&self) {
        metrics::put_throttled();
        self.writer().throttled(self.now());
    }

    /// Looks every few seconds who else writes, for as long as it is polled, and answers what makes that impossible. To be
    /// polled beside the puts: without it, they come to a stop.
    pub async fn keep(&self) -> StoreError {
        loop {
            let pause = self.writer().until_next_look();
            sleep(pause).await;
            if let Err(error) = self.look_if_possible().await {
                return error;
            }
        }
    }

    /// Gives the share back. A failure is logged and no more: the lease ends by itself.
    pub async fn leave(&self) {
        match timeout(LEAVE_TIMEOUT, self.give_back()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, place = %self.place, "the share was not given back");
            }
            Err(_) => tracing::warn!(place = %self.place, "giving back the share took too long"),
        }
    }

    /// Looks once. What passes is not an error: the next look comes soon.
    async fn look_if_possible(&self) -> Result<(), StoreError> {
        match self.look().await {
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, place = %self.place, "the writers could not be read");
                Ok(())
            }
            looked => looked,
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let mut attempts = OVERTAKEN.start();
        loop {
            let look = self.writer().look(self.now(), Moment::now());
            let written = self
                .writers
                .replace(&self.place, &look.seen, look.next.clone());
            match written.await? {
                Written::Done(ledger) => {
                    self.writer().claimed(&look, ledger, self.now());
                    return Ok(());
                }
                Written::Overtaken(ledger) => self.writer().overtaken(ledger),
            }
            if !attempts.again().await {
                return Err(crowded());
            }
        }
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        let mut attempts = OVERTAKEN.start();
        loop {
            let (seen, next) = self.writer().without(Moment::now());
            match self.writers.replace(&self.place, &seen, next).await? {
                Written::Done(_) => return Ok(()),
                Written::Overtaken(ledger) => self.writer().overtaken(ledger),
            }
            if !attempts.again().await {
                return Err(crowded());
            }
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

fn crowded() -> StoreError {
    let attempts = OVERTAKEN.attempts;
    let message = format!("other writers came between {attempts} times in a row");
    Failure::unexpected("dynamodb:PutItem", message).into()
}
