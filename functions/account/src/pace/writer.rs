//! What a writer may put, by what it knows of the ledger. Pure: times are given to it.

use std::time::Duration;

use cloudupload::{
    clock::Moment,
    job::JobId,
    store::{HAND_OVER, LEASE, Ledger, WriterId},
};

use super::limiter::Limiter;

/// The pause between two looks at the ledger.
const LOOK: Duration = Duration::from_secs(3);

/// The pause of a writer that waits for others to give it a part of their shares.
const LOOK_FOR_MORE: Duration = Duration::from_secs(1);

/// The time for which a share may be used after the look that renewed it. The rest of the lease is for calls that are slow.
const VALID: Duration = Duration::from_secs(LEASE.as_secs() - 3);

/// The time until a writer without a share asks again.
const NOTHING_YET: Duration = Duration::from_millis(50);

/// A writer, and the share that it may use.
#[derive(Debug)]
pub struct Writer {
    id: WriterId,
    job: JobId,
    peers: u32,
    /// The ledger as it was last seen.
    ledger: Ledger,
    /// The puts a second that it may make now. Never more than its claim in the ledger, which is raised before this and
    /// lowered after it.
    usable: u32,
    rise: Option<Rise>,
    valid_until: Duration,
    limiter: Limiter,
}

/// A larger share, from a time on.
#[derive(Clone, Copy, Debug)]
struct Rise {
    at: Duration,
    to: u32,
}

/// A look on its way: the ledger that is to take the place of the one that was seen.
#[derive(Clone, Debug)]
pub struct Look {
    pub seen: Ledger,
    pub next: Ledger,
    share: u32,
    sent: Duration,
    sent_at: Moment,
}

impl Writer {
    pub fn new(id: WriterId, job: JobId, peers: u32) -> Self {
        Self {
            id,
            job,
            peers,
            ledger: Ledger::default(),
            usable: 0,
            rise: None,
            valid_until: Duration::ZERO,
            limiter: Limiter::default(),
        }
    }

    /// Counts a put, or gives the time until there may be one.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        if now >= self.valid_until {
            return Err(NOTHING_YET);
        }
        match self.share(now) {
            0 => Err(NOTHING_YET),
            share => self.limiter.take(now, share),
        }
    }

    pub fn throttled(&mut self, now: Duration) {
        let share = self.share(now);
        self.limiter.throttled(now, share);
    }

    /// Begins a look. A share that becomes smaller is smaller from here on, before anybody else can know of it.
    pub fn look(&mut self, now: Duration, clock: Moment) -> Look {
        if self.ledger.share(&self.id).is_none() {
            // New, or given up as dead: whatever it had may be another's by now.
            (self.usable, self.rise) = (0, None);
        }
        let mut next = self.ledger.clone();
        let share = next.claim(&self.id, self.job, self.peers, clock);
        self.usable = self.share(now).min(share);
        self.rise = self.rise.filter(|rise| rise.to <= share);
        Look {
            seen: self.ledger.clone(),
            next,
            share,
            sent: now,
            sent_at: clock,
        }
    }

    /// The look's ledger was written, as `ledger`.
    pub fn claimed(&mut self, look: &Look, ledger: Ledger, now: Duration) {
        self.valid_until = look.sent + VALID;
        if look.share > self.share(now) && self.rise.is_none_or(|rise| rise.to < look.share) {
            let at = match ledger.freed_lately(look.sent_at) {
                true => now + HAND_OVER,
                false => now,
            };
            self.rise = Some(Rise { at, to: look.share });
        }
        self.ledger = ledger;
    }

    /// The look was in vain, as the ledger had become another.
    pub fn overtaken(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// The ledger as last seen, and what it is to become when this writer leaves.
    pub fn without(&mut self, clock: Moment) -> (Ledger, Ledger) {
        let mut next = self.ledger.clone();
        next.leave(&self.id, clock);
        (self.ledger.clone(), next)
    }

    pub fn until_next_look(&self) -> Duration {
        match self.ledger.share(&self.id) {
            Some(share) if share >= self.ledger.fair_share() => LOOK,
            _ => LOOK_FOR_MORE,
        }
    }

    fn share(&mut self, now: Duration) -> u32 {
        if let Some(rise) = self.rise
            && now >= rise.at
        {
            (self.usable, self.rise) = (rise.to, None);
        }
        self.usable
    }
}
