//! How long an upload took, as OBS's uploader says it.

use std::{fmt, time::Duration};

/// A time, shown as hours, minutes and seconds.
pub struct Took(pub Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(
            f,
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_minutes_seconds() {
        let shown = |seconds| Took(Duration::from_secs(seconds)).to_string();
        assert_eq!(shown(0), "00:00:00");
        assert_eq!(shown(3_725), "01:02:05");
        assert_eq!(shown(100 * 3600), "100:00:00");
    }
}
