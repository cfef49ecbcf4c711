//! At most four jobs upload at a time, two of one user, in the order of their numbers.

use std::collections::BTreeSet;

use tests::{Fault, Faults, Job, Rule, Stack, Upload, disk, until};

async fn build(stack: &Stack, user: &str) -> Upload {
    let upload = stack.upload(user, "disk.raw.xz");
    stack.build(&upload, &disk::disk().await.xz).await;
    upload
}

/// Another AMI name each, and the number of the job.
async fn create(stack: &Stack, upload: &Upload, number: usize) -> u32 {
    let mut upload = upload.clone();
    let name = upload.body["ami_name"].as_str().unwrap_or_default();
    upload.body["ami_name"] = format!("{name} {number}").into();
    let job = stack.create(&upload).await;
    job.id().parse().expect("a job's id is a number")
}

/// All in one test: whatever has a slot has an influence on what waits.
#[tokio::test]
async fn who_waits_and_who_uploads() {
    let stack = Stack::new().await;
    let faults = Faults::from_env();
    let [tom, tim, tam] = ["slots-tom", "slots-tim", "slots-tam"];
    // Whoever has a slot stays in `uploading` until it is let go.
    let hold = faults
        .rule(Rule {
            function: Some("prepare".to_owned()),
            times: None,
            ..Rule::new("sts:AssumeRole", Fault::Hold)
        })
        .await;

    let uploads = [
        build(&stack, tom).await,
        build(&stack, tim).await,
        build(&stack, tam).await,
    ];
    let mut jobs = Vec::new();
    for (number, user) in [0, 0, 0, 1, 2, 2, 0].into_iter().enumerate() {
        jobs.push(create(&stack, &uploads[user], number).await);
        // Until it is in the queue, so that the order of arrival is that of the numbers.
        let arrived = async || {
            let queue = stack.queue().await;
            let has = |id| queue.held.contains_key(id) || queue.waiting.contains_key(id);
            jobs.iter().all(has).then_some(()).ok_or(queue)
        };
        until(&format!("{jobs:?} are in the queue"), arrived).await;
    }
    let [tom1, tom2, tom3, tim1, tam1, tam2, tom4] = jobs[..] else {
        unreachable!("seven jobs were created");
    };
    let held = async || -> BTreeSet<u32> { stack.queue().await.held.into_keys().collect() };
    assert_eq!(
        held().await,
        BTreeSet::from([tom1, tom2, tim1, tam1]),
        "tom is at its limit and holds back nobody"
    );
    for (id, state) in [
        (tom1, "uploading"),
        (tom3, "scheduled"),
        (tam2, "scheduled"),
    ] {
        stack
            .wait(&id.to_string(), |job| job.state() == state)
            .await;
    }
    let log = stack.log(&tom3.to_string()).await;
    assert!(
        log.contains("Waiting for a slot: 2 uploads of slots-tom are at work"),
        "{log}"
    );
    let log = stack.log(&tam2.to_string()).await;
    assert!(
        log.contains("Waiting for a slot: 4 uploads are at work"),
        "{log}"
    );

    // One that waits is killed: it goes from the queue, and the others keep their order.
    stack.kill(&tom3.to_string()).await;
    let job = stack.failure(&tom3.to_string()).await;
    assert_eq!(job.details(), "killed");

    // A slot comes free: the next of whoever is below its limit gets it.
    stack.kill(&tom2.to_string()).await;
    stack.failure(&tom2.to_string()).await;
    stack
        .wait(&tam2.to_string(), |job| job.state() == "uploading")
        .await;
    assert_eq!(held().await, BTreeSet::from([tom1, tim1, tam1, tam2]));

    drop(hold);
    for id in [tom1, tim1, tam1, tam2, tom4] {
        let job: Job = stack.success(&id.to_string()).await;
        assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    }
    assert_eq!(stack.queue().await, tests::Queue::default());
}
