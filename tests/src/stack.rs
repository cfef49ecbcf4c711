use std::{
    collections::{BTreeMap, HashMap},
    env,
    fmt::Debug,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_ec2::{config::Credentials, types::Image};
use aws_sdk_sfn::types::ExecutionStatus;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::{Value, json};
use tokio::{fs, process::Command};

use crate::{Fault, Faults, Job, Laid, Rule, disk};

/// The local stack.
pub struct Stack {
    pub http: Client,
    pub url: String,
    /// Clients that look into the user's account, in the region of the uploads.
    pub ec2: aws_sdk_ec2::Client,
    pub s3: aws_sdk_s3::Client,
    /// Clients of the service's own account.
    pub own_s3: aws_sdk_s3::Client,
    pub sfn: aws_sdk_sfn::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The region of the uploads.
    pub region: String,
}

/// Jobs by the state of their slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Jobs that have a slot, and their users.
    pub held: BTreeMap<u32, String>,
    /// Jobs that wait for one, and their users.
    pub waiting: BTreeMap<u32, String>,
}

/// An upload to ask for.
#[derive(Clone, Debug)]
pub struct Upload {
    pub user: String,
    pub project: String,
    pub repository: String,
    pub arch: String,
    pub package: String,
    pub filename: String,
    pub body: Value,
}

/// A variable that `infra/local/stack up` writes.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need the local stack, so run them with `make test`")
    })
}

/// How long a test waits for anything: far longer than it takes on a machine that is slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// What `look` finds in the end; until then it answers with what there is instead, which a panic tells after five minutes.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    match sought(look).await {
        Ok(found) => found,
        Err(instead) => panic!("{what}: not within {PATIENCE:?}, but {instead:?}"),
    }
}

async fn sought<T, E, F: Future<Output = Result<T, E>>>(mut look: impl FnMut() -> F) -> F::Output {
    let began = Instant::now();
    loop {
        match look().await {
            Err(_) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            found => return found,
        }
    }
}

impl Stack {
    pub async fn new() -> Self {
        Self::in_region(&variable("USER_REGION")).await
    }

    /// The same for uploads into another region.
    pub async fn in_region(region: &str) -> Self {
        let own = aws_config::load_defaults(BehaviorVersion::latest()).await;
        // The emulator takes an access key of twelve digits for that account's root.
        let user = own
            .to_builder()
            .region(Region::new(region.to_owned()))
            .credentials_provider(aws_sdk_ec2::config::SharedCredentialsProvider::new(
                Credentials::new(variable("USER_ACCOUNT"), "test", None, None, "tests"),
            ))
            .build();
        Self::with(&own, &user, region)
    }

    fn with(own: &SdkConfig, user: &SdkConfig, region: &str) -> Self {
        Self {
            http: Client::new(),
            url: variable("CLOUDUPLOAD_URL"),
            ec2: aws_sdk_ec2::Client::new(user),
            s3: aws_sdk_s3::Client::new(user),
            own_s3: aws_sdk_s3::Client::new(own),
            sfn: aws_sdk_sfn::Client::new(own),
            dynamodb: aws_sdk_dynamodb::Client::new(own),
            region: region.to_owned(),
        }
    }

    /// The bucket in the user's account.
    pub fn bucket(&self) -> String {
        format!(
            "obs-cloudupload-{}-{}",
            variable("USER_ACCOUNT"),
            self.region
        )
    }

    /// An upload of a file of a package and a user of its own, so that tests do not meet.
    pub fn upload(&self, package: &str, filename: &str) -> Upload {
        Upload {
            user: package.to_owned(),
            project: "Cloud:Images".to_owned(),
            repository: "images".to_owned(),
            arch: "x86_64".to_owned(),
            package: package.to_owned(),
            filename: filename.to_owned(),
            body: json!({
                "arn": variable("USER_ROLE_ARN"),
                "external_id": variable("USER_EXTERNAL_ID"),
                "region": self.region,
                "ami_name": format!("{package} {}", unique()),
            }),
        }
    }

    /// Makes the file a build result in OBS.
    pub async fn build(&self, upload: &Upload, bytes: &[u8]) {
        let file = upload.path();
        let folder = file.parent().expect("a build result lies in a folder");
        fs::create_dir_all(folder)
            .await
            .expect("OBS_ROOT can be written");
        fs::write(&file, bytes)
            .await
            .expect("OBS_ROOT can be written");
    }

    /// Lays the faults beside the file that OBS will show while serving it.
    pub async fn disturb(&self, upload: &Upload, faults: Value) {
        let mut file = upload.path().into_os_string();
        file.push(".faults.json");
        fs::write(file, faults.to_string())
            .await
            .expect("OBS_ROOT can be written");
    }

    /// Asks for the upload.
    pub async fn post(&self, upload: &Upload) -> Response {
        self.post_with(upload, &[("filename", &upload.filename)])
            .await
    }

    /// Asks for the upload of the one image that the package has.
    pub async fn post_of_package(&self, upload: &Upload) -> Response {
        self.post_with(upload, &[]).await
    }

    async fn post_with(&self, upload: &Upload, more: &[(&str, &str)]) -> Response {
        let parameters = [
            ("project", upload.project.as_str()),
            ("package", &upload.package),
            ("repository", &upload.repository),
            ("arch", &upload.arch),
            ("user", &upload.user),
            ("target", "ec2"),
        ];
        let base = format!("{}/cloudupload", self.url);
        let url = Url::parse_with_params(&base, parameters.iter().chain(more));
        self.http
            .post(url.expect("CLOUDUPLOAD_URL is a URL"))
            .header("content-type", "application/octet-stream")
            .body(upload.body.to_string())
            .send()
            .await
            .expect("the API answers")
    }

    /// Asks for the upload, which has to be accepted.
    pub async fn create(&self, upload: &Upload) -> Job {
        job(self.post(upload).await).await
    }

    pub async fn job(&self, id: &str) -> Job {
        job(self.get(&format!("/cloudupload/{id}")).await).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .expect("the API answers")
    }

    pub async fn log(&self, id: &str) -> String {
        let answer = self
            .get(&format!("/cloudupload/{id}/_log?nostream=1&start=0"))
            .await;
        answer.text().await.expect("the log is text")
    }

    pub async fn ask_to_kill(&self, id: &str) -> Response {
        self.http
            .post(format!("{}/cloudupload/{id}?cmd=kill", self.url))
            .send()
            .await
            .expect("the API answers")
    }

    /// Kills the job, which has to be accepted.
    pub async fn kill(&self, id: &str) -> Job {
        job(self.ask_to_kill(id).await).await
    }

    /// As [`until`], for something about the job: a panic tells of its log and of the queue, too.
    pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
        &self,
        id: &str,
        what: &str,
        look: impl FnMut() -> F,
    ) -> T {
        match sought(look).await {
            Ok(found) => found,
            Err(instead) => panic!(
                "job {id}: {what}: not within {PATIENCE:?}, but {instead:?}\n{:?}\n{}",
                self.queue().await,
                self.log(id).await
            ),
        }
    }

    /// The job, once `is_there` says so.
    pub async fn wait(&self, id: &str, is_there: impl Fn(&Job) -> bool) -> Job {
        self.until(id, "it gets there", async || match self.job(id).await {
            job if is_there(&job) => Ok(job),
            job => Err(job),
        })
        .await
    }

    /// The job at its end, and what works on it too: whatever there was to clean up is gone.
    pub async fn end(&self, id: &str) -> Job {
        let job = self.wait(id, Job::is_final).await;
        self.quiet(id).await;
        job
    }

    /// Until nothing works on the job any more.
    pub async fn quiet(&self, id: &str) {
        self.until(id, "nothing runs", async || match self.running(id).await {
            running if running.is_empty() => Ok(()),
            running => Err(running),
        })
        .await;
    }

    /// The job's executions that run, its own and those that finish it.
    pub async fn running(&self, id: &str) -> Vec<String> {
        let all = self
            .sfn
            .list_executions()
            .state_machine_arn(variable("UPLOAD_MACHINE_ARN"))
            .status_filter(ExecutionStatus::Running)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        let all = all.expect("Step Functions answers").into_iter();
        let (own, finish) = (format!("job-{id}"), format!("job-{id}-finish-"));
        all.map(|execution| execution.name)
            .filter(|name| *name == own || name.starts_with(&finish))
            .collect()
    }

    /// Whether the rule hits before the job's own execution is over.
    pub async fn hits(&self, rule: &Laid, id: &str) -> bool {
        self.until(id, "its call or its end comes", async || {
            let execution = self.execution(&format!("job-{id}")).await;
            match (rule.hits().await > 0, execution.as_deref()) {
                (false, Some("RUNNING")) => Err("neither"),
                (hit, _) => Ok(hit),
            }
        })
        .await
    }

    /// A job of the user that stays where this function makes this call, and what holds it there.
    pub async fn held(&self, user: &str, function: &str, call: &str) -> (String, Laid) {
        let faults = Faults::from_env();
        for _ in 0..3 {
            let mut upload = self.upload(user, "disk.raw.xz");
            upload.package = format!("{user}-{}", unique());
            self.build(&upload, &disk::disk().await.xz).await;
            // It may be its first call: the rule has to be there before it begins.
            let id = self.unstarted(&upload).await;
            let rule = Rule::of_job(&id, function, call, Fault::Hold);
            let rule = faults.rule(rule).await;
            self.start(&id).await;
            if self.hits(&rule, &id).await {
                return (id, rule);
            }
            // What hands out slots may have done so for another job: then the call was made in its stead.
        }
        panic!("no {function} makes a {call} for the jobs of {user}");
    }

    /// A job that `api` died of, between its record and its execution.
    pub async fn unstarted(&self, upload: &Upload) -> String {
        let rule = Rule {
            function: Some("api".to_owned()),
            text: Some(upload.package.clone()),
            ..Rule::new("dynamodb:PutItem", Fault::Kill)
        };
        let _rule = Faults::from_env().rule(rule).await;
        let answer = self.post(upload).await;
        assert!(answer.status().is_server_error(), "{answer:?}");
        let jobs = self.jobs_of(&upload.package).await;
        jobs.into_iter().next().expect("the job has a record")
    }

    /// The jobs of a package, by the list of all.
    pub async fn jobs_of(&self, package: &str) -> Vec<String> {
        let list = self.get("/cloudupload").await.text().await;
        let list = list.expect("the list is text");
        let package = format!("<package>{package}</package>");
        list.split("<clouduploadjob ")
            .filter(|entry| entry.contains(&package))
            .filter_map(|entry| entry.split('"').nth(1))
            .map(str::to_owned)
            .collect()
    }

    /// The status of the execution of that name, if there is one.
    pub async fn execution(&self, name: &str) -> Option<String> {
        let answer = self
            .sfn
            .describe_execution()
            .execution_arn(execution_arn(name))
            .send()
            .await;
        Some(answer.ok()?.status().as_str().to_owned())
    }

    /// Starts the job's execution by hand, whether or not there is the job.
    pub async fn start(&self, id: &str) {
        let answer = self
            .sfn
            .start_execution()
            .state_machine_arn(variable("UPLOAD_MACHINE_ARN"))
            .name(format!("job-{id}"))
            .input(json!({"job": id}).to_string());
        answer.send().await.expect("an execution is started");
    }

    /// Stops the execution, as an operator may do in AWS's console.
    pub async fn stop(&self, name: &str) {
        let answer = self.sfn.stop_execution().execution_arn(execution_arn(name));
        answer.send().await.expect("a running execution is stopped");
    }

    /// Lets the sweeper run, and waits for what was started for the job, by this sweep or by one of its schedule.
    pub async fn sweep_for(&self, id: &str) {
        let swept = self.sweep().await;
        assert!(swept["errorMessage"].is_null(), "{swept}");
        self.quiet(id).await;
    }

    /// Lets the sweeper run, as its schedule does. Answers with what it answers.
    pub async fn sweep(&self) -> Value {
        let path = format!(
            "2015-03-31/functions/{}/invocations",
            variable("SWEEP_FUNCTION")
        );
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        self.lambda(Method::POST, &path, event).await
    }

    /// Gives the function that the workflow calls in this state so many seconds. All jobs feel it.
    pub async fn set_timeout(&self, state: &str, seconds: u32) {
        let machine = self.sfn.describe_state_machine();
        let machine = machine.state_machine_arn(variable("UPLOAD_MACHINE_ARN"));
        let machine = machine.send().await.expect("Step Functions answers");
        let definition: Value =
            serde_json::from_str(&machine.definition).expect("a definition is JSON");
        let step = definition
            .pointer(&format!("/States/{state}/Parameters/FunctionName"))
            .and_then(Value::as_str)
            .expect("the state calls a function");
        let path = format!("2015-03-31/functions/{step}/configuration");
        let set = self
            .lambda(Method::PUT, &path, json!({"Timeout": seconds}))
            .await;
        assert_eq!(set["Timeout"], seconds, "{set}");
    }

    async fn lambda(&self, method: Method, path: &str, body: Value) -> Value {
        // The emulator checks neither signature nor day of an account's root.
        let scope = format!(
            "{}/19700101/{}/lambda",
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_REGION")
        );
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={scope}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = self
            .http
            .request(method, format!("{}/{path}", variable("AWS_ENDPOINT_URL")))
            .header("authorization", authorization)
            .body(body.to_string())
            .send()
            .await
            .expect("Lambda answers");
        let answer = answer.text().await.expect("Lambda answers in text");
        serde_json::from_str(&answer).expect("Lambda answers in JSON")
    }

    /// Makes the job's record that much older.
    pub async fn age(&self, id: &str, seconds: u64) {
        let key = || HashMap::from([("id".to_owned(), AttributeValue::S(id.to_owned()))]);
        let table = variable("JOBS_TABLE");
        for path in ["created", "ended", "cleaned.#at"] {
            let update = self
                .dynamodb
                .update_item()
                .table_name(&table)
                .set_key(Some(key()))
                .update_expression(format!("SET {path} = {path} - :seconds"))
                .condition_expression(format!("attribute_exists({path})"))
                .expression_attribute_values(":seconds", AttributeValue::N(seconds.to_string()));
            let update = match path.contains('#') {
                true => update.expression_attribute_names("#at", "at"),
                false => update,
            };
            let _ = update.send().await;
        }
    }

    /// The job's record, as DynamoDB has it.
    pub async fn record(&self, id: &str) -> HashMap<String, AttributeValue> {
        let answer = self
            .dynamodb
            .get_item()
            .table_name(variable("JOBS_TABLE"))
            .key("id", AttributeValue::S(id.to_owned()))
            .consistent_read(true)
            .send()
            .await;
        answer
            .expect("DynamoDB answers")
            .item
            .expect("the job has a record")
    }

    /// Puts another token into the job's record than the one that its execution waits for.
    pub async fn lose_token(&self, id: &str) {
        let update = self
            .dynamodb
            .update_item()
            .table_name(variable("JOBS_TABLE"))
            .key("id", AttributeValue::S(id.to_owned()))
            .update_expression("SET #token = :other")
            .condition_expression("attribute_exists(#token)")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":other", AttributeValue::S("of another".to_owned()));
        update.send().await.expect("the job has a token");
    }

    /// Lets the job hold a slot.
    pub async fn hold_slot(&self, id: &str, user: &str) {
        let put = self
            .dynamodb
            .put_item()
            .table_name(variable("SLOTS_TABLE"))
            .set_item(Some(held_key(id)))
            .item("user", AttributeValue::S(user.to_owned()))
            .item(
                "execution",
                AttributeValue::S(execution_arn(&format!("job-{id}"))),
            )
            .item("since", AttributeValue::N("1".to_owned()));
        put.send().await.expect("DynamoDB answers");
    }

    /// Makes the slot's grant that much older.
    pub async fn age_slot(&self, id: &str, seconds: u64) {
        let update = self
            .dynamodb
            .update_item()
            .table_name(variable("SLOTS_TABLE"))
            .set_key(Some(held_key(id)))
            .update_expression("SET since = since - :seconds")
            .expression_attribute_values(":seconds", AttributeValue::N(seconds.to_string()));
        update.send().await.expect("the job has a slot");
    }

    pub async fn queue(&self) -> Queue {
        let answer = self
            .dynamodb
            .scan()
            .table_name(variable("SLOTS_TABLE"))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut queue = Queue::default();
        for item in answer
            .collect::<Result<Vec<_>, _>>()
            .await
            .expect("DynamoDB answers")
        {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
            let job = item["job"].as_n().ok().and_then(|job| job.parse().ok());
            let (Some(job), Some(user)) = (job, text("user")) else {
                continue; // the count of the grants
            };
            match text("kind").map(String::as_str) {
                Some("held") => queue.held.insert(job, user.clone()),
                _ => queue.waiting.insert(job, user.clone()),
            };
        }
        queue
    }

    /// The job at its end, which has to be a good one.
    pub async fn success(&self, id: &str) -> Job {
        let job = self.end(id).await;
        assert_eq!(job.state(), "succeeded", "{job:?}\n{}", self.log(id).await);
        job
    }

    /// The job at its end, which has to be a bad one, with nothing left behind anywhere.
    pub async fn failure(&self, id: &str) -> Job {
        let job = self.end(id).await;
        assert_eq!(job.state(), "failed", "{job:?}\n{}", self.log(id).await);
        assert_eq!(
            self.leftovers(&job).await,
            Vec::<String>::new(),
            "{}",
            self.log(id).await
        );
        job
    }

    pub async fn image(&self, id: &str) -> Image {
        let answer = self
            .ec2
            .describe_images()
            .image_ids(id)
            .send()
            .await
            .expect("EC2 answers");
        answer
            .images
            .unwrap_or_default()
            .pop()
            .expect("the AMI is there")
    }

    /// The bytes of an AMI's root snapshot.
    pub async fn image_bytes(&self, id: &str) -> Vec<u8> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let file = env::temp_dir().join(format!("{id}.raw"));
        let status = Command::new(root.join("infra/local/ami-to-file"))
            .args([id, &file.to_string_lossy()])
            .status()
            .await
            .expect("infra/local/ami-to-file runs");
        assert!(status.success(), "infra/local/ami-to-file {id}: {status}");
        let bytes = fs::read(&file)
            .await
            .expect("infra/local/ami-to-file wrote the file");
        fs::remove_file(&file)
            .await
            .expect("a file of ours can be removed");
        bytes
    }

    /// What is left of a job in both accounts, its finished AMI and that one's snapshot aside.
    pub async fn leftovers(&self, job: &Job) -> Vec<String> {
        let mut left = Vec::new();
        let queue = self.queue().await;
        let id: u32 = job.id().parse().expect("a job's id is a number");
        if queue.held.contains_key(&id) || queue.waiting.contains_key(&id) {
            left.push(format!("slot of job {id}"));
        }
        let staging = variable("STAGING_BUCKET");
        left.extend(in_bucket(&self.own_s3, &staging, &format!("job-{}/", job.id())).await);
        left.extend(in_bucket(&self.s3, &self.bucket(), &format!("job-{}.raw", job.id())).await);
        let tag = format!("/job-{}", job.id());
        let images = self
            .ec2
            .describe_images()
            .owners("self")
            .send()
            .await
            .expect("EC2 answers");
        let finished = (job.state() == "succeeded").then(|| job.details());
        let mut used = Vec::new();
        for image in images.images() {
            let ours = image
                .tags()
                .iter()
                .any(|t| t.value().is_some_and(|v| v.ends_with(&tag)));
            if ours && image.image_id() != finished {
                left.extend(image.image_id.clone());
            }
            used.extend(
                image
                    .block_device_mappings()
                    .iter()
                    .filter_map(|d| d.ebs()?.snapshot_id()),
            );
        }
        let tasks = self
            .ec2
            .describe_import_snapshot_tasks()
            .send()
            .await
            .expect("EC2 answers");
        for task in tasks.import_snapshot_tasks() {
            let ours = task
                .tags()
                .iter()
                .any(|t| t.value().is_some_and(|v| v.ends_with(&tag)));
            let detail = task.snapshot_task_detail().expect("a task has details");
            if ours && ["pending", "active"].contains(&detail.status().unwrap_or_default()) {
                left.extend(task.import_task_id.clone());
            }
            // EC2 answers with an empty id until there is a snapshot.
            let snapshot = detail.snapshot_id().filter(|id| !id.is_empty());
            if ours && let Some(snapshot) = snapshot {
                let answer = self
                    .ec2
                    .describe_snapshots()
                    .snapshot_ids(snapshot)
                    .send()
                    .await;
                if answer.is_ok() && !used.contains(&snapshot) {
                    left.push(snapshot.to_owned());
                }
            }
        }
        left
    }
}

fn held_key(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("kind".to_owned(), AttributeValue::S("held".to_owned())),
        ("job".to_owned(), AttributeValue::N(id.to_owned())),
    ])
}

fn execution_arn(name: &str) -> String {
    let machine = variable("UPLOAD_MACHINE_ARN").replace(":stateMachine:", ":execution:");
    format!("{machine}:{name}")
}

impl Upload {
    fn path(&self) -> PathBuf {
        [
            &variable("OBS_ROOT"),
            &self.project,
            &self.repository,
            &self.arch,
            &self.package,
            &self.filename,
        ]
        .iter()
        .collect()
    }
}

/// Objects and unfinished uploads of which the key has `name` in it.
async fn in_bucket(s3: &aws_sdk_s3::Client, bucket: &str, name: &str) -> Vec<String> {
    let Ok(objects) = s3.list_objects_v2().bucket(bucket).send().await else {
        return Vec::new();
    };
    let uploads = s3
        .list_multipart_uploads()
        .bucket(bucket)
        .send()
        .await
        .expect("S3 answers");
    let objects = objects.contents().iter().filter_map(|object| object.key());
    let uploads = uploads.uploads().iter().filter_map(|upload| upload.key());
    objects
        .chain(uploads)
        .filter(|key| key.contains(name))
        .map(|key| format!("s3://{bucket}/{key}"))
        .collect()
}

async fn job(answer: Response) -> Job {
    let status = answer.status();
    let xml = answer.text().await.expect("the answer is text");
    assert_eq!(status, StatusCode::OK, "{xml}");
    Job { xml }
}

/// Something that no other run of the tests has, and no other part of this one: microseconds since the epoch, later ones
/// each time.
pub fn unique() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.expect("the clock is past 1970").as_micros() as u64;
    let last = LAST.fetch_max(now, Ordering::SeqCst);
    match last < now {
        true => now.to_string(),
        false => (LAST.fetch_add(1, Ordering::SeqCst) + 1).to_string(),
    }
}
