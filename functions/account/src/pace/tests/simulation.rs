//! Many writers in virtual time, over a network that loses and delays calls, with clocks that differ. All of them would
//! always put more. The property: no second has more than 800 puts, whatever happens to whom.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use cloudupload::{
    clock::Moment,
    job::JobId,
    store::{LEASE, Ledger, PUTS_PER_SECOND, SKEW, WriterId},
};
use fastrand::Rng;
use proptest::prelude::*;

use super::super::writer::{Look, Writer};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The time after which a writer gives a call up, as `Writers` does.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How a writer ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Leaves,
    Dies,
    /// It reaches DynamoDB no more, and puts for as long as it may.
    CutOff,
}

/// A writer's life.
#[derive(Clone, Debug)]
struct Script {
    job: u64,
    peers: u32,
    comes: Duration,
    stays: Duration,
    end: End,
    /// By how much its clock is ahead of the slowest.
    ahead: Duration,
    /// The most by which it looks later than it should.
    lateness: Duration,
}

/// What the network does, in percent of the calls.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    loses: u8,
    loses_answers: u8,
    /// They arrive when their caller may have given them up.
    delays: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Looks(usize),
    /// A call arrives at the table.
    Arrives(usize),
    /// Its answer arrives at the writer.
    Answers(usize),
    GivesUp(usize),
    Puts(usize),
    Ends(usize),
}

/// A call on its way, and back.
#[derive(Debug)]
struct Call {
    by: usize,
    seen: Ledger,
    next: Ledger,
    /// None for a writer that leaves.
    look: Option<Look>,
    /// The ledger as it is, and whether that is the call's.
    answer: Option<(Ledger, bool)>,
}

#[derive(Debug)]
struct Actor {
    script: Script,
    writer: Writer,
    puts: bool,
    leaves: bool,
    cut_off: bool,
    /// The call that it waits for.
    call: Option<usize>,
}

struct World {
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    scheduled: usize,
    actors: Vec<Actor>,
    calls: Vec<Call>,
    table: Ledger,
    network: Network,
    random: Rng,
    /// Who put, and when.
    puts: Vec<(Duration, usize)>,
}

impl World {
    fn new(scripts: Vec<Script>, network: Network, seed: u64) -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            scheduled: 0,
            actors: Vec::new(),
            calls: Vec::new(),
            table: Ledger::default(),
            network,
            random: Rng::with_seed(seed),
            puts: Vec::new(),
        };
        for (actor, script) in scripts.into_iter().enumerate() {
            let job = JobId::new(script.job).unwrap();
            world.at(script.comes, Event::Looks(actor));
            world.at(script.comes, Event::Puts(actor));
            world.at(script.comes + script.stays, Event::Ends(actor));
            world.actors.push(Actor {
                writer: Writer::new(WriterId::new(job, actor as u32), job, script.peers),
                script,
                puts: true,
                leaves: false,
                cut_off: false,
                call: None,
            });
        }
        world
    }

    fn run(mut self, until: Duration) -> Self {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at >= until {
                break;
            }
            self.now = at;
            match event {
                Event::Looks(actor) => self.looks(actor),
                Event::Arrives(call) => self.arrives(call),
                Event::Answers(call) => self.answers(call),
                Event::GivesUp(call) => self.gives_up(call),
                Event::Puts(actor) => self.puts(actor),
                Event::Ends(actor) => self.ends(actor),
            }
            assert!(self.table.sum() <= PUTS_PER_SECOND);
        }
        self
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        MILLISECOND * self.random.u32(0..=longest.as_millis() as u32)
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    /// The time by a writer's own clock.
    fn clock(&self, actor: usize) -> Moment {
        Moment::from_millis(1_795_445_844_000) + self.now + self.actors[actor].script.ahead
    }

    fn looks(&mut self, actor: usize) {
        let (now, clock) = (self.now, self.clock(actor));
        let it = &mut self.actors[actor];
        if it.leaves {
            let (seen, next) = it.writer.without(clock);
            self.send(actor, seen, next, None);
        } else if it.puts {
            let look = it.writer.look(now, clock);
            self.send(actor, look.seen.clone(), look.next.clone(), Some(look));
        }
    }

    fn send(&mut self, by: usize, seen: Ledger, next: Ledger, look: Option<Look>) {
        let call = self.calls.len();
        self.calls.push(Call {
            by,
            seen,
            next,
            look,
            answer: None,
        });
        self.actors[by].call = Some(call);
        self.at(self.now + CALL_TIMEOUT, Event::GivesUp(call));
        if self.actors[by].cut_off || self.chance(self.network.loses) {
            return;
        }
        let delay = match self.chance(self.network.delays) {
            true => self.up_to(20 * SECOND),
            false => self.up_to(50 * MILLISECOND),
        };
        self.at(self.now + delay, Event::Arrives(call));
    }

    fn arrives(&mut self, call: usize) {
        let it = &mut self.calls[call];
        let is_written = it.seen == self.table;
        if is_written {
            self.table = it.next.clone();
        }
        it.answer = Some((self.table.clone(), is_written));
        if !self.chance(self.network.loses_answers) {
            let delay = self.up_to(50 * MILLISECOND);
            self.at(self.now + delay, Event::Answers(call));
        }
    }

    fn answers(&mut self, call: usize) {
        let by = self.calls[call].by;
        if self.actors[by].call != Some(call) || self.actors[by].cut_off {
            return;
        }
        self.actors[by].call = None;
        let (look, answer) = (self.calls[call].look.take(), self.calls[call].answer.take());
        let writer = &mut self.actors[by].writer;
        match (look, answer) {
            (Some(look), Some((ledger, true))) => {
                writer.claimed(&look, ledger, self.now);
                self.look_again(by);
            }
            (_, Some((ledger, false))) => {
                writer.overtaken(ledger);
                let pause = self.up_to(20 * MILLISECOND);
                self.at(self.now + pause, Event::Looks(by));
            }
            _ => {}
        }
    }

    fn look_again(&mut self, actor: usize) {
        let lateness = self.actors[actor].script.lateness;
        let pause = self.actors[actor].writer.until_next_look() + self.up_to(lateness);
        self.at(self.now + pause, Event::Looks(actor));
    }

    fn gives_up(&mut self, call: usize) {
        let by = self.calls[call].by;
        if self.actors[by].call == Some(call) {
            self.actors[by].call = None;
            self.look_again(by);
        }
    }

    fn puts(&mut self, actor: usize) {
        if !self.actors[actor].puts {
            return;
        }
        let wait = match self.actors[actor].writer.take(self.now) {
            Ok(()) => {
                self.puts.push((self.now, actor));
                Duration::ZERO
            }
            Err(wait) => wait.clamp(MILLISECOND, 50 * MILLISECOND),
        };
        let pause = self.up_to(MILLISECOND);
        self.at(self.now + wait + pause, Event::Puts(actor));
    }

    fn ends(&mut self, actor: usize) {
        let it = &mut self.actors[actor];
        match it.script.end {
            End::CutOff => it.cut_off = true,
            End::Dies => (it.puts, it.call) = (false, None),
            End::Leaves => {
                (it.puts, it.leaves, it.call) = (false, true, None);
                self.looks(actor);
            }
        }
    }

    /// The most puts that any second has.
    fn most(&self) -> usize {
        let mut second = VecDeque::new();
        let mut most = 0;
        for &(at, _) in &self.puts {
            second.push_back(at);
            while second.front().is_some_and(|&first| first + SECOND <= at) {
                second.pop_front();
            }
            most = most.max(second.len());
        }
        most
    }

    /// A writer's puts in these seconds, for each of them.
    fn rate(&self, actor: usize, from: u32, to: u32) -> usize {
        let seconds = from * SECOND..to * SECOND;
        let puts = self.puts.iter();
        let its = puts.filter(|(at, by)| *by == actor && seconds.contains(at));
        its.count() / (to - from) as usize
    }
}

fn duration(seconds: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    (seconds.start * 1000..seconds.end * 1000).prop_map(Duration::from_millis)
}

fn script() -> impl Strategy<Value = Script> {
    let end = prop_oneof![Just(End::Leaves), Just(End::Dies), Just(End::CutOff)];
    let lateness = prop_oneof![3 => Just(Duration::ZERO), 1 => duration(0..40)];
    let ahead = duration(0..SKEW.as_secs());
    let times = (duration(0..30), duration(0..60));
    // Shares that are kept for others make the sum small. They are the exception here.
    let peers = prop_oneof![4 => Just(1u32), 1 => 2..9u32];
    (1..6u64, peers, times, end, ahead, lateness).prop_map(
        |(job, peers, (comes, stays), end, ahead, lateness)| Script {
            job,
            peers,
            comes,
            stays,
            end,
            ahead,
            lateness,
        },
    )
}

fn network() -> impl Strategy<Value = Network> {
    let bad = (0..30u8, 0..30u8, 0..30u8).prop_map(|(loses, loses_answers, delays)| Network {
        loses,
        loses_answers,
        delays,
    });
    prop_oneof![Just(Network::default()), bad]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_second_has_more_than_800_puts(
        scripts in proptest::collection::vec(script(), 2..10),
        network in network(),
        seed in any::<u64>(),
    ) {
        let world = World::new(scripts, network, seed).run(90 * SECOND);
        prop_assert!(world.most() <= 800, "{} puts in a second", world.most());
    }
}

/// A writer of a job of its own that leaves in the end.
fn alone(job: u64, comes: Duration, stays: Duration) -> Script {
    Script {
        job,
        peers: 1,
        comes,
        stays,
        end: End::Leaves,
        ahead: Duration::ZERO,
        lateness: Duration::ZERO,
    }
}

fn calm(scripts: Vec<Script>) -> World {
    let world = World::new(scripts, Network::default(), 1).run(100 * SECOND);
    assert!(world.most() <= 800, "{} puts in a second", world.most());
    world
}

#[track_caller]
fn assert_about(rate: usize, expected: usize) {
    let bounds = expected * 95 / 100..=expected;
    assert!(
        bounds.contains(&rate),
        "{rate} puts a second, not {expected}"
    );
}

#[test]
fn writers_that_come_and_go_share_equally() {
    let world = calm(vec![
        alone(1, Duration::ZERO, 100 * SECOND),
        alone(2, 10 * SECOND, 30 * SECOND),
        alone(3, 20 * SECOND, 40 * SECOND),
    ]);
    // Whoever is alone has everything from its first second on.
    assert_about(world.rate(0, 0, 10), 800);
    // A look, and the pause of a hand-over, later.
    assert_about(world.rate(0, 15, 20), 400);
    assert_about(world.rate(1, 15, 20), 400);
    for actor in 0..3 {
        assert_about(world.rate(actor, 25, 40), 266);
    }
    assert_about(world.rate(0, 45, 60), 400);
    assert_about(world.rate(2, 45, 60), 400);
    assert_about(world.rate(0, 65, 100), 800);
}

#[test]
fn the_slices_of_a_job_begin_at_once_and_follow_each_other_within_a_second() {
    let slice = |comes, stays| Script {
        peers: 8,
        ..alone(1, comes, stays)
    };
    let mut scripts = vec![slice(Duration::ZERO, 30 * SECOND); 8];
    scripts[0].stays = 10 * SECOND;
    scripts.push(slice(10 * SECOND + 200 * MILLISECOND, 20 * SECOND));
    let world = calm(scripts);
    for actor in 0..8 {
        assert_about(world.rate(actor, 1, 10), 100);
    }
    assert_about(world.rate(8, 12, 30), 100);
}

#[test]
fn the_share_of_a_writer_that_died_comes_back_after_its_lease() {
    for end in [End::Dies, End::CutOff] {
        let dead = Script {
            end,
            ..alone(2, Duration::ZERO, 20 * SECOND)
        };
        let world = calm(vec![alone(1, Duration::ZERO, 100 * SECOND), dead]);
        assert_about(world.rate(0, 10, 30), 400);
        let after = 20 * SECOND + LEASE + SKEW + 5 * SECOND;
        assert_about(world.rate(0, after.as_secs() as u32, 100), 800);
        let last = world.puts.iter().rfind(|(_, by)| *by == 1).unwrap().0;
        assert!(last < 20 * SECOND + LEASE, "{last:?}");
    }
}
