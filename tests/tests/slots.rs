//! At most four jobs upload at a time, two of one user, in the order of their numbers.

use std::collections::BTreeSet;

use tests::{Fault, FaultClient, JobId, Queue, Rule, RuleGuard, Stack, function, until};

/// All in one test: each job that has a slot affects which jobs wait.
#[tokio::test]
async fn who_waits_and_who_uploads() {
    let stack = Stack::new().await;
    // Each job that has a slot stays in `uploading` until this is dropped.
    let hold = hold_uploads().await;
    let jobs = create_jobs(&stack).await;
    let [tom1, tom2, tom3, tim1, tam1, tam2, tom4] = jobs;
    assert_eq!(
        held(&stack).await,
        BTreeSet::from([tom1, tom2, tim1, tam1]),
        "tom is at its limit and holds back nobody"
    );
    for (id, state) in [
        (tom1, "uploading"),
        (tom3, "scheduled"),
        (tam2, "scheduled"),
    ] {
        stack.wait_for_state(id, state).await;
    }
    for (id, why) in [
        (tom3, "2 uploads of slots-tom are at work"),
        (tam2, "4 uploads are at work"),
    ] {
        let line = format!("Waiting for a slot: {why}");
        assert_eq!(stack.logs(id, &line).await, Ok(()));
    }

    // One that waits is killed: it leaves the queue, and the others keep their order.
    stack.kill(tom3).await;
    let job = stack.failure(tom3).await;
    assert_eq!(job.details(), "killed");

    // A slot becomes free: the first job whose user is below the limit gets it.
    stack.kill(tom2).await;
    stack.failure(tom2).await;
    stack.wait_for_state(tam2, "uploading").await;
    assert_eq!(held(&stack).await, BTreeSet::from([tom1, tim1, tam1, tam2]));

    drop(hold);
    for id in [tom1, tim1, tam1, tam2, tom4] {
        let job = stack.success(id).await;
        assert_eq!(stack.leftovers(&job).await, Vec::<String>::new());
    }
    assert_eq!(stack.queue().await, Queue::default());
}

async fn hold_uploads() -> RuleGuard {
    let hold = Rule::of_function(function::PREPARE, "sts:AssumeRole", Fault::Hold);
    FaultClient::from_env().add(hold.for_all()).await
}

/// Three jobs of tom, one of tim, two of tam, and another one of tom.
async fn create_jobs(stack: &Stack) -> [JobId; 7] {
    let tom = stack.built_disk("slots-tom").await;
    let tim = stack.built_disk("slots-tim").await;
    let tam = stack.built_disk("slots-tam").await;
    let mut jobs = Vec::new();
    for (number, of) in [&tom, &tom, &tom, &tim, &tam, &tam, &tom]
        .iter()
        .enumerate()
    {
        let mut upload = (*of).clone();
        let name = upload.body["ami_name"].as_str().unwrap_or_default();
        upload.body["ami_name"] = format!("{name} {number}").into();
        jobs.push(stack.create(&upload).await.id());
        // It has to be in the queue before the next, so that they arrive in the order of their numbers.
        let arrived = async || match stack.queue().await {
            queue if jobs.iter().all(|&id| queue.contains(id)) => Ok(()),
            queue => Err(queue),
        };
        until(&format!("{jobs:?} are in the queue"), arrived).await;
    }
    jobs.try_into().expect("seven jobs were created")
}

async fn held(stack: &Stack) -> BTreeSet<JobId> {
    stack.queue().await.held.into_keys().collect()
}
