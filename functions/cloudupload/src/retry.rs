//! Trying again: how many times, and how long to wait in between.

use std::time::Duration;

use tokio::time::sleep;

/// How many attempts something gets, and the pauses between them.
#[derive(Clone, Copy, Debug)]
pub struct RetryBudget {
    /// Attempts in a row, the first one included.
    pub attempts: u32,
    /// Upper bound of the first pause. It doubles after each attempt.
    pub first: Duration,
    /// Upper bound of all pauses.
    pub longest: Duration,
}

impl RetryBudget {
    pub fn start(self) -> Attempts {
        Attempts {
            budget: self,
            failed: 0,
        }
    }
}

/// Attempts at one thing:
///
/// ```ignore
/// let mut attempts = BUDGET.start();
/// loop {
///     match call().await {
///         Err(error) if error.is_transient() && attempts.again().await => {}
///         answer => return answer,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Attempts {
    budget: RetryBudget,
    failed: u32,
}

impl Attempts {
    /// Counts an attempt that failed and waits before the next. `false`, at once, if there is none left.
    pub async fn again(&mut self) -> bool {
        match self.fail() {
            Some(time) => {
                pause(time).await;
                true
            }
            None => false,
        }
    }

    /// Counts an attempt that failed. Gives the pause before the next, if there is one left: a random part of the longest
    /// possible, so that callers that failed together do not come back together.
    pub fn fail(&mut self) -> Option<Duration> {
        let doubled = 2u32.saturating_pow(self.failed);
        self.failed += 1;
        (self.failed < self.budget.attempts).then(|| {
            let longest = self.budget.first.saturating_mul(doubled);
            longest.min(self.budget.longest).mul_f64(fastrand::f64())
        })
    }

    /// Starts to count anew, because there was progress.
    pub fn reset(&mut self) {
        self.failed = 0;
    }
}

/// Waits between two attempts.
pub async fn pause(time: Duration) {
    #[cfg(any(test, feature = "testing"))]
    if testing::skips_pauses() {
        return;
    }
    sleep(time).await;
}

/// For tests of what is tried many times.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use std::cell::Cell;

    thread_local! {
        static SKIPS_PAUSES: Cell<bool> = const { Cell::new(false) };
    }

    /// Skips all pauses on this thread from now on.
    pub fn skip_pauses() {
        SKIPS_PAUSES.set(true);
    }

    pub(super) fn skips_pauses() -> bool {
        SKIPS_PAUSES.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: RetryBudget = RetryBudget {
        attempts: 10,
        first: Duration::from_millis(50),
        longest: Duration::from_secs(6),
    };

    #[test]
    fn a_pause_grows_up_to_the_longest() {
        let pauses = || {
            let mut attempts = BUDGET.start();
            std::iter::from_fn(move || attempts.fail()).collect::<Vec<_>>()
        };
        let many: Vec<Vec<Duration>> = (0..1_000).map(|_| pauses()).collect();
        for (after, longest) in [(0, 50), (1, 100), (6, 3_200), (7, 6_000), (8, 6_000)] {
            let longest = Duration::from_millis(longest);
            assert!(many.iter().all(|pauses| pauses[after] <= longest));
            assert!(many.iter().any(|pauses| pauses[after] > longest / 2));
        }
    }

    #[test]
    fn the_attempts_come_to_an_end_unless_there_is_progress() {
        let mut attempts = BUDGET.start();
        for _ in 0..3 {
            assert!((0..9).all(|_| attempts.fail().is_some()));
            attempts.reset();
        }
        assert!((0..9).all(|_| attempts.fail().is_some()));
        assert_eq!(attempts.fail(), None);
        assert_eq!(attempts.fail(), None);
    }
}
