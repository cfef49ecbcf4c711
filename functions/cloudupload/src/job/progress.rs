//! How far a job is.

/// How far a job is, in percent of the whole way. The shares are what the stages took of a 10 GiB image's time; they
/// only have to move steadily.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Bytes of the file that came from OBS, of how many.
    Receiving { bytes: u64, of: u64 },
    /// Bytes of the staged file that went into the route's target, of how many.
    Transferring { bytes: u64, of: u64 },
    /// Percent of the snapshot, as EC2 tells it.
    Importing { percent: u8 },
}

impl Progress {
    pub fn percent(self) -> u8 {
        let (from, to, share) = match self {
            Progress::Receiving { bytes, of } => (0, 25, ratio(bytes, of)),
            Progress::Transferring { bytes, of } => (25, 60, ratio(bytes, of)),
            Progress::Importing { percent } => (60, 99, ratio(percent.into(), 100)),
        };
        from + (share * f64::from(to - from)) as u8
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 1.0;
    }
    (part as f64 / whole as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn progress_never_goes_back(bytes in 0..1_000u64, more in 0..1_000u64, of in 0..1_500u64) {
            let stages: [fn(u64, u64) -> Progress; 3] = [
                |bytes, of| Progress::Receiving { bytes, of },
                |bytes, of| Progress::Transferring { bytes, of },
                |bytes, _| Progress::Importing { percent: (bytes / 20) as u8 },
            ];
            let mut before = 0;
            for stage in stages {
                for bytes in [bytes, bytes + more] {
                    let percent = stage(bytes, of).percent();
                    prop_assert!(before <= percent && percent < 100);
                    before = percent;
                }
            }
        }
    }
}
