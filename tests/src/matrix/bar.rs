//! What has to come of a run.

use super::{
    cell::{Break, Cell, Column, ObsFault, Outcome},
    way::{Request, Way},
};

/// How a run has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End<'a> {
    Succeeded,
    Killed,
    /// Killed, unless it had succeeded by then.
    KilledIfOpen,
    /// Failed, for a reason that has these words.
    Failed(&'a str),
    /// Failed, for the want of a permission for this call.
    Denied(&'a str),
    /// The request is answered as if nothing had been.
    Answered,
    /// The request is answered by an error, and the same request is then answered well.
    Refused,
    /// The same, and the error is the want of a permission for this call.
    RefusedFor(&'a str),
}

/// Seconds that the functions may take to stop once the job is killed.
const STOPS_WITHIN: f64 = 10.0;

/// Seconds that a job may take here: an upload alone takes 10 to 15.
const JOB: f64 = 60.0;

/// Seconds after which API Gateway gives up.
const ANSWER: f64 = 29.0;

/// Seconds from one sweep to the next, and what it starts.
const SWEEP: f64 = 75.0;

/// Whether an AWS refusal for want of a permission is told in the words of one.
pub fn tells_denied(reason: &str, call: &str) -> bool {
    let codes = ["AccessDenied", "UnauthorizedOperation", "Forbidden"];
    reason.contains(call) && codes.iter().any(|code| reason.contains(code))
}

/// The call of which the job's log has to tell if something is left. Without its record, `finish` knows of nothing, and the
/// next try is soon.
pub fn has_to_be_told(cell: &Cell) -> Option<&str> {
    match &cell.breaks {
        Break::Call {
            call,
            column: Column::Denied,
            ..
        } if !call.starts_with("dynamodb:") => Some(call),
        _ => None,
    }
}

fn end(cell: &Cell) -> End<'_> {
    let own = match cell.way {
        Way::Asked(_) | Way::Swept => End::Answered,
        way if way.killed_at().is_some() => End::Killed,
        _ => End::Succeeded,
    };
    match &cell.breaks {
        Break::Nothing => own,
        Break::Obs(ObsFault::Short) => End::Failed("size mismatch"),
        Break::Obs(ObsFault::NotFound) => End::Failed("Not Found"),
        Break::Obs(ObsFault::JobKilled) => End::Killed,
        Break::Obs(_) => own,
        Break::Call {
            function,
            call,
            column,
        } => match (column, own) {
            (Column::JobKilled, _) if function == "finish" => End::KilledIfOpen,
            (Column::JobKilled, _) => End::Killed,
            (Column::FunctionKilled, End::Answered) => End::Refused,
            // A log that cannot be written is no reason to fail, and a wait that a kill cannot end has an end.
            (Column::Denied, _) if cell.way != Way::Swept && is_dispensable(cell.way, call) => own,
            (Column::Denied, End::Answered) => End::RefusedFor(call),
            // The sweeper goes on with it once the permission is back.
            (Column::Denied, _) if function == "finish" => own,
            (Column::Denied, _) => End::Denied(call),
            _ => own,
        },
    }
}

fn is_dispensable(way: Way, call: &str) -> bool {
    match way {
        Way::Asked(Request::Kill) => call == "states:SendTaskFailure" || is_writing_the_log(call),
        Way::Asked(_) => false,
        _ => is_writing_the_log(call),
    }
}

fn is_writing_the_log(call: &str) -> bool {
    ["logs:PutLogEvents", "logs:CreateLogStream"].contains(&call)
}

/// Seconds that a run may take.
fn budget(cell: &Cell) -> f64 {
    let base = match cell.way {
        Way::Asked(_) => return ANSWER,
        _ => JOB,
    };
    base + match &cell.breaks {
        Break::Call {
            call,
            column,
            function,
        } => match column {
            // As long as `cloudupload::aws` waits for an answer.
            Column::Timeout if call.starts_with("s3:") => 60.0,
            Column::Timeout => 15.0,
            Column::Denied if function == "finish" => SWEEP,
            _ => 0.0,
        },
        // As long as `cloudupload::obs` waits for the next byte.
        Break::Obs(ObsFault::Silent) => 30.0,
        Break::Obs(ObsFault::SilentTwice) => 60.0,
        _ => 0.0,
    }
}

/// What of an outcome does not meet the bar, times aside.
pub fn misses(cell: &Cell, outcome: &Outcome) -> Vec<String> {
    let mut misses = Vec::new();
    if outcome.hits == 0 && cell.has_to_hit() {
        misses.push("the fault did not hit: an error of the matrix".to_owned());
    }
    let wanted = end(cell);
    let reason = &outcome.reason;
    let refused = outcome.end.starts_with('5');
    let met = match wanted {
        End::Succeeded => outcome.end == "succeeded",
        End::Killed => outcome.end == "failed" && reason == "killed",
        End::KilledIfOpen => {
            outcome.end == "succeeded" || outcome.end == "failed" && reason == "killed"
        }
        End::Failed(words) => outcome.end == "failed" && reason.contains(words),
        End::Denied(call) => outcome.end == "failed" && tells_denied(reason, call),
        End::Answered => outcome.end == "200",
        End::Refused => refused,
        End::RefusedFor(call) => refused && tells_denied(reason, call),
    };
    if !met {
        misses.push(format!(
            "it has to be {wanted:?}, and is {}: {reason}",
            outcome.end
        ));
    }
    if !outcome.left_for_good.is_empty() {
        misses.push(format!("left behind: {}", outcome.left_for_good.join(", ")));
    }
    misses
}

/// What of a run took too long.
pub fn late(cell: &Cell, outcome: &Outcome) -> Vec<String> {
    let mut misses = Vec::new();
    if outcome.seconds > budget(cell) {
        misses.push(format!(
            "it took {:.0} s, its budget is {:.0} s",
            outcome.seconds,
            budget(cell)
        ));
    }
    if outcome
        .stopped
        .is_some_and(|seconds| seconds > STOPS_WITHIN)
    {
        misses.push(format!("it did not stop within {STOPS_WITHIN} s"));
    }
    misses
}
