//! A job while a call of its functions fails.

use std::time::{Duration, Instant};

use super::{
    bar,
    bench::{Bench, STUCK, VHD},
    cell::{Break, Cell, Outcome},
    way::Way,
};
use crate::{Fault, Job, Laid, Rule, Stack, Upload};

/// Another job of the same user, which has the slot that the job waits for.
struct Neighbour {
    id: String,
    hold: Laid,
}

impl Bench {
    pub async fn run_job(&self, cell: &Cell) -> Outcome {
        if cell.way == Way::NewBucket {
            let (stack, region) = self.take_region().await;
            let mut upload = self.plain_upload();
            upload.body["region"] = region.into();
            let outcome = self.run_upload(cell, &stack, &upload).await;
            self.give_region_back(region).await;
            return outcome;
        }
        let upload = match (&cell.breaks, cell.way) {
            (Break::Obs(_), _) => self.upload_of_own().await,
            (_, Way::FixedVhd) => self.upload(VHD),
            _ => self.plain_upload(),
        };
        self.run_upload(cell, &self.stack, &upload).await
    }

    async fn run_upload(&self, cell: &Cell, stack: &Stack, upload: &Upload) -> Outcome {
        if let Break::Obs(fault) = cell.breaks {
            self.stack.disturb(upload, fault.sidecar()).await;
        }
        let neighbour = match cell.way {
            Way::Waits => Some(self.neighbour(upload).await),
            _ => None,
        };
        let before = self.calls().await;
        let began = Instant::now();
        let id = self.stack.create(upload).await.id().to_owned();
        let rule = match cell.breaks.rule(Some(&id)) {
            Some(rule) => Some(self.faults.rule(rule).await),
            None => None,
        };
        let mut outcome = Outcome::default();
        if cell.way.killed_at().is_some() {
            self.kill_on_its_way(cell.way, &id, &mut outcome).await;
        }
        // What `finish` does about the slot comes when the neighbour is over, everything else before.
        let (first, then) = match cell.breaks.is_by("finish") {
            true => (neighbour.as_ref(), None),
            false => (None, neighbour.as_ref()),
        };
        self.let_go(first, &id).await;
        let killed = match cell.breaks.is_kill() {
            true => {
                self.kill_while_it_lasts(cell, &id, rule.as_ref(), &mut outcome)
                    .await
            }
            false => None,
        };
        self.let_go(then, &id).await;
        self.wait_for_the_end(cell, &id, rule, &mut outcome).await;
        outcome.stopped = killed.as_ref().map(|(at, _)| at.elapsed().as_secs_f64());
        // Where its own execution failed, it is another one that makes it final and cleans up.
        let job = self.last(&id).await;
        self.quiet(&id).await;
        outcome.seconds = began.elapsed().as_secs_f64();
        outcome.made = self.calls_since(&before).await;
        outcome.end = job.state().to_owned();
        outcome.reason = job.details().to_owned();
        outcome.left = self.left(stack, &job).await;
        outcome.left_for_good = self.left_for_good(stack, &job).await;
        outcome.misses.extend(bar::misses(cell, &outcome));
        outcome.late = bar::late(cell, &outcome);
        if !outcome.left.is_empty()
            && let Some(call) = bar::has_to_be_told(cell)
            && !bar::tells_denied(&self.stack.log(&id).await, call)
        {
            let untold = "its log does not say why something is left";
            outcome.misses.push(untold.to_owned());
        }
        if let Some((_, answer)) = killed
            && (answer.state(), answer.details()) != (job.state(), job.details())
        {
            outcome
                .misses
                .push(format!("the kill was answered by {answer:?}"));
        }
        if let Some(neighbour) = neighbour {
            self.end_of(&neighbour, &mut outcome).await;
        }
        self.take_ami(stack, &job, &mut outcome).await;
        outcome
    }

    async fn neighbour(&self, upload: &Upload) -> Neighbour {
        let mut upload = upload.clone();
        upload.body["ami_name"] = format!("{} beside", upload.user).into();
        let id = self.stack.create(&upload).await.id().to_owned();
        let hold = Rule::of_job(&id, "prepare", "sts:AssumeRole", Fault::Hold);
        let hold = self.faults.rule(hold).await;
        self.stack.hits(&hold, &id).await;
        Neighbour { id, hold }
    }

    /// Lets the neighbour go on once the job waits for its slot.
    async fn let_go(&self, neighbour: Option<&Neighbour>, id: &str) {
        if let Some(neighbour) = neighbour {
            self.waits(id).await;
            neighbour.hold.release().await;
        }
    }

    async fn end_of(&self, neighbour: &Neighbour, outcome: &mut Outcome) {
        let began = Instant::now();
        while self.runs(&neighbour.id).await && began.elapsed() < STUCK {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let job = self.last(&neighbour.id).await;
        if job.state() != "succeeded" {
            outcome.misses.push(format!("the job beside it: {job:?}"));
        }
        let left = self.left_for_good(&self.stack, &job).await;
        if !left.is_empty() {
            outcome.misses.push(format!(
                "left behind by the job beside it: {}",
                left.join(", ")
            ));
        }
        self.take_ami(&self.stack, &job, outcome).await;
    }

    async fn kill_on_its_way(&self, way: Way, id: &str, outcome: &mut Outcome) {
        let Some(place) = way.killed_at() else { return };
        let hold = Rule {
            skip: place.skip,
            ..Rule::of_job(id, place.function, place.call, Fault::Hold)
        };
        let hold = self.faults.rule(hold).await;
        match self.stack.hits(&hold, id).await {
            true => drop(self.stack.kill(id).await),
            false => outcome.misses.push(format!(
                "it came to no {} of {}, and was not killed",
                place.call, place.function
            )),
        }
    }

    /// Kills the job while a call of it is held, or while OBS is silent. Answers when that was, and what the API said.
    async fn kill_while_it_lasts(
        &self,
        cell: &Cell,
        id: &str,
        rule: Option<&Laid>,
        outcome: &mut Outcome,
    ) -> Option<(Instant, Job)> {
        match rule {
            Some(rule) => {
                if !self.stack.hits(rule, id).await {
                    return None;
                }
                outcome.hits = 1;
            }
            None => {
                self.stack.wait(id, |job| job.state() != "created").await;
            }
        }
        let killed = Instant::now();
        let answer = self.stack.kill(id).await;
        if let Some(rule) = rule
            && !cell.breaks.lasts()
        {
            rule.release().await;
        }
        Some((killed, answer))
    }

    /// Until the job's own execution is over. Whoever took a permission away gives it back then.
    async fn wait_for_the_end(
        &self,
        cell: &Cell,
        id: &str,
        rule: Option<Laid>,
        outcome: &mut Outcome,
    ) {
        let began = Instant::now();
        while self.runs(id).await && began.elapsed() < STUCK {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if let Some(rule) = rule
            && !cell.breaks.is_kill()
        {
            outcome.hits = rule.hits().await;
        }
    }
}
