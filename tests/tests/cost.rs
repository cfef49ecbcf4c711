//! What a job's log says that it cost rests on what was counted, and what was counted is what the proxy saw.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use tests::{
    FaultClient, JobId,
    Route::{self, Copy, Direct, Import},
    Stack, disk, function,
};

/// Calls of `finish` after it wrote the lines, which are therefore in the record but not in the log: the line itself, the
/// last state, the slot and who gets it next, the clean-up's note, and the usage.
const AFTER_THE_LINES: std::ops::RangeInclusive<u64> = 5..=14;

/// Calls that the proxy saw and nobody waited for the answer: a step that is done gives up its question whether its job is
/// open, and `transfer` its look at the other writers.
const GIVEN_UP: u64 = 2;

/// What a job used, by its record.
struct Record(HashMap<String, AttributeValue>);

impl Record {
    /// Zero is not written.
    fn number(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |value| {
            let number = value.as_n().expect("it is a number");
            number.parse().expect("it counts something")
        })
    }
}

/// The line of the log that begins so.
fn line<'a>(log: &'a str, beginning: &str) -> &'a str {
    let mut lines = log.lines().filter(|line| line.starts_with(beginning));
    match (lines.next(), lines.next()) {
        (Some(line), None) => line,
        found => panic!("not one line {beginning:?}, but {found:?} in\n{log}"),
    }
}

/// The numbers of calls that a log tells: by the user's role, and by the service.
fn calls_told(log: &str) -> (u64, u64) {
    let line = line(log, "Calls to AWS: ");
    let numbers: Vec<u64> = line
        .split([' ', ':', ',', ';'])
        .filter_map(|word| word.parse().ok())
        .collect();
    // The account's number is the second.
    (numbers[0], numbers[2])
}

/// The calls that the proxy saw for the job's steps, by name.
async fn calls_seen(id: JobId) -> HashMap<String, u64> {
    let mut seen = HashMap::new();
    for counted in FaultClient::from_env().calls_for(id).await {
        let function = counted.function.unwrap_or_default();
        if ![function::API, function::SWEEP].contains(&function.as_str()) {
            *seen.entry(counted.call).or_default() += u64::from(counted.count);
        }
    }
    seen
}

async fn assert_counted(stack: &Stack, route: Route) {
    let upload = stack.built_disk(&format!("cost-{route}")).await.via(route);
    let job = stack.create(&upload).await;
    let job = stack.success(job.id()).await;
    let log = stack.log(job.id()).await;
    let record = Record(stack.record(job.id()).await);

    let seen = calls_seen(job.id()).await;
    let (user, own) = (record.number("user_calls"), record.number("own_calls"));
    let given_up = seen.values().sum::<u64>().checked_sub(user + own);
    assert!(
        given_up.is_some_and(|calls| calls <= GIVEN_UP),
        "{route}: {user} + {own} of {seen:?}"
    );
    let (user_told, own_told) = calls_told(&log);
    assert_eq!(user_told, user, "{route}\n{log}");
    let untold = own - own_told;
    assert!(
        AFTER_THE_LINES.contains(&untold),
        "{route}: {untold}\n{log}"
    );

    let of_service = |service: &str| {
        let calls = seen.iter().filter(|(call, _)| call.starts_with(service));
        calls.map(|(_, count)| count).sum::<u64>()
    };
    let own_services = ["dynamodb:", "logs:", "states:", "sts:"].map(of_service);
    let at_least = own_services.iter().sum::<u64>();
    let blocks = (record.number("user_blocks"), record.number("own_blocks"));
    match route {
        // Both accounts have calls to S3, but by `copy` it is only the staging bucket's owner who has, but for the
        // preflight's question about the user's bucket.
        Direct => {
            let asked = u64::from(seen.contains_key("s3:HeadBucket"));
            assert_eq!(user, of_service("ec2:") + of_service("ebs:") + asked);
            assert!(blocks.0 > 0 && blocks.1 == 0, "{blocks:?}");
            assert!(log.contains(&format!("Wrote {} blocks", blocks.0)), "{log}");
        }
        Copy => {
            assert!(blocks.0 == 0 && blocks.1 > 0, "{blocks:?}");
            assert!(log.contains(&format!("Wrote {} blocks", blocks.1)), "{log}");
        }
        Import => {
            assert_eq!(blocks, (0, 0));
            assert!(record.number("user_s3_writes") > 0);
        }
    }
    assert!(own >= at_least, "{route}: {own} of {at_least}");

    let entered = stack.states_entered(job.id()).await;
    assert_eq!(record.number("transitions"), entered, "{route}");
    let (sent, abroad) = (record.number("sent"), record.number("sent_abroad"));
    // The user's region is another than the service's, which has the staged file.
    let staged = disk::disk().await.xz.len() as u64;
    assert!(abroad > (blocks.0 + blocks.1) << 19, "{abroad} {blocks:?}");
    assert!(sent > staged + abroad, "{sent} {abroad}");
    assert!(record.number("fetched") >= staged);
    assert!(record.number("function_mib_ms") >= 256 * record.number("function_ms"));
    let cost = line(&log, "Cost: ");
    assert!(cost.contains(" in account "), "{cost}");
    assert!(cost.contains("cents in the service's"), "{cost}");
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    assert!(lines[0].starts_with("Upload took: "), "{log}");
    assert_eq!(lines[1], cost);
    assert!(lines[2].starts_with("Calls to AWS: "), "{log}");
}

#[tokio::test]
async fn of_a_success_by_each_route() {
    let stack = Stack::new().await;
    for route in Route::ALL {
        assert_counted(&stack, route).await;
    }
}

#[tokio::test]
async fn of_a_job_that_failed() {
    let stack = Stack::new().await;
    let upload = stack.upload("cost-failed", "disk.raw.xz");
    let xz = &disk::disk().await.xz;
    stack.build(&upload, &xz[..xz.len() * 2 / 3]).await;
    let job = stack.create(&upload).await;
    let job = stack.failure(job.id()).await;
    let log = stack.log(job.id()).await;
    let (user, own) = calls_told(&log);
    assert!(user > 0 && own > 0, "{log}");
    line(&log, "Cost: ");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("Upload took: "), "{log}");
}

#[tokio::test]
async fn of_a_job_that_was_killed() {
    let stack = Stack::new().await;
    let (id, rule) = stack
        .stalled("cost-killed", function::TRANSFER, "ebs:PutSnapshotBlock")
        .await;
    stack.kill(id).await;
    drop(rule);
    stack.failure(id).await;
    let log = stack.log(id).await;
    let (user, own) = calls_told(&log);
    assert!(user > 0 && own > 0, "{log}");
    line(&log, "Cost: ");
}
