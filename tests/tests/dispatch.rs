//! The slots with many dispatchers at once, of which some die, while calls fail.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use cloudupload::{
    dispatch::Dispatcher,
    job::{Creator, Job, JobId, Owner, State, TaskToken, UploadRequest},
    machine::TaskTokens,
    store::{Jobs, Limits, Queued, Slots, StoreError, Waiter},
};
use serde_json::json;
use tests::{Fault, FaultClient, Rule, RuleGuard, env_var, unique, until};
use tokio::{task::JoinSet, time::sleep};

/// Tables of their own, reached through the proxy.
struct World {
    jobs: Jobs,
    slots: Slots,
    slots_table: String,
    tokens: TaskTokens,
}

impl World {
    async fn new() -> Self {
        // As many attempts as in a step: five failures may hit the same call.
        let retries = RetryConfig::standard().with_max_attempts(9);
        let own = aws_config::defaults(BehaviorVersion::latest()).retry_config(retries);
        let own = own.load().await;
        let proxy = env_var("FAULTS_URL");
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&own).endpoint_url(&proxy);
        let states = aws_sdk_sfn::config::Builder::from(&own).endpoint_url(&proxy);
        let (jobs_table, slots_table) =
            (format!("jobs-{}", unique()), format!("slots-{}", unique()));
        make_table(&own, &jobs_table, &[("id", ScalarAttributeType::S)]).await;
        let keys = [
            ("kind", ScalarAttributeType::S),
            ("job", ScalarAttributeType::N),
        ];
        make_table(&own, &slots_table, &keys).await;
        let jobs = Jobs::new(
            aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            jobs_table,
        );
        Self {
            slots: Slots::new(jobs.clone(), slots_table.clone()),
            tokens: TaskTokens::new(aws_sdk_sfn::Client::from_conf(states.build())),
            jobs,
            slots_table,
        }
    }

    fn dispatcher(&self, limits: Limits) -> Dispatcher {
        Dispatcher {
            slots: self.slots.clone(),
            limits,
            tokens: self.tokens.clone(),
        }
    }

    /// A job that has been received.
    async fn job(&self, user: &str) -> Job {
        let request = request(user);
        let creator = Creator {
            caller: None,
            owner: Owner::Obs(request.user.clone()),
        };
        let job = self
            .jobs
            .create(
                request,
                creator,
                JobId::new(1).expect("1 is a number of a job"),
            )
            .await
            .expect("a job is created");
        for state in [State::Receiving, State::Scheduled] {
            let advanced = self.jobs.advance(job.id, state, "").await;
            advanced.expect("nobody else moves the job");
        }
        job
    }

    /// Puts the job in the queue.
    async fn wait(&self, job: &Job) {
        let token = TaskToken(format!("token of job {}", job.id));
        let placed = self.slots.wait(&waiter(job), &token).await;
        placed.expect("the job is open");
    }

    /// Ends the job, and gives its slot back.
    async fn end(&self, id: JobId) {
        let failed = self.jobs.fail(id, "over").await;
        failed.expect("the job is open");
        self.slots.release(id).await.expect("the job is final");
    }
}

fn waiter(job: &Job) -> Waiter {
    Waiter {
        job: job.id,
        user: job.request.user.clone(),
        owner: job.owner.clone(),
        execution: job.id.execution_name(),
        since: job.created,
        places: Vec::new(),
    }
}

async fn make_table(config: &SdkConfig, name: &str, keys: &[(&str, ScalarAttributeType)]) {
    let mut table = aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for ((key, of), kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder()
            .attribute_name(*key)
            .attribute_type(of.clone());
        let element = KeySchemaElement::builder()
            .attribute_name(*key)
            .key_type(kind);
        table = table
            .attribute_definitions(attribute.build().expect("name and type are set"))
            .key_schema(element.build().expect("name and type are set"));
    }
    table.send().await.expect("DynamoDB makes tables");
}

fn request(user: &str) -> UploadRequest {
    let request = json!({
        "user": user, "target": "ec2", "project": "Cloud:Images", "repository": "images", "package": "leap",
        "arch": "x86_64", "filename": "leap.raw.xz", "size": 1,
        "ec2": {
            "role": "arn:aws:iam::111122223333:role/obs", "external_id": "id", "region": "us-east-1",
            "ami_name": "leap",
        },
    });
    serde_json::from_value(request).expect("this is a request")
}

/// Dispatches, and dies on the way in about half of all cases: after some of its steps, so that a slow machine gets as
/// far as a fast one.
async fn dispatch_and_perhaps_die(dispatcher: &Dispatcher) {
    let mut run = pin!(dispatcher.run());
    let mut steps = fastrand::u32(1..STEPS);
    poll_fn(|context| {
        steps -= 1;
        match steps {
            0 => Poll::Ready(()),
            _ => run.as_mut().poll(context).map(drop),
        }
    })
    .await;
}

/// Twice what a dispatcher takes on average.
const STEPS: u32 = 50;

const LIMITS: Limits = Limits {
    total: 4,
    per_user: 2,
};
const JOBS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_is_granted_twice_and_none_is_lost() {
    let world = Arc::new(World::new().await);
    let rules = break_transactions(&world).await;
    let uploads = Arc::new(Uploads::default());
    let mut jobs = JoinSet::new();
    for number in 0..JOBS {
        let (world, uploads) = (world.clone(), uploads.clone());
        jobs.spawn(async move { run_job(&world, &uploads, number).await });
    }
    tokio::select! {
        ended = jobs.join_all() => assert_eq!(ended.len(), JOBS),
        () = sweep_and_watch(&world) => {}
    }
    let began = uploads.began.lock().expect("no panic").clone();
    assert_eq!(began.len(), JOBS);
    assert!(began.values().all(|&times| times == 1), "{began:?}");
    let held = world.slots.held().await.expect("DynamoDB answers");
    assert!(held.is_empty(), "{held:?}");
    let (waiting, _) = world.slots.waiting(None).await.expect("DynamoDB answers");
    assert!(waiting.is_empty(), "{waiting:?}");
    let mut hits = 0;
    for rule in rules {
        hits += rule.hits().await;
    }
    assert_eq!(hits, 25, "every fault came to pass");
}

/// Makes 25 transactions fail.
async fn break_transactions(world: &World) -> Vec<RuleGuard> {
    let faults = FaultClient::from_env();
    let mut rules = Vec::new();
    for (fault, skip) in [
        (Fault::Throttle, 5),
        (Fault::ServerError, 20),
        (Fault::DropAnswer, 10),
        (Fault::DropAnswer, 40),
        (Fault::DropAnswer, 70),
    ] {
        let rule = Rule {
            text: Some(world.slots_table.clone()),
            skip,
            times: Some(5),
            ..Rule::new("dynamodb:TransactWriteItems", fault)
        };
        rules.push(faults.add(rule).await);
    }
    rules
}

#[derive(Default)]
struct Uploads {
    at_work: AtomicUsize,
    /// The number of times that each job began.
    began: Mutex<BTreeMap<JobId, usize>>,
}

/// A job from its arrival in the queue until it has given its slot back.
async fn run_job(world: &World, uploads: &Uploads, number: usize) {
    let dispatcher = world.dispatcher(LIMITS);
    let job = world.job(&format!("user{}", number % 5)).await;
    world.wait(&job).await;
    dispatch_and_perhaps_die(&dispatcher).await;
    // Without a slot, it cannot begin.
    let begins = async || match world.slots.begin(job.id, "").await {
        Err(refused @ StoreError::NotHeld(_)) => Err(refused),
        begun => {
            begun.expect("the job is open");
            Ok(())
        }
    };
    until(&format!("a slot for job {}", job.id), begins).await;
    assert!(uploads.at_work.fetch_add(1, Ordering::SeqCst) < LIMITS.total);
    let early = world.slots.release(job.id).await;
    assert!(matches!(early, Err(StoreError::NotFinal(_))), "{early:?}");
    *uploads
        .began
        .lock()
        .expect("no panic")
        .entry(job.id)
        .or_default() += 1;
    sleep(Duration::from_millis(fastrand::u64(1..50))).await;
    uploads.at_work.fetch_sub(1, Ordering::SeqCst);
    world.end(job.id).await;
    dispatch_and_perhaps_die(&dispatcher).await;
}

/// Dispatches now and then, as the sweeper does, and looks who holds what. Never returns.
async fn sweep_and_watch(world: &World) {
    let dispatcher = world.dispatcher(LIMITS);
    loop {
        // A consistent read: it shows the slots of one instant.
        let held = world.slots.held().await.expect("DynamoDB answers");
        assert!(held.len() <= LIMITS.total, "{held:?}");
        for holder in &held {
            let of_user = held.iter().filter(|other| other.user == holder.user);
            assert!(of_user.count() <= LIMITS.per_user, "{held:?}");
        }
        if fastrand::u8(0..10) == 0 {
            dispatch_and_perhaps_die(&dispatcher).await;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn slots_are_granted_in_the_order_of_numbers() {
    let world = World::new().await;
    let one = world.dispatcher(Limits {
        total: 1,
        per_user: 1,
    });
    let mut jobs = Vec::new();
    for user in ["tom", "tim", "tom", "tam", "tim"] {
        jobs.push(world.job(user).await);
    }
    let in_order: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    fastrand::shuffle(&mut jobs);
    for job in &jobs {
        world.wait(job).await;
    }
    let mut granted = Vec::new();
    while granted.len() < jobs.len() {
        let held = one.run().await.expect("DynamoDB answers");
        let [holder] = &held[..] else {
            panic!("one slot, one holder: {held:?}");
        };
        assert_eq!(holder.execution, holder.job.execution_name());
        granted.push(holder.job);
        world.end(holder.job).await;
    }
    assert_eq!(granted, in_order);
}

#[tokio::test]
async fn a_job_that_ended_while_it_waited_gets_no_slot() {
    let world = World::new().await;
    let dispatcher = world.dispatcher(LIMITS);
    let (gone, next) = (world.job("tom").await, world.job("tom").await);
    world.wait(&gone).await;
    world.wait(&next).await;
    world
        .jobs
        .fail(gone.id, Job::KILLED)
        .await
        .expect("the job is open");
    let held = dispatcher.run().await.expect("DynamoDB answers");
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].job, next.id);
    let refused = world.slots.begin(gone.id, "").await;
    assert!(
        matches!(&refused, Err(StoreError::Superseded(job)) if job.details == "killed"),
        "{refused:?}"
    );
    // A step that runs twice, with another token, keeps what the job has.
    let token = TaskToken("another".to_owned());
    let placed = world.slots.wait(&waiter(&next), &token).await;
    assert_eq!(placed.expect("the job is open"), Queued::Held);
    let job = world.jobs.get(next.id).await.expect("the job is there");
    assert_eq!(job.token, Some(token));
}
