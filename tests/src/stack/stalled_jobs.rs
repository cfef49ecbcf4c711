//! Jobs that a fault stops at a chosen call.

use super::{Stack, Upload};
use crate::{Fault, FaultClient, JobId, Route, Rule, RuleGuard, environment::unique, function};

impl Stack {
    /// A job of the user that takes the route `direct`, is held where this function makes this call, and the rule that
    /// holds it.
    pub async fn stalled(&self, user: &str, function: &str, call: &str) -> (JobId, RuleGuard) {
        self.stalled_via(Route::Direct, user, function, call).await
    }

    /// The same by another route.
    pub async fn stalled_via(
        &self,
        route: Route,
        user: &str,
        function: &str,
        call: &str,
    ) -> (JobId, RuleGuard) {
        let faults = FaultClient::from_env();
        for _ in 0..3 {
            let upload = self.built_disk(&format!("{user}-{}", unique())).await;
            let mut upload = upload.via(route);
            upload.user = user.to_owned();
            // The call may be the function's first: the rule has to be there before the execution starts.
            let id = self.create_without_execution(&upload).await;
            let rule = Rule::of_job(id, function, call, Fault::Hold);
            let rule = faults.add(rule).await;
            self.start(id).await;
            if self.wait_for_hit(&rule, id).await {
                return (id, rule);
            }
            // A function of another job may have granted the slot, and made the call instead of this one.
        }
        panic!("no {function} makes a {call} for the jobs of {user}");
    }

    /// A job whose `api` dies between writing the record and starting the execution.
    pub async fn create_without_execution(&self, upload: &Upload) -> JobId {
        let rule = Rule {
            text: Some(upload.package.clone()),
            ..Rule::of_function(function::API, "dynamodb:TransactWriteItems", Fault::Kill)
        };
        let _rule = FaultClient::from_env().add(rule).await;
        let answer = self.post(upload).await;
        assert!(answer.status().is_server_error(), "{answer:?}");
        let jobs = self.jobs_of(&upload.package).await;
        jobs.into_iter().next().expect("the job has a record")
    }

    /// Kills the job, and keeps its waiting execution from being told. Returns whether it waits.
    pub async fn kill_without_notice(&self, id: JobId) -> bool {
        let call = "states:SendTaskFailure";
        let denied = Rule::of_job(id, function::API, call, Fault::AccessDenied);
        let denied = FaultClient::from_env().add(denied.for_all()).await;
        self.kill(id).await;
        denied.hits().await > 0
    }

    /// Waits for the rule to hit, or for the job's own execution to end, and returns whether the rule has hit.
    pub async fn wait_for_hit(&self, rule: &RuleGuard, id: JobId) -> bool {
        self.until(id, "the call or the execution's end", async || {
            let is_running = self.is_running(id).await;
            match rule.hits().await {
                0 if is_running => Err("neither"),
                hits => Ok(hits > 0),
            }
        })
        .await
    }
}
