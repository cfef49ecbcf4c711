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

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Moment = Moment::from_millis(1_795_445_844_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn writer(job: u64) -> Writer {
        let job = JobId::new(job).unwrap();
        Writer::new(WriterId::new(job, 0), job, 1)
    }

    /// A look that nobody comes in between, at a time after the begin.
    fn look(writer: &mut Writer, table: &mut Ledger, at: Duration) {
        writer.overtaken(table.clone());
        let look = writer.look(at, CLOCK + at);
        *table = look.next.clone();
        writer.claimed(&look, table.clone(), at);
    }

    #[test]
    fn a_share_that_was_given_back_rests_for_a_second() {
        let (mut one, mut two, mut table) = (writer(1), writer(2), Ledger::default());
        look(&mut one, &mut table, SECOND);
        assert_eq!(one.share(SECOND), 800);
        look(&mut two, &mut table, SECOND);
        assert_eq!(two.until_next_look(), LOOK_FOR_MORE);
        look(&mut one, &mut table, 4 * SECOND);
        assert_eq!(one.share(4 * SECOND), 400);
        look(&mut two, &mut table, 4 * SECOND);
        assert_eq!(two.until_next_look(), LOOK);
        assert_eq!(two.take(5 * SECOND - SECOND / 1000), Err(NOTHING_YET));
        assert_eq!(two.take(5 * SECOND), Ok(()));
    }

    #[test]
    fn a_smaller_share_counts_before_anybody_can_know_of_it() {
        let (mut one, mut two, mut table) = (writer(1), writer(2), Ledger::default());
        look(&mut one, &mut table, SECOND);
        look(&mut two, &mut table, SECOND);
        one.overtaken(table.clone());
        // The answer may never come.
        let _ = one.look(4 * SECOND, CLOCK + 4 * SECOND);
        assert_eq!(one.share(4 * SECOND), 400);
    }

    #[test]
    fn a_writer_that_cannot_look_stops_before_others_take_its_share() {
        let (mut one, mut two, mut table) = (writer(1), writer(2), Ledger::default());
        look(&mut one, &mut table, SECOND);
        let last = SECOND + VALID;
        assert_eq!(one.take(last - SECOND / 1000), Ok(()));
        assert_eq!(one.take(last), Err(NOTHING_YET));
        look(&mut two, &mut table, last + HAND_OVER);
        assert_eq!(two.share(last + HAND_OVER), 0);
    }

    #[test]
    fn a_writer_that_was_given_up_comes_as_if_it_were_new() {
        let (mut one, mut two, mut table) = (writer(1), writer(2), Ledger::default());
        look(&mut one, &mut table, SECOND);
        look(&mut two, &mut table, 30 * SECOND);
        let (_, left) = two.without(CLOCK + 40 * SECOND);
        table = left;
        look(&mut one, &mut table, 40 * SECOND);
        // The share that it had was the other's until now.
        assert_eq!(one.take(40 * SECOND), Err(NOTHING_YET));
        assert_eq!(one.take(41 * SECOND), Ok(()));
    }
}
