//! Whole requests, from API Gateway's event to the answer, against an OBS and an AWS that answer as the real ones are
//! documented to. What clients get is compared byte for byte with what a real OBS backend answered.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use cloudupload::{
    job::JobId,
    journal::Journal,
    machine::{TaskTokens, UploadMachine},
    obs::Obs,
    store::Jobs,
    target::{Partition, ServiceIdentity},
};
use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpResponse};
use serde_json::{Value, json};

use crate::{
    api::{self, Api},
    request::tests::event,
};

const CREATE: &str = "/cloudupload?project=Cloud%3AImages&repository=images&package=leap-ec2&arch=x86_64\
                      &user=tom&target=ec2&filename=leap-ec2.x86_64-15.6.raw.xz";

const WISH: &str = r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"top-secret","region":"us-east-1"}"#;

const BUILD_RESULTS: &str = "<binarylist>\n  \
    <binary filename=\"_buildenv\" size=\"100\" mtime=\"1795445000\" />\n  \
    <binary filename=\"leap-ec2.x86_64-15.6.raw.xz\" size=\"23097940\" mtime=\"1795445000\" />\n\
    </binarylist>\n";

/// The API in front of an outside that is one function: from a call's name and body to a status and a body. A call is
/// an AWS action, or `OBS` for anything that OBS is asked.
struct World {
    api: Arc<Api>,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl World {
    fn new(outside: impl Fn(&str, &Value) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let calls = Arc::clone(&calls);
            move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let (call, body) = read_call(&stream);
                    let (status, answer) = outside(&call, &body);
                    calls.lock().unwrap().push((call, body));
                    let length = answer.len();
                    write!(
                        stream,
                        "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\n\
                         Content-Length: {length}\r\n\r\n{answer}"
                    )
                    .unwrap();
                }
            }
        });
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .endpoint_url(&url)
            .build();
        let states = aws_sdk_sfn::Client::new(&config);
        let api = Api {
            jobs: Jobs::new(aws_sdk_dynamodb::Client::new(&config), "jobs".to_owned()),
            journal: Journal::new(
                aws_sdk_cloudwatchlogs::Client::new(&config),
                "logs".to_owned(),
            ),
            obs: Obs::new(&url).unwrap(),
            machine: UploadMachine::new(
                states.clone(),
                "arn:aws:states:us-east-1:999999999999:stateMachine:upload".to_owned(),
            ),
            tokens: TaskTokens::new(states),
            service: ServiceIdentity {
                account: "999999999999".parse().unwrap(),
                partition: Partition::Aws,
            },
            first_job: JobId::new(1).unwrap(),
        };
        Self {
            api: Arc::new(api),
            calls,
        }
    }

    async fn send(&self, method: &str, target: &str, body: &str) -> ApiGatewayV2httpResponse {
        let event = event(method, target, "", body.as_bytes());
        api::answer(Arc::clone(&self.api), event).await
    }

    /// Status and body of the answer.
    async fn ask(&self, method: &str, target: &str, body: &str) -> (i64, String) {
        let response = self.send(method, target, body).await;
        match response.body {
            Some(Body::Text(text)) => (response.status_code, text),
            body => panic!("{body:?} is not text"),
        }
    }

    fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }

    fn names_of_calls(&self) -> Vec<String> {
        self.calls().into_iter().map(|(name, _)| name).collect()
    }
}

fn read_call(stream: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut call, mut length) = ("OBS".to_owned(), 0);
    for line in reader.by_ref().lines() {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                call = value.rsplit('.').next().unwrap().to_owned();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap();
            }
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (call, serde_json::from_slice(&body).unwrap_or_default())
}

/// A job's item as it lies in DynamoDB.
fn item(id: &str, state: &str, details: &str) -> Value {
    let job = json!({
        "id": id,
        "state": state,
        "details": details,
        "created": 1795445844,
        "order": {
            "user": "tom",
            "target": "ec2",
            "project": "Cloud:Images",
            "repository": "images",
            "package": "leap-ec2",
            "arch": "x86_64",
            "filename": "leap-ec2.x86_64-15.6.raw.xz",
            "size": 23097940,
            "ec2": {
                "role": "arn:aws:iam::123456789012:role/obs",
                "external_id": "top-secret",
                "region": "us-east-1",
                "ami_name": "leap",
            },
        },
        "work": {},
    });
    attribute(&job)["M"].clone()
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"S": text}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Object(map) => {
            let map: serde_json::Map<String, Value> = map
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)))
                .collect();
            json!({"M": map})
        }
        value => panic!("{value} is in no record"),
    }
}

fn ok(body: impl ToString) -> (u16, String) {
    (200, body.to_string())
}

fn refused(code: &str, message: &str) -> (u16, String) {
    let body = json!({"__type": format!("com.amazonaws#{code}"), "message": message});
    (400, body.to_string())
}

fn job_xml(id: &str, state: &str, details: &str) -> String {
    format!(
        "\
<clouduploadjob name=\"{id}\">
  <state>{state}</state>
  <details>{details}</details>
  <created>1795445844</created>
  <user>tom</user>
  <target>ec2</target>
  <project>Cloud:Images</project>
  <repository>images</repository>
  <package>leap-ec2</package>
  <arch>x86_64</arch>
  <filename>leap-ec2.x86_64-15.6.raw.xz</filename>
  <size>23097940</size>
</clouduploadjob>
"
    )
}

fn list_xml(jobs: &[String]) -> String {
    let jobs = jobs.concat();
    let jobs: String = jobs.lines().map(|line| format!("  {line}\n")).collect();
    format!("<clouduploadjoblist>\n{jobs}</clouduploadjoblist>\n")
}

fn error_xml(code: i64, summary: &str) -> String {
    format!("<status code=\"{code}\">\n  <summary>{summary}</summary>\n</status>\n")
}

fn error_with_details_xml(code: i64, summary: &str) -> String {
    format!(
        "<status code=\"{code}\">\n  <summary>{summary}</summary>\n  <details>{code} {summary}</details>\n</status>\n"
    )
}

/// Everything that a create call needs.
fn creating(call: &str, body: &Value) -> (u16, String) {
    match call {
        "OBS" => ok(BUILD_RESULTS),
        "UpdateItem" if body["Key"]["id"]["S"] == "counter" => {
            ok(json!({"Attributes": {"taken": {"N": "1"}}}))
        }
        "PutItem" => ok("{}"),
        "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
        call => panic!("{call} is not needed: {body}"),
    }
}

#[tokio::test]
async fn a_job_is_created_with_no_more_calls_than_it_takes() {
    let world = World::new(creating);
    let response = world.send("POST", CREATE, WISH).await;
    assert_eq!(response.headers["content-type"], "text/xml");
    assert_eq!(response.headers["cache-control"], "no-cache");
    let Some(Body::Text(xml)) = response.body else {
        panic!("the answer is text");
    };
    let (before, rest) = xml.split_once("<created>").unwrap();
    let (_, after) = rest.split_once("</created>").unwrap();
    let xml = format!("{before}<created>1795445844</created>{after}");
    assert_eq!(xml, job_xml("1", "created", "waiting to receive image"));

    let calls = world.calls();
    assert_eq!(
        world.names_of_calls(),
        ["OBS", "UpdateItem", "PutItem", "StartExecution"]
    );
    assert_eq!(
        calls[2].1["Item"]["order"]["M"]["ec2"]["M"]["ami_name"]["S"],
        "leap-ec2.x86_64-15.6"
    );
    assert_eq!(calls[3].1["name"], "job-1");
    assert_eq!(calls[3].1["input"], r#"{"job":"1"}"#);
}

#[tokio::test]
async fn a_job_that_cannot_be_started_fails_and_the_caller_is_told() {
    let world = World::new(|call, body| match call {
        "StartExecution" => refused("AccessDeniedException", "not authorized"),
        "UpdateItem" if body["Key"]["id"]["S"] == "1" => ok(json!({
            "Attributes": item("1", "failed", "x")
        })),
        _ => creating(call, body),
    });
    let (status, xml) = world.ask("POST", CREATE, WISH).await;
    let reason = "the upload could not be started: states:StartExecution failed: AccessDeniedException: not authorized";
    assert_eq!((status, xml), (500, error_with_details_xml(500, reason)));
    let (call, body) = world.calls().pop().unwrap();
    assert_eq!(call, "UpdateItem");
    let values = body["ExpressionAttributeValues"].to_string();
    assert!(
        values.contains(r#"{"S":"failed"}"#) && values.contains(reason),
        "{values}"
    );
}

#[tokio::test]
async fn a_file_that_obs_does_not_have_makes_no_job() {
    let world = World::new(|_, _| ok("<binarylist>\n</binarylist>\n"));
    let target = CREATE.replace("leap-ec2.x86_64-15.6", "x");
    let (status, xml) = world.ask("POST", &target, WISH).await;
    let summary = "remote error: x.raw.xz  No such file or directory";
    assert_eq!((status, xml), (404, error_with_details_xml(404, summary)));
    assert_eq!(world.names_of_calls(), ["OBS"]);
}

#[tokio::test]
async fn an_obs_in_trouble_is_a_bad_gateway() {
    let world = World::new(|_, _| (403, error_xml(403, "forbidden")));
    let (status, xml) = world.ask("POST", CREATE, WISH).await;
    assert_eq!(status, 502);
    assert!(
        xml.contains("<summary>remote error: forbidden (http://127.0.0.1:"),
        "{xml}"
    );
}

#[tokio::test]
async fn a_list_has_the_jobs_in_the_order_asked() {
    let world = World::new(|call, body| {
        assert_eq!(call, "BatchGetItem");
        assert_eq!(
            body["RequestItems"]["jobs"]["Keys"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        ok(json!({"Responses": {"jobs": [
            item("1", "succeeded", "ami-0123456789abcdef0"),
            item("2", "failed", "killed"),
        ]}}))
    });
    let (status, xml) = world
        .ask("GET", "/cloudupload?name=2&name=99&name=1&name=2", "")
        .await;
    let [one, two] = [
        job_xml("1", "succeeded", "ami-0123456789abcdef0"),
        job_xml("2", "failed", "killed"),
    ];
    assert_eq!((status, xml), (200, list_xml(&[two.clone(), one, two])));
}

#[tokio::test]
async fn a_list_of_all_jobs_is_in_the_order_of_their_numbers() {
    let world = World::new(|call, body| {
        assert_eq!(call, "Scan");
        ok(match body.get("ExclusiveStartKey") {
            None => json!({
                "Items": [item("10", "created", "x"), item("9", "created", "x")],
                "LastEvaluatedKey": {"id": {"S": "9"}},
            }),
            Some(_) => json!({"Items": [item("2", "created", "x")]}),
        })
    });
    let (_, xml) = world.ask("GET", "/cloudupload", "").await;
    let jobs = ["2", "9", "10"].map(|id| job_xml(id, "created", "x"));
    assert_eq!(xml, list_xml(&jobs));
}

#[tokio::test]
async fn an_empty_list_is_as_obs_writes_it() {
    let world = World::new(|_, _| ok(json!({"Items": []})));
    for target in ["/cloudupload", "/cloudupload?name=0"] {
        let answer = world.ask("GET", target, "").await;
        assert_eq!(
            answer,
            (
                200,
                "<clouduploadjoblist>\n</clouduploadjoblist>\n".to_owned()
            )
        );
    }
}

#[tokio::test]
async fn a_list_that_lambda_would_not_pass_on_is_refused() {
    let world = World::new(|_, _| {
        let details = "x".repeat(300_000);
        let jobs: Vec<Value> = (1..=21)
            .map(|id| item(&id.to_string(), "failed", &details))
            .collect();
        ok(json!({"Items": jobs}))
    });
    let (status, xml) = world.ask("GET", "/cloudupload", "").await;
    let summary = "there are more jobs than fit in one answer: ask for some of them, with name=";
    assert_eq!((status, xml), (400, error_xml(400, summary)));
}

#[tokio::test]
async fn a_status_is_the_record_or_there_is_no_such_job() {
    let world = World::new(|call, body| {
        assert_eq!(call, "GetItem");
        ok(match body["Key"]["id"]["S"].as_str() {
            Some("7") => json!({"Item": item("7", "receiving", "a & b")}),
            _ => json!({}),
        })
    });
    let answer = world.ask("GET", "/cloudupload/7", "").await;
    assert_eq!(answer, (200, job_xml("7", "receiving", "a &amp; b")));
    for (method, target) in [
        ("GET", "/cloudupload/8"),
        ("POST", "/cloudupload/8"),
        ("GET", "/cloudupload/8/_log"),
        ("GET", "/cloudupload/abc"),
    ] {
        let answer = world.ask(method, target, "").await;
        assert_eq!(
            answer,
            (404, error_with_details_xml(404, "no such job")),
            "{method} {target}"
        );
    }
    let head = world.send("HEAD", "/cloudupload/7", "").await;
    assert_eq!((head.status_code, head.body), (200, Some(Body::Empty)));
}

#[tokio::test]
async fn a_kill_ends_a_job_and_changes_none_that_has_ended() {
    let world = World::new(|call, body| {
        if call == "PutLogEvents" {
            assert_eq!(body["logStreamName"], "job-1");
            assert_eq!(body["logEvents"][0]["message"], "Killed.");
            return ok(json!({}));
        }
        assert_eq!(call, "UpdateItem");
        let refused = |item: Value| {
            let mut body =
                json!({"__type": "com.amazonaws#ConditionalCheckFailedException", "message": "no"});
            if !item.is_null() {
                body["Item"] = item;
            }
            (400, body.to_string())
        };
        match body["Key"]["id"]["S"].as_str() {
            Some("1") => ok(json!({"Attributes": item("1", "failed", "killed")})),
            Some("2") => refused(item("2", "succeeded", "ami-1")),
            _ => refused(Value::Null),
        }
    });
    let answer = world.ask("POST", "/cloudupload/1?cmd=kill", "").await;
    assert_eq!(answer, (200, job_xml("1", "failed", "killed")));
    let answer = world.ask("POST", "/cloudupload/2?cmd=kill", "").await;
    assert_eq!(answer, (200, job_xml("2", "succeeded", "ami-1")));
    let answer = world.ask("POST", "/cloudupload/3?cmd=kill", "").await;
    assert_eq!(answer, (404, error_with_details_xml(404, "no such job")));
}

/// Whether or not the wait can be told: the job is final all the same, and the sweeper comes by.
#[tokio::test]
async fn a_kill_tells_what_waits() {
    for (status, told) in [
        (200, "{}".to_owned()),
        refused("TaskTimedOut", "over"),
        refused("AccessDeniedException", "no"),
    ] {
        let world = World::new(move |call, body| match call {
            "UpdateItem" => {
                let mut item = item("1", "failed", "killed");
                item["token"] = json!({"S": "AQC8"});
                ok(json!({"Attributes": item}))
            }
            "PutLogEvents" => ok("{}"),
            "SendTaskFailure" => {
                assert_eq!(body["taskToken"], "AQC8");
                assert_eq!(body["error"], "JobEnded");
                (status, told.clone())
            }
            call => panic!("{call} is not needed"),
        });
        let answer = world.ask("POST", "/cloudupload/1?cmd=kill", "").await;
        assert_eq!(answer, (200, job_xml("1", "failed", "killed")));
        assert_eq!(
            world.names_of_calls(),
            ["UpdateItem", "PutLogEvents", "SendTaskFailure"]
        );
    }
}

/// A job with a log of two lines.
fn logged(call: &str, body: &Value, state: &str) -> (u16, String) {
    match call {
        "GetItem" => ok(json!({"Item": item("1", state, "x")})),
        "GetLogEvents" if body["nextToken"] == "f/1" => ok(json!({
            "events": [], "nextForwardToken": "f/1", "nextBackwardToken": "b/2",
        })),
        "GetLogEvents" => ok(json!({
            "events": [
                {"timestamp": 1795445850000_u64, "message": "Start uploading image leap-ec2.x86_64-15.6.raw.xz."},
                {"timestamp": 1795445851999_u64, "message": "Successfully authenticated."},
            ],
            "nextForwardToken": "f/1",
            "nextBackwardToken": "b/1",
        })),
        call => panic!("{call} is not needed"),
    }
}

const LOG: &str =
    "Start uploading image leap-ec2.x86_64-15.6.raw.xz.\nSuccessfully authenticated.\n";

#[tokio::test]
async fn a_log_is_read_in_whole_and_in_part() {
    let world = World::new(|call, body| logged(call, body, "uploading"));
    let response = world
        .send("GET", "/cloudupload/1/_log?nostream=1&start=0", "")
        .await;
    assert_eq!(response.headers["content-type"], "text/plain");
    assert_eq!(response.body, Some(Body::Text(LOG.to_owned())));
    for (query, part) in [
        ("", LOG),
        ("?start=51&nostream=1", &LOG[51..]),
        ("?start=-5", &LOG[LOG.len() - 5..]),
        ("?end=5", &LOG[..5]),
        ("?start=5&end=3", ""),
        ("?nostream=1&start=79", ""),
    ] {
        let answer = world
            .ask("GET", &format!("/cloudupload/1/_log{query}"), "")
            .await;
        assert_eq!(answer, (200, part.to_owned()), "{query}");
    }
    let answer = world.ask("GET", "/cloudupload/1/_log?start=5000", "").await;
    assert_eq!(answer, (400, error_xml(400, "start out of range: 5000")));
    let answer = world.ask("GET", "/cloudupload/1/_log?view=entry", "").await;
    let entry =
        "<directory>\n  <entry name=\"_log\" size=\"79\" mtime=\"1795445851\" />\n</directory>\n";
    assert_eq!(answer, (200, entry.to_owned()));
}

#[tokio::test]
async fn a_job_without_a_log_yet_has_an_empty_one() {
    let world = World::new(|call, body| match call {
        "GetLogEvents" => refused(
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ),
        call => logged(call, body, "created"),
    });
    let answer = world.ask("GET", "/cloudupload/1/_log?nostream=1", "").await;
    assert_eq!(answer, (200, String::new()));
    let (_, xml) = world.ask("GET", "/cloudupload/1/_log?view=entry", "").await;
    assert!(xml.contains("size=\"0\" mtime=\"1795445844\""), "{xml}");
}

#[tokio::test]
async fn more_of_a_log_is_waited_for_until_the_job_ends() {
    let asked = Mutex::new(0);
    let world = World::new(move |call, body| {
        let mut asked = asked.lock().unwrap();
        *asked += i32::from(call == "GetItem");
        logged(
            call,
            body,
            if *asked > 1 { "succeeded" } else { "uploading" },
        )
    });
    let answer = world.ask("GET", "/cloudupload/1/_log?start=79", "").await;
    assert_eq!(answer, (200, String::new()));
    let looks = world
        .names_of_calls()
        .iter()
        .filter(|&call| call == "GetItem")
        .count();
    assert_eq!(looks, 2);
}

#[tokio::test]
async fn what_breaks_is_told_in_xml() {
    let world = World::new(|_, _| refused("AccessDeniedException", "no"));
    let answer = world.ask("GET", "/cloudupload/1", "").await;
    let summary = "dynamodb:GetItem failed: AccessDeniedException: no";
    assert_eq!(answer, (500, error_with_details_xml(500, summary)));

    let answer = world.ask("DELETE", "/cloudupload/1", "").await;
    let summary = "unknown request: DELETE:/cloudupload/1";
    assert_eq!(answer, (400, error_with_details_xml(400, summary)));

    let mut not_base64 = event("POST", "/cloudupload", "", b"");
    not_base64.body = Some("!".to_owned());
    let response = api::answer(Arc::clone(&world.api), not_base64).await;
    let summary = "internal error: see the log of the function api";
    let body = error_with_details_xml(500, summary);
    assert_eq!(
        (response.status_code, response.body),
        (500, Some(Body::Text(body)))
    );
}
