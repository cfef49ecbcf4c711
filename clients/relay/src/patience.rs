//! Waiting for AWS: while it is away, the source server waits, too.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The time for which one thing is tried. After 24 hours without a part, the cloud uploader gives a push up by itself.
pub const GIVE_UP: Duration = Duration::from_secs(23 * 3600);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The attempts at one thing.
pub struct Patience {
    began: Instant,
    pause: Duration,
}

impl Patience {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    /// Pauses before the next attempt, longer each time. Answers whether there is to be one.
    pub async fn pause(&mut self) -> bool {
        if self.began.elapsed() >= GIVE_UP {
            return false;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
