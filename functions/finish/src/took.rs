use std::fmt;

/// Seconds, shown as hours, minutes and seconds.
pub struct Took(pub u64);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Took(seconds) = *self;
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
        assert_eq!(Took(0).to_string(), "00:00:00");
        assert_eq!(Took(3_725).to_string(), "01:02:05");
        assert_eq!(Took(100 * 3600).to_string(), "100:00:00");
    }
}
