//! How a run has to end, and in what time.

use std::time::Duration;

use super::{
    case::{CallFault, Case, FunctionCall, Injection, ObsFault},
    client::{self, Client, ClientFault},
    outcome::Outcome,
    scenario::{Request, Scenario},
};
use crate::{Route, function};

/// How a run has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End<'a> {
    Succeeded,
    Killed,
    /// Killed, unless it had succeeded by then.
    KilledIfOpen,
    /// Failed, for a reason that contains these words.
    Failed(&'a str),
    /// Failed, because a permission for this call is missing.
    Denied(&'a str),
    /// The request is answered as without a fault.
    Answered,
    /// The request is answered by an error, and succeeds when it is sent again.
    Refused,
    /// The same, and the error says that a permission for this call is missing.
    RefusedFor(&'a str),
}

/// From the kill of a job until no function works on it.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// For a job in this matrix: an upload without faults takes 10 to 15 s.
const JOB_LIMIT: Duration = Duration::from_secs(60);

/// API Gateway gives up after 29 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(29);

/// From one sweep to the next, and for the execution that it starts.
const SWEEP: Duration = Duration::from_secs(75);

/// Adds to the outcome what the case expects and did not get.
pub fn check(case: &Case, outcome: &mut Outcome) {
    let unmet = unmet(case, outcome);
    outcome.unmet.extend(unmet);
    outcome.overruns = overruns(case, outcome);
}

/// Whether a reason names the call and AWS's code for a missing permission.
pub fn names_denied_call(reason: &str, call: &str) -> bool {
    let codes = ["AccessDenied", "UnauthorizedOperation", "Forbidden"];
    reason.contains(call) && codes.iter().any(|code| reason.contains(code))
}

/// The denied call that the job's log has to name if something is left. Calls to DynamoDB are exempt: without its
/// record, `finish` does not know what to remove, and is called again soon.
pub fn call_to_log(case: &Case) -> Option<&str> {
    match &case.injection {
        Injection::Call {
            target,
            fault: CallFault::Denied,
        } if !target.call.starts_with("dynamodb:") => Some(&target.call),
        _ => None,
    }
}

fn expected_end(case: &Case) -> End<'_> {
    let undisturbed = match case.scenario {
        Scenario::Request(_) | Scenario::Sweep => End::Answered,
        scenario if scenario.kill_point().is_some() => End::Killed,
        _ => End::Succeeded,
    };
    match &case.injection {
        Injection::Nothing => undisturbed,
        Injection::Obs(ObsFault::Short) => End::Failed("size mismatch"),
        Injection::Obs(ObsFault::NotFound) => End::Failed("Not Found"),
        Injection::Obs(ObsFault::JobKilled) => End::Killed,
        Injection::Obs(_) => undisturbed,
        Injection::Client { call, fault } => expected_end_of_push(case.scenario, call, *fault),
        Injection::Call { target, fault } => {
            let FunctionCall { function, call } = target;
            match (fault, undisturbed) {
                (CallFault::JobKilled, _) if function == function::FINISH => End::KilledIfOpen,
                (CallFault::JobKilled, _) => End::Killed,
                (CallFault::FunctionKilled, End::Answered) if is_of_another_sweep(target) => {
                    undisturbed
                }
                (CallFault::FunctionKilled, End::Answered) => End::Refused,
                (CallFault::Denied, _) if is_dispensable(case.scenario, target) => undisturbed,
                (CallFault::Denied, End::Answered) => End::RefusedFor(call),
                // The sweeper goes on with it once the permission is back.
                (CallFault::Denied, _) if function == function::FINISH => undisturbed,
                (CallFault::Denied, _) => End::Denied(call),
                _ => undisturbed,
            }
        }
    }
}

/// Only a sweep that the end of an execution brings about writes what it used into a job's record. The case's own does not.
fn is_of_another_sweep(target: &FunctionCall) -> bool {
    target.function == function::SWEEP && target.call == "dynamodb:UpdateItem"
}

fn expected_end_of_push(scenario: Scenario, call: &str, fault: ClientFault) -> End<'static> {
    match (scenario, fault) {
        (_, ClientFault::JobKilled) => End::Killed,
        (_, ClientFault::KilledAfter) if client::completes(call) => End::Succeeded,
        // OBS does not send an image again, and its relay cannot ask for it.
        (Scenario::PushedBy(Client::Relay), fault)
            if fault.kills_client() && !client::creates(call) =>
        {
            End::Failed("the relay beside OBS was interrupted while the image came in")
        }
        _ => End::Succeeded,
    }
}

/// The times that the user may have to start the client. A call that makes a job is not sent again by itself, as it would make
/// another one.
fn most_attempts(call: &str, fault: ClientFault) -> u32 {
    match fault.kills_client() || client::creates(call) {
        true => 2,
        false => 1,
    }
}

/// Whether all goes well without the call: a log that cannot be written fails nothing, nor does an event that cannot be
/// sent or deleted, nor what a step used (`slot` updates the record for nothing else), a wait that a kill cannot end ends by
/// itself, the permissions of other routes are tried for nothing, and where it cannot be told whether a copy will be
/// encrypted, it is taken for encrypted.
fn is_dispensable(scenario: Scenario, target: &FunctionCall) -> bool {
    let call = target.call.as_str();
    if target.function == function::PREFLIGHT && !is_tried_for(scenario.route(), call) {
        return true;
    }
    // Nothing but events is deleted by calls of their own.
    if ["events:PutEvents", "dynamodb:DeleteItem"].contains(&call) {
        return true;
    }
    if is_of_another_sweep(target) {
        return true;
    }
    if target.function == function::SLOT && call == "dynamodb:UpdateItem" {
        return true;
    }
    let writes_log = ["logs:PutLogEvents", "logs:CreateLogStream"].contains(&call);
    match scenario {
        Scenario::Request(Request::Kill) => writes_log || call == "states:SendTaskFailure",
        Scenario::Request(Request::PartUrls) => writes_log,
        // The sweeper sends it.
        Scenario::Request(Request::PushDone) => call == "states:SendTaskSuccess",
        Scenario::Request(_) | Scenario::Sweep => false,
        _ => writes_log || call == "ec2:GetEbsEncryptionByDefault",
    }
}

/// Whether a job of this route fails if `preflight` is refused the call.
fn is_tried_for(route: Route, call: &str) -> bool {
    match call {
        "ec2:DescribeSnapshots" => route != Route::Import,
        "ec2:CopySnapshot" => route == Route::Copy,
        "ec2:ImportSnapshot" | "ec2:DescribeImportSnapshotTasks" => route == Route::Import,
        // The bucket may not be there yet.
        "s3:HeadBucket" => false,
        call if call.starts_with("ebs:") => route == Route::Direct,
        _ => true,
    }
}

fn limit(case: &Case) -> Duration {
    if let Scenario::Request(_) = case.scenario {
        return ANSWER_LIMIT;
    }
    let more = match &case.injection {
        // As long as `cloudupload::aws` waits for an answer.
        Injection::Call {
            target,
            fault: CallFault::Timeout,
        } if target.call.starts_with("s3:") => Duration::from_secs(60),
        // As long as EC2 may take to list a copy whose answer was lost.
        Injection::Call {
            target,
            fault: CallFault::ServerError | CallFault::Timeout | CallFault::FunctionKilled,
        } if target.call == "ec2:CopySnapshot" => Duration::from_secs(75),
        Injection::Call {
            fault: CallFault::Timeout,
            ..
        } => Duration::from_secs(15),
        Injection::Call {
            target,
            fault: CallFault::Denied,
        } if target.function == function::FINISH => SWEEP,
        // As long as `cloudupload::obs` waits for the next byte.
        Injection::Obs(ObsFault::Silent) => Duration::from_secs(30),
        Injection::Obs(ObsFault::SilentTwice) => Duration::from_secs(60),
        // As long as clients wait for an answer, and start anew.
        Injection::Client {
            fault: ClientFault::Silent,
            ..
        } => Duration::from_secs(75),
        Injection::Client { .. } => Duration::from_secs(30),
        _ => Duration::ZERO,
    };
    JOB_LIMIT + more
}

fn unmet(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut unmet = Vec::new();
    if outcome.hits == 0 && case.must_hit() {
        unmet.push("the fault did not hit: an error of the matrix".to_owned());
    }
    let expected = expected_end(case);
    let (end, reason) = (outcome.end.as_str(), outcome.reason.as_str());
    let is_killed = end == "failed" && reason == "killed";
    let is_error = end.starts_with('5');
    let is_met = match expected {
        End::Succeeded => end == "succeeded",
        End::Killed => is_killed,
        End::KilledIfOpen => end == "succeeded" || is_killed,
        End::Failed(words) => end == "failed" && reason.contains(words),
        End::Denied(call) => end == "failed" && names_denied_call(reason, call),
        End::Answered => end == "200",
        End::Refused => is_error,
        End::RefusedFor(call) => is_error && names_denied_call(reason, call),
    };
    if !is_met {
        unmet.push(format!("it has to be {expected:?}, and is {end}: {reason}"));
    }
    if let Injection::Client { call, fault } = &case.injection
        && outcome.attempts > most_attempts(call, *fault)
    {
        unmet.push(format!(
            "its user has to start it {} times",
            outcome.attempts
        ));
    }
    if matches!(case.scenario, Scenario::PushedBy(_))
        && outcome.client_failed == (end == "succeeded")
        && !case.kills_client()
    {
        unmet.push(format!(
            "the job has {end}, and its client says something else"
        ));
    }
    let left = &outcome.leftovers_after_sweep;
    if !left.is_empty() {
        unmet.push(format!("left behind: {}", left.join(", ")));
    }
    unmet
}

fn overruns(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut overruns = Vec::new();
    let (took, limit) = (outcome.took, limit(case));
    if took > limit {
        overruns.push(format!(
            "it took {:.0} s, its limit is {:.0} s",
            took.as_secs_f64(),
            limit.as_secs_f64()
        ));
    }
    if outcome
        .stopped_after
        .is_some_and(|after| after > STOP_LIMIT)
    {
        overruns.push(format!("it did not stop within {STOP_LIMIT:?}"));
    }
    overruns
}
