//! Pauses between tries.

use std::time::Duration;

/// How long to wait before the next try: a random part of a time that doubles with every try there was, from `first` up to
/// `most`. So whoever failed together does not come back together.
pub fn pause(tried: u32, first: Duration, most: Duration) -> Duration {
    let ceiling = first.saturating_mul(2u32.saturating_pow(tried)).min(most);
    ceiling.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_its_most() {
        let (first, most) = (Duration::from_millis(50), Duration::from_secs(6));
        for (tried, ceiling) in [(0, 50), (1, 100), (6, 3_200), (7, 6_000), (1_000, 6_000)] {
            let pauses = || (0..1_000).map(|_| pause(tried, first, most));
            let ceiling = Duration::from_millis(ceiling);
            assert!(pauses().all(|pause| pause <= ceiling));
            assert!(pauses().any(|pause| pause > ceiling / 2));
        }
    }
}
