use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// Far longer than anything takes, even on a slow machine: whoever waits this long is stuck.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(300);

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Calls `look` until it succeeds, and returns its last error after [`WAIT_TIMEOUT`].
pub async fn poll<T, E, F: Future<Output = Result<T, E>>>(
    mut look: impl FnMut() -> F,
) -> Result<T, E> {
    let began = Instant::now();
    loop {
        match look().await {
            Err(_) if began.elapsed() < WAIT_TIMEOUT => tokio::time::sleep(POLL_INTERVAL).await,
            found => return found,
        }
    }
}

/// Calls `look` until it succeeds, and panics with its last error after [`WAIT_TIMEOUT`].
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    match poll(look).await {
        Ok(found) => found,
        Err(instead) => panic!("{what}: not within {WAIT_TIMEOUT:?}, but {instead:?}"),
    }
}
