//! What is to be done about a job that is not settled.

use std::time::Duration;

use cloudupload::{
    clock::Timestamp,
    job::{Job, LATE_WRITERS, State, TaskToken},
    machine::{Ending, Execution},
    messages::Caught,
    store::Holder,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody is at it, or it is not time yet.
    Fine,
    /// Its execution waits, although the job is final: whoever killed it did not come to tell it.
    Wake(TaskToken),
    /// Its execution waits, although the file was pushed: whoever said so did not come to tell it.
    GoOn(TaskToken),
    /// Nobody has gone on with the push of its file, for too long.
    GiveUp,
    /// Nothing works on it: it has to be finished, for this reason if it is still open.
    Finish(Caught),
}

/// The time that a create call may take from the record to the execution, with room: API Gateway gives up after 30 s. Its
/// caller was told of an error, and asks again.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// The time that whoever made a job final may take to tell what waits, or to clean up.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);

/// The time between clean-ups that could not remove everything: as long as it took until the last, between these.
const SHORTEST_PAUSE: Duration = Duration::from_secs(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// The time without a part after which a push is given up.
const PUSH_GOES_ON_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Why a job has failed whose push was given up.
pub const GIVEN_UP: &str = "no part of the file was pushed for 24 hours: create another job";

pub fn verdict(job: &Job, execution: Execution, now: Timestamp) -> Verdict {
    if !job.state.is_final() {
        if job
            .pushed_last()
            .is_some_and(|last| now >= last + PUSH_GOES_ON_WITHIN)
        {
            return Verdict::GiveUp;
        }
        return match execution {
            Execution::Running => match &job.token {
                Some(token) if job.state == State::Receiving && job.artifacts.pushed() => {
                    Verdict::GoOn(token.clone())
                }
                _ => Verdict::Fine,
            },
            Execution::Missing if now < job.created + STARTS_WITHIN => Verdict::Fine,
            Execution::Missing => finish("the upload was not started: ask for it again"),
            Execution::Over {
                ending: Ending::Failed | Ending::Aborted,
                error: Some(error),
            } => Verdict::Finish(error),
            Execution::Over { ending, .. } => finish(ending.reason()),
        };
    }
    let ended = job.ended.unwrap_or(job.created);
    let follows = now < ended + FOLLOWS_WITHIN;
    match (execution, job.cleaned, &job.token) {
        (Execution::Running, _, Some(token)) if !follows => Verdict::Wake(token.clone()),
        (Execution::Running, ..) => Verdict::Fine,
        (_, None, _) if follows => Verdict::Fine,
        (_, Some(cleaned), _) if now < next_look(ended, cleaned.at, cleaned.complete) => {
            Verdict::Fine
        }
        _ => finish("the job is final"),
    }
}

/// The time within which a job that was granted a slot goes on: longer than the workflow waits for a function that is
/// throttled.
const GOES_ON_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// Whether a job that runs has a slot and will never use it, however often it is told: its execution waits for another
/// token than the one in the record.
pub fn is_stuck(job: &Job, holder: &Holder, now: Timestamp) -> bool {
    job.state == State::Scheduled && holder.begun.is_none() && now >= holder.since + GOES_ON_WITHIN
}

fn finish(reason: &str) -> Verdict {
    Verdict::Finish(Caught::because(reason))
}

fn next_look(ended: Timestamp, cleaned: Timestamp, complete: bool) -> Timestamp {
    match complete {
        true => ended + LATE_WRITERS,
        false => cleaned + cleaned.since(ended).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use cloudupload::job::{CLEAN_UP_BUDGET, CleanUpNote, Source};
    use serde_json::json;

    use super::*;

    const CREATED: Timestamp = Timestamp::from_secs(1_000_000);
    const ENDED: Timestamp = Timestamp::from_secs(1_000_500);
    const SECOND: Duration = Duration::from_secs(1);

    fn job(state: State) -> Job {
        let job = json!({
            "id": "17", "state": state, "details": "", "created": CREATED,
            "order": {
                "user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images",
                "package": "leap-ec2", "arch": "x86_64", "filename": "leap.raw.xz", "size": 1,
                "ec2": {
                    "role": "arn:aws:iam::123456789012:role/obs", "external_id": "id", "region": "us-east-1",
                    "ami_name": "leap",
                },
            },
            "work": {"staging_began": CREATED},
        });
        serde_json::from_value(job).unwrap()
    }

    fn ended(state: State, cleaned: Option<(Timestamp, bool)>) -> Job {
        Job {
            ended: Some(ENDED),
            cleaned: cleaned.map(|(at, complete)| CleanUpNote { at, complete }),
            ..job(state)
        }
    }

    fn over(ending: Ending) -> Execution {
        Execution::Over {
            ending,
            error: None,
        }
    }

    fn gone() -> [Execution; 5] {
        [
            Execution::Missing,
            over(Ending::Succeeded),
            over(Ending::Failed),
            over(Ending::TimedOut),
            over(Ending::Aborted),
        ]
    }

    #[track_caller]
    fn assert_finish(job: &Job, execution: Execution, now: Timestamp) {
        let verdict = verdict(job, execution, now);
        assert!(matches!(verdict, Verdict::Finish(_)), "{verdict:?}");
    }

    #[track_caller]
    fn assert_fine(job: &Job, execution: Execution, now: Timestamp) {
        assert_eq!(verdict(job, execution, now), Verdict::Fine);
    }

    #[test]
    fn an_open_job_that_runs_is_left_alone() {
        for state in State::OPEN {
            assert_fine(
                &job(state),
                Execution::Running,
                CREATED + Duration::from_secs(100_000),
            );
        }
    }

    #[test]
    fn an_open_job_that_was_never_started_is_finished_once_its_caller_has_given_up() {
        let job = job(State::Created);
        assert_fine(&job, Execution::Missing, CREATED + (STARTS_WITHIN - SECOND));
        assert_finish(&job, Execution::Missing, CREATED + STARTS_WITHIN);
    }

    #[test]
    fn an_open_job_whose_execution_died_is_finished_at_once() {
        for state in State::OPEN {
            for execution in gone().into_iter().skip(1) {
                assert_finish(&job(state), execution, CREATED);
            }
        }
    }

    #[test]
    fn the_reason_is_that_of_the_execution() {
        let reason = |execution| match verdict(&job(State::Uploading), execution, CREATED) {
            Verdict::Finish(caught) => caught.reason(),
            verdict => panic!("{verdict:?}"),
        };
        assert_eq!(
            reason(over(Ending::Aborted)),
            "the workflow was stopped by hand"
        );
        let denied = Caught {
            error: "JobFailed".to_owned(),
            cause: Some(
                r#"{"errorType": "JobFailed", "errorMessage": "dynamodb:GetItem failed"}"#
                    .to_owned(),
            ),
        };
        let execution = Execution::Over {
            ending: Ending::Failed,
            error: Some(denied),
        };
        assert_eq!(reason(execution), "dynamodb:GetItem failed");
    }

    #[test]
    fn a_push_that_nobody_goes_on_with_is_given_up() {
        let mut job = job(State::Receiving);
        let day = Duration::from_secs(24 * 3600);
        assert_fine(&job, Execution::Running, CREATED + day);
        job.request.source = Source::Push;
        let verdict_at = |job: &Job, after| verdict(job, Execution::Running, CREATED + after);
        assert_eq!(verdict_at(&job, day - SECOND), Verdict::Fine);
        assert_eq!(verdict_at(&job, day), Verdict::GiveUp);
        job.reported = Some((CREATED + day).as_secs() * 1000);
        assert_eq!(verdict_at(&job, day), Verdict::Fine);
        assert_eq!(verdict_at(&job, 2 * day), Verdict::GiveUp);
        let token = TaskToken("t".to_owned());
        job.token = Some(token.clone());
        job.artifacts.push.pushed = Some(7.into());
        assert_eq!(verdict_at(&job, 2 * day), Verdict::GoOn(token));
        // Now the token is that of the wait for a slot.
        job.state = State::Scheduled;
        assert_eq!(verdict_at(&job, 2 * day), Verdict::Fine);
    }

    #[test]
    fn a_slot_that_nobody_uses_is_stuck() {
        let held = |begun: Option<Timestamp>| -> Holder {
            serde_json::from_value(json!({
                "job": 17, "user": "tom", "execution": "arn", "since": CREATED, "begun": begun,
            }))
            .unwrap()
        };
        let (job, late) = (job(State::Scheduled), CREATED + GOES_ON_WITHIN);
        assert!(is_stuck(&job, &held(None), late));
        assert!(!is_stuck(
            &job,
            &held(None),
            CREATED + (GOES_ON_WITHIN - SECOND)
        ));
        assert!(!is_stuck(&job, &held(Some(CREATED)), late));
        assert!(!is_stuck(&ended(State::Failed, None), &held(None), late));
    }

    #[test]
    fn a_final_job_that_waits_is_woken() {
        let mut job = ended(State::Failed, None);
        let now = ENDED + FOLLOWS_WITHIN;
        let before = ENDED + (FOLLOWS_WITHIN - SECOND);
        assert_fine(&job, Execution::Running, now);
        let token = TaskToken("AQC8".to_owned());
        job.token = Some(token.clone());
        assert_fine(&job, Execution::Running, before);
        let woken = verdict(&job, Execution::Running, now);
        assert_eq!(woken, Verdict::Wake(token));
    }

    #[test]
    fn a_final_job_that_nobody_cleans_up_is_finished() {
        for state in State::FINAL {
            for execution in gone() {
                let now = ENDED + FOLLOWS_WITHIN;
                let before = ENDED + (FOLLOWS_WITHIN - SECOND);
                assert_fine(&ended(state, None), execution.clone(), before);
                assert_finish(&ended(state, None), execution, now);
            }
        }
    }

    #[test]
    fn a_failure_gets_its_second_look_when_nothing_of_it_can_still_run() {
        let job = ended(State::Failed, Some((ENDED + SECOND, true)));
        for execution in gone() {
            assert_fine(&job, execution.clone(), ENDED + (LATE_WRITERS - SECOND));
            assert_finish(&job, execution, ENDED + LATE_WRITERS);
        }
    }

    /// What cannot be removed is tried again ever more seldom, and not for ever.
    #[test]
    fn what_is_left_is_tried_again() {
        let mut looks = 0;
        let mut at = ENDED + SECOND;
        loop {
            let job = ended(State::Failed, Some((at, false)));
            if job.is_settled() {
                break;
            }
            assert_fine(&job, over(Ending::Failed), at + (SHORTEST_PAUSE - SECOND));
            let next = at + at.since(ENDED).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            assert_finish(&job, over(Ending::Failed), next);
            (at, looks) = (next, looks + 1);
        }
        assert!(at.since(ENDED) >= CLEAN_UP_BUDGET);
        assert!((5..20).contains(&looks), "{looks} looks");
    }
}
