//! The time.

use std::{
    ops::Add,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_eventbridge::primitives::{DateTime, DateTimeFormat};
use serde::{Deserialize, Serialize};

/// A point in time, in seconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    pub fn now() -> Self {
        Self(since_epoch().as_secs())
    }

    pub fn as_secs(self) -> u64 {
        self.0
    }

    /// The time in UTC as RFC 3339 writes it, such as `2026-11-27T13:00:00Z`.
    pub fn rfc3339(self) -> String {
        // A year beyond 9999 has no such form; no clock shows one.
        let text = self.date_time().fmt(DateTimeFormat::DateTime);
        text.unwrap_or_default()
    }

    pub(crate) fn date_time(self) -> DateTime {
        DateTime::from_secs(i64::try_from(self.0).unwrap_or(i64::MAX))
    }

    /// The time since an earlier point; none if that one lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, time: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(time.as_secs()))
    }
}

/// A point in time to the millisecond, for what seconds are too coarse for: milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    pub fn now() -> Self {
        Self(now_in_millis())
    }

    /// The time since an earlier moment; none if that one lies ahead.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(time.as_millis() as u64))
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_in_millis() -> u64 {
    since_epoch().as_millis() as u64
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
