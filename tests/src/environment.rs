use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// A variable that `infra/local/stack up` writes.
pub fn env_var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need the local stack, so run them with `make test`")
    })
}

/// A number that no other call returns, in this run of the tests or another: microseconds since the epoch, increasing.
pub fn unique() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.expect("the clock is past 1970").as_micros() as u64;
    let last = LAST.fetch_max(now, Ordering::SeqCst);
    match last < now {
        true => now,
        false => LAST.fetch_add(1, Ordering::SeqCst) + 1,
    }
}
