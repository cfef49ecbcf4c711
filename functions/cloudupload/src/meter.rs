//! How far a step is, and how fast.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::Instant;

use crate::aws::RetryCount;

/// The bytes that a step has done and its retries, shared between the work and the reports on it.
#[derive(Clone, Debug)]
pub struct Meter {
    pub retries: RetryCount,
    done: Arc<AtomicU64>,
    last: Arc<Mutex<(Instant, u64)>>,
}

impl Meter {
    pub fn new() -> Self {
        Self {
            retries: RetryCount::default(),
            done: Arc::default(),
            last: Arc::new(Mutex::new((Instant::now(), 0))),
        }
    }

    pub fn set(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
    }

    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Begins to measure the speed, with so many bytes done already.
    pub fn begin(&self, done: u64) {
        self.read(done, 0);
    }

    /// A line of progress: `done` bytes of how many, and the speed since the last reading.
    pub fn read(&self, done: u64, of: u64) -> Reading {
        self.read_at(Instant::now(), done, of)
    }

    fn read_at(&self, now: Instant, done: u64, of: u64) -> Reading {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, before) = std::mem::replace(&mut *last, (now, done));
        Reading {
            done,
            of,
            rate: done.saturating_sub(before) as f64 / (now - then).as_secs_f64().max(f64::EPSILON),
            retries: self.retries.get(),
        }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

/// A line of progress, without its verb.
#[derive(Debug)]
pub struct Reading {
    done: u64,
    of: u64,
    /// Bytes a second.
    rate: f64,
    retries: u32,
}

const MIB: f64 = 1_048_576.0;

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.done * 100).checked_div(self.of).unwrap_or(100);
        write!(
            f,
            "{percent}% ({:.0} of {:.0} MiB, {:.1} MiB/s, retries: {})",
            self.done as f64 / MIB,
            self.of as f64 / MIB,
            self.rate / MIB,
            self.retries
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reading_tells_the_speed_since_the_one_before() {
        let meter = Meter::new();
        meter.begin(5 << 20);
        let began = meter.last.lock().unwrap().0;
        meter.read_at(began + Duration::from_secs(5), 10 << 20, 100 << 20);
        meter.retries.add();
        let reading = meter.read_at(began + Duration::from_secs(10), 60 << 20, 100 << 20);
        assert_eq!(
            reading.to_string(),
            "60% (60 of 100 MiB, 10.0 MiB/s, retries: 1)"
        );
    }
}
