//! Puts at no more than a rate, and at less while EBS throttles.

use std::{collections::VecDeque, time::Duration};

use cloudupload::store::PUTS_PER_SECOND;

const SECOND: Duration = Duration::from_secs(1);

/// A second's puts are spread over it in so many parts.
const PARTS: u32 = 10;

/// The time in which the rate grows by the whole share again after EBS throttled.
const RECOVERY: Duration = Duration::from_secs(40);

/// Counts puts, so that no second has more than the rate, and no tenth of a second more than a tenth of it, rounded up. A
/// second is any second, not one of a clock.
#[derive(Debug, Default)]
pub struct Limiter {
    /// When the last puts were, as many as a second can have.
    puts: VecDeque<Duration>,
    cut: Option<Cut>,
}

/// The rate that EBS's throttling left.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Duration,
    to: u32,
}

impl Limiter {
    /// Counts a put, or gives the time until there may be one.
    pub fn take(&mut self, now: Duration, share: u32) -> Result<(), Duration> {
        let rate = self.rate(now, share);
        for (window, most) in [(SECOND, rate), (SECOND / PARTS, rate.div_ceil(PARTS))] {
            let nth_last = self.puts.len().checked_sub(most as usize);
            if let Some(&then) = nth_last.and_then(|index| self.puts.get(index))
                && now < then + window
            {
                return Err(then + window - now);
            }
        }
        self.puts.push_back(now);
        if self.puts.len() > PUTS_PER_SECOND as usize {
            self.puts.pop_front();
        }
        Ok(())
    }

    /// Halves the rate. Puts that were on their way together are throttled together, which counts once.
    pub fn throttled(&mut self, now: Duration, share: u32) {
        if self.cut.is_none_or(|cut| now >= cut.at + SECOND) {
            let to = self.rate(now, share) / 2;
            self.cut = Some(Cut { at: now, to });
        }
    }

    fn rate(&self, now: Duration, share: u32) -> u32 {
        let Some(cut) = self.cut else {
            return share;
        };
        let since = now.saturating_sub(cut.at);
        let grown = u64::from(share) * since.as_millis() as u64 / RECOVERY.as_millis() as u64;
        let rate = u64::from(cut.to).saturating_add(grown).max(1);
        u32::try_from(rate).map_or(share, |rate| rate.min(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// The puts of a writer that never rests, a millisecond apart at least, between two times in seconds.
    fn puts(limiter: &mut Limiter, share: u32, from: u32, to: u32) -> usize {
        let mut puts = 0;
        let mut now = from * SECOND;
        while now < to * SECOND {
            match limiter.take(now, share) {
                Ok(()) => puts += 1,
                Err(wait) => now += wait.max(MILLISECOND),
            }
        }
        puts
    }

    #[test]
    fn a_second_has_the_share_and_no_more() {
        for share in [1, 2, 7, 24, 100, 399, 800] {
            let mut limiter = Limiter::default();
            assert_eq!(puts(&mut limiter, share, 0, 10), 10 * share as usize);
        }
    }

    #[test]
    fn a_second_is_spread() {
        let mut limiter = Limiter::default();
        let at_once = (0..800).take_while(|_| limiter.take(SECOND, 800).is_ok());
        assert_eq!(at_once.count(), 80);
        assert_eq!(limiter.take(SECOND, 800), Err(SECOND / PARTS));
    }

    #[test]
    fn a_lower_share_counts_what_was_put_before() {
        let mut limiter = Limiter::default();
        puts(&mut limiter, 800, 0, 1);
        // The last tenth of the second has 80, so there is room for 20 before those are a second old.
        assert_eq!(puts(&mut limiter, 100, 1, 2), 20);
        assert_eq!(puts(&mut limiter, 100, 2, 3), 100);
    }

    #[test]
    fn throttled_it_slows_down_and_recovers_slowly() {
        let mut limiter = Limiter::default();
        limiter.throttled(SECOND, 800);
        limiter.throttled(SECOND + MILLISECOND, 800);
        assert_eq!(limiter.rate(SECOND, 800), 400);
        assert_eq!(limiter.rate(3 * SECOND, 800), 440);
        limiter.throttled(3 * SECOND, 800);
        assert_eq!(limiter.rate(3 * SECOND, 800), 220);
        // Another share meanwhile is the upper bound at once.
        assert_eq!(limiter.rate(3 * SECOND, 100), 100);
        assert_eq!(limiter.rate(32 * SECOND, 800), 800);
        assert_eq!(limiter.rate(1_000_000_000 * SECOND, 800), 800);
    }

    #[test]
    fn throttled_for_ever_it_still_tries_once_a_second() {
        let mut limiter = Limiter::default();
        for second in 0..100 {
            limiter.throttled(second * SECOND, 5);
        }
        assert_eq!(limiter.rate(99 * SECOND, 5), 1);
        assert_eq!(limiter.rate(99 * SECOND, 0), 0);
    }
}
