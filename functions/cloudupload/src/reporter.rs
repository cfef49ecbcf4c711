//! Tells how far a long step is, in the job's record and log, and learns there of the job's end.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use crate::aws::Retries;

/// How often a step reports. A kill is seen within this time and the time of one DynamoDB call.
pub const PERIOD: Duration = Duration::from_secs(5);

/// Bytes done so far, shared between who works and who reports.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Calls `report` every [`PERIOD`] until it fails, which it does when the job has ended. Made to run beside the work,
/// in a `select!`: whichever is over first drops the other.
pub async fn every_period<E>(mut report: impl AsyncFnMut() -> Result<(), E>) -> E {
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    loop {
        ticks.tick().await;
        if let Err(error) = report().await {
            return error;
        }
    }
}

/// The speed of a step, from one report to the next.
#[derive(Debug)]
pub struct Meter {
    retries: Retries,
    then: Instant,
    before: u64,
}

impl Meter {
    /// For a step that finds `done` bytes done already.
    pub fn new(retries: Retries, done: u64) -> Self {
        Self {
            retries,
            then: Instant::now(),
            before: done,
        }
    }

    /// What to say of `bytes` having been done, of how many.
    pub fn read(&mut self, bytes: u64, of: u64) -> Reading {
        self.read_at(Instant::now(), bytes, of)
    }

    fn read_at(&mut self, now: Instant, bytes: u64, of: u64) -> Reading {
        let reading = Reading {
            bytes,
            of,
            rate: bytes.saturating_sub(self.before) as f64
                / (now - self.then).as_secs_f64().max(f64::EPSILON),
            retries: self.retries.count(),
        };
        (self.then, self.before) = (now, bytes);
        reading
    }
}

/// A line of progress, without its verb.
#[derive(Debug)]
pub struct Reading {
    bytes: u64,
    of: u64,
    /// Bytes a second.
    rate: f64,
    retries: u32,
}

const MIB: f64 = 1_048_576.0;

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.bytes * 100).checked_div(self.of).unwrap_or(100);
        write!(
            f,
            "{percent}% ({:.0} of {:.0} MiB, {:.1} MiB/s, retries: {})",
            self.bytes as f64 / MIB,
            self.of as f64 / MIB,
            self.rate / MIB,
            self.retries
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_tells_the_speed_since_the_one_before() {
        let retries = Retries::default();
        let mut meter = Meter::new(retries.clone(), 5 << 20);
        let began = meter.then;
        meter.read_at(began + Duration::from_secs(5), 10 << 20, 100 << 20);
        retries.add();
        let reading = meter.read_at(began + Duration::from_secs(10), 60 << 20, 100 << 20);
        assert_eq!(
            reading.to_string(),
            "60% (60 of 100 MiB, 10.0 MiB/s, retries: 1)"
        );
    }
}
