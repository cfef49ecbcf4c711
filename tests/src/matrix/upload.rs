//! A job while a call of its functions fails.

use std::time::Instant;

use super::{
    case::{Case, Injection},
    expectation,
    harness::{Harness, VHD_FILE},
    outcome::Outcome,
    scenario::{KillPoint, Scenario},
};
use crate::{Fault, Job, JobId, Route, Rule, RuleGuard, Stack, Upload, disk, function};

/// Another job of the same user, which has the slot that the job waits for.
struct Neighbour {
    id: JobId,
    hold: RuleGuard,
}

/// A kill while a fault lasts.
struct Kill {
    at: Instant,
    answer: Job,
}

impl Harness {
    pub async fn run_upload(&self, case: &Case) -> Outcome {
        if case.scenario == Scenario::NewBucket {
            let (stack, region) = self.take_region().await;
            let mut upload = self.disk_upload().via(Route::Import);
            upload.body["region"] = region.into();
            let outcome = self.run_job(case, &stack, &upload).await;
            self.give_region_back(region).await;
            return outcome;
        }
        let upload = match (&case.injection, case.scenario) {
            (Injection::Obs(fault), _) => {
                let upload = self.upload_of_own_package().await;
                self.stack.set_obs_faults(&upload, fault.sidecar()).await;
                upload
            }
            (_, Scenario::FixedVhd) => self.upload(VHD_FILE),
            _ => self.disk_upload(),
        };
        let upload = upload.via(case.scenario.route());
        self.run_job(case, &self.stack, &upload).await
    }

    async fn run_job(&self, case: &Case, stack: &Stack, upload: &Upload) -> Outcome {
        let neighbour = match case.scenario {
            Scenario::Waits => Some(self.start_neighbour(upload).await),
            _ => None,
        };
        let mut outcome = Outcome::default();
        let calls_before = self.calls().await;
        let began = Instant::now();
        let mut client = None;
        let id = match case.scenario {
            Scenario::Pushed => {
                let file = &disk::disk().await.xz;
                let id = self.stack.create_push(upload, file.len()).await.id();
                client = Some(tokio::spawn(async move {
                    Stack::new().await.push_until_over(id, file).await;
                }));
                id
            }
            _ => self.stack.create(upload).await.id(),
        };
        let rule = self.inject(&case.injection, Some(id)).await;
        if let Some(point) = case.scenario.kill_point() {
            self.kill_at(&point, id, &mut outcome).await;
        }
        let kill = self
            .pass_fault(case, id, rule, neighbour.as_ref(), &mut outcome)
            .await;
        outcome.stopped_after = kill.as_ref().map(|kill| kill.at.elapsed());
        // If its own execution has failed, another one makes it final and cleans up.
        let job = self.final_job(id).await;
        if let Some(client) = client {
            client.abort();
        }
        self.wait_until_idle(id).await;
        outcome.took = began.elapsed();
        outcome.calls = self.calls_since(&calls_before).await;
        outcome.end = job.state().to_owned();
        outcome.reason = job.details().to_owned();
        self.collect_leftovers(stack, &job, &mut outcome).await;
        expectation::check(case, &mut outcome);
        self.check_log(case, id, &mut outcome).await;
        if let Some(Kill { answer, .. }) = kill
            && (answer.state(), answer.details()) != (job.state(), job.details())
        {
            outcome
                .unmet
                .push(format!("the kill was answered by {answer:?}"));
        }
        if let Some(neighbour) = neighbour {
            self.check_neighbour(&neighbour, &mut outcome).await;
        }
        self.check_and_remove_ami(stack, &job, &mut outcome).await;
        outcome
    }

    /// Waits until the job's own execution is over, and kills the job meanwhile if that is the fault. A permission that
    /// was taken away is then given back.
    async fn pass_fault(
        &self,
        case: &Case,
        id: JobId,
        rule: Option<RuleGuard>,
        neighbour: Option<&Neighbour>,
        outcome: &mut Outcome,
    ) -> Option<Kill> {
        // `finish` hands out the slot when the neighbour is over; everything else comes before.
        let neighbour_first = case.injection.is_in(function::FINISH);
        if neighbour_first {
            self.release_neighbour(neighbour, id).await;
        }
        let kill = match case.injection.kills_job() {
            true => self.kill_during_fault(case, id, rule.as_ref()).await,
            false => None,
        };
        if !neighbour_first {
            self.release_neighbour(neighbour, id).await;
        }
        self.wait_until_stopped(id).await;
        if let Some(rule) = rule {
            outcome.hits = match case.injection.kills_job() {
                true => u32::from(kill.is_some()),
                false => rule.hits().await,
            };
        }
        kill
    }

    /// Kills the job where its scenario says.
    async fn kill_at(&self, point: &KillPoint, id: JobId, outcome: &mut Outcome) {
        let hold = Rule {
            skip: point.skip,
            ..Rule::of_job(id, point.function, point.call, Fault::Hold)
        };
        let hold = self.faults.add(hold).await;
        match self.stack.wait_for_hit(&hold, id).await {
            true => drop(self.stack.kill(id).await),
            false => outcome.unmet.push(format!(
                "{} made no {}, and the job was not killed",
                point.function, point.call
            )),
        }
    }

    /// Kills the job while a call of it is held, or while OBS is silent. None if the call is not made.
    async fn kill_during_fault(
        &self,
        case: &Case,
        id: JobId,
        rule: Option<&RuleGuard>,
    ) -> Option<Kill> {
        match rule {
            Some(rule) if !self.stack.wait_for_hit(rule, id).await => return None,
            Some(_) => {}
            None => {
                self.stack.wait(id, |job| job.state() != "created").await;
            }
        }
        let at = Instant::now();
        let answer = self.stack.kill(id).await;
        if let Some(rule) = rule
            && !case.injection.outlasts_kill()
        {
            rule.release().await;
        }
        Some(Kill { at, answer })
    }

    /// If a denied call leaves something behind, the job's log has to say why.
    async fn check_log(&self, case: &Case, id: JobId, outcome: &mut Outcome) {
        if !outcome.leftovers.is_empty()
            && let Some(call) = expectation::call_to_log(case)
            && !expectation::names_denied_call(&self.stack.log(id).await, call)
        {
            let unlogged = "its log does not say why something is left";
            outcome.unmet.push(unlogged.to_owned());
        }
    }

    async fn start_neighbour(&self, upload: &Upload) -> Neighbour {
        let mut upload = upload.clone();
        upload.body["ami_name"] = format!("{} beside", upload.user).into();
        let id = self.stack.create(&upload).await.id();
        let hold = Rule::of_job(id, function::PREPARE, "sts:AssumeRole", Fault::Hold);
        let hold = self.faults.add(hold).await;
        self.stack.wait_for_hit(&hold, id).await;
        Neighbour { id, hold }
    }

    /// Releases the neighbour once the job waits for its slot.
    async fn release_neighbour(&self, neighbour: Option<&Neighbour>, id: JobId) {
        if let Some(neighbour) = neighbour {
            self.wait_until_queued(id).await;
            neighbour.hold.release().await;
        }
    }

    async fn check_neighbour(&self, neighbour: &Neighbour, outcome: &mut Outcome) {
        self.wait_until_stopped(neighbour.id).await;
        let job = self.final_job(neighbour.id).await;
        if job.state() != "succeeded" {
            outcome.unmet.push(format!("the job beside it: {job:?}"));
        }
        let left = self.leftovers_after_sweep(&self.stack, &job).await;
        if !left.is_empty() {
            outcome.unmet.push(format!(
                "left behind by the job beside it: {}",
                left.join(", ")
            ));
        }
        self.check_and_remove_ami(&self.stack, &job, outcome).await;
    }
}
