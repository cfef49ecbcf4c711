//! The proxy as a whole, between clients (the SDK's, and curl) and a server that accepts everything.

use std::{
    os::unix::process::ExitStatusExt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    config::{Credentials, SharedCredentialsProvider},
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, body::Incoming, header::HOST, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, process::Command};

use super::{CallCount, Fault, Proxy, Rule};
use crate::{FaultClient, JobId, function};

const MIB: usize = 1 << 20;
/// The time for a call that is never answered. On a busy machine, other calls have to be answered within it.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

struct Scene {
    url: String,
    faults: FaultClient,
    upstream: Arc<Upstream>,
    config: SdkConfig,
}

/// Host, path and length of the requests that arrived.
#[derive(Default)]
struct Upstream(Mutex<Vec<(String, String, usize)>>);

impl Upstream {
    async fn start() -> (Arc<Self>, String) {
        let upstream = Arc::new(Self::default());
        let (listener, url) = listen().await;
        let served = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = served.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| served.answer(request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        (upstream, url)
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let length = body.collect().await?.to_bytes().len();
        let host = head.headers[HOST].to_str().unwrap_or_default().to_owned();
        let path = head.uri.to_string();
        self.0
            .lock()
            .expect("nobody panics with it")
            .push((host, path, length));
        Ok(Response::new(Full::from("{}")))
    }

    fn arrived(&self) -> Vec<(String, String, usize)> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    (listener, format!("http://{address}"))
}

/// A scene whose calls are all answered.
async fn scene() -> Scene {
    scene_with_timeout(Duration::from_secs(60)).await
}

/// A scene whose clients give up a call after this time.
async fn scene_with_timeout(call_timeout: Duration) -> Scene {
    let (upstream, behind) = Upstream::start().await;
    let (listener, url) = listen().await;
    let proxy = Proxy::new(&behind).expect("a URL");
    tokio::spawn(async move { proxy.serve(listener).await });
    let credentials = Credentials::new("test", "test", None, None, "tests");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(&url)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(3)
                .with_initial_backoff(Duration::from_millis(1)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(call_timeout)
                .build(),
        )
        .build();
    Scene {
        faults: FaultClient::at(&url),
        url,
        upstream,
        config,
    }
}

impl Scene {
    async fn get_item(&self) -> Result<(), String> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        let request = client.get_item().table_name("jobs");
        code(
            request
                .key("id", AttributeValue::S("17".to_owned()))
                .send()
                .await,
        )
    }

    async fn start_execution(&self) -> Result<(), String> {
        let client = aws_sdk_sfn::Client::new(&self.config);
        code(
            client
                .start_execution()
                .state_machine_arn("arn")
                .send()
                .await,
        )
    }

    async fn create_log_stream(&self) -> Result<(), String> {
        let client = aws_sdk_cloudwatchlogs::Client::new(&self.config);
        let request = client.create_log_stream().log_group_name("g");
        code(request.log_stream_name("job-17").send().await)
    }

    async fn assume_role(&self) -> Result<(), String> {
        let client = aws_sdk_sts::Client::new(&self.config);
        let request = client
            .assume_role()
            .role_arn("arn:aws:iam::111122223333:role/r");
        code(request.role_session_name("obs").send().await)
    }

    async fn describe_images(&self) -> Result<(), String> {
        let client = aws_sdk_ec2::Client::new(&self.config);
        code(client.describe_images().send().await)
    }

    async fn list_parts(&self) -> Result<(), String> {
        let client = aws_sdk_s3::Client::new(&self.config);
        let request = client.list_parts().bucket("b").key("job-17.raw");
        code(request.upload_id("u").send().await)
    }

    async fn head_bucket(&self) -> Result<(), String> {
        let client = aws_sdk_s3::Client::new(&self.config);
        code(client.head_bucket().bucket("b").send().await)
    }

    async fn upload_part(&self, length: usize) -> Result<(), String> {
        let client = aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&self.config)
                .timeout_config(TimeoutConfig::disabled())
                .build(),
        );
        let request = client
            .upload_part()
            .bucket("b")
            .key("job-17.raw")
            .upload_id("u");
        code(
            request
                .part_number(1)
                .body(vec![7; length].into())
                .send()
                .await,
        )
    }

    /// The number of times that a call was made.
    async fn count(&self, call: &str) -> u32 {
        let calls = self.faults.all_calls().await;
        let counts = calls.iter().filter(|counted| counted.call == call);
        counts.map(|counted| counted.count).sum()
    }
}

/// The code of an error. If AWS gives none, the HTTP status, or how the call broke off.
fn code<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E, aws_sdk_dynamodb::config::http::HttpResponse>>,
) -> Result<(), String> {
    let Err(error) = answer else { return Ok(()) };
    Err(match (error.code(), &error) {
        (Some(code), _) => code.to_owned(),
        (None, SdkError::ServiceError(error)) => error.raw().status().to_string(),
        (None, SdkError::TimeoutError(_)) => "timeout".to_owned(),
        (None, _) => "broken".to_owned(),
    })
}

/// Asserts how a call is refused, the number of attempts, and that nothing of it arrives.
async fn refused(
    call: &str,
    ask: impl AsyncFn(&Scene) -> Result<(), String>,
    throttle: &str,
    server_error: &str,
    access_denied: &str,
) {
    let scene = scene().await;
    for (fault, code, attempts) in [
        (Fault::Throttle, throttle, 3),
        (Fault::ServerError, server_error, 3),
        (Fault::AccessDenied, access_denied, 1),
    ] {
        let before = scene.count(call).await;
        let rule = scene.faults.add(Rule::new(call, fault).for_all()).await;
        assert_eq!(ask(&scene).await, Err(code.to_owned()), "{call}");
        assert_eq!(
            scene.count(call).await - before,
            attempts,
            "{call} {fault:?}"
        );
        assert_eq!(rule.hits().await, attempts);
    }
    assert_eq!(scene.upstream.arrived(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_refuses_in_its_own_way() {
    refused(
        "dynamodb:GetItem",
        Scene::get_item,
        "ProvisionedThroughputExceededException",
        "InternalServerError",
        "AccessDeniedException",
    )
    .await;
    let json = [
        "ThrottlingException",
        "InternalFailure",
        "AccessDeniedException",
    ];
    refused(
        "states:StartExecution",
        Scene::start_execution,
        json[0],
        json[1],
        json[2],
    )
    .await;
    refused(
        "logs:CreateLogStream",
        Scene::create_log_stream,
        json[0],
        json[1],
        json[2],
    )
    .await;
    refused(
        "sts:AssumeRole",
        Scene::assume_role,
        "Throttling",
        "InternalFailure",
        "AccessDenied",
    )
    .await;
    refused(
        "ec2:DescribeImages",
        Scene::describe_images,
        "RequestLimitExceeded",
        "InternalError",
        "UnauthorizedOperation",
    )
    .await;
    refused(
        "s3:ListParts",
        Scene::list_parts,
        "SlowDown",
        "InternalError",
        "AccessDenied",
    )
    .await;
    // An answer to HEAD has no body that could say more.
    refused("s3:HeadBucket", Scene::head_bucket, "503", "500", "403").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_once_is_tried_again() {
    for (fault, arrived) in [
        (Fault::Throttle, 1),
        (Fault::ServerError, 1),
        (Fault::Timeout, 2),
        (Fault::DropAnswer, 2),
    ] {
        let scene = match fault {
            Fault::Timeout => scene_with_timeout(CALL_TIMEOUT).await,
            _ => scene().await,
        };
        let rule = scene.faults.add(Rule::new("dynamodb:GetItem", fault)).await;
        assert_eq!(scene.get_item().await, Ok(()), "{fault:?}");
        assert_eq!(rule.hits().await, 1, "{fault:?}");
        assert_eq!(scene.upstream.arrived().len(), arrived, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_a_timeout() {
    let scene = scene_with_timeout(CALL_TIMEOUT).await;
    let rule = Rule::new("dynamodb:GetItem", Fault::Timeout).for_all();
    let _rule = scene.faults.add(rule).await;
    assert_eq!(scene.get_item().await, Err("timeout".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_goes_on_when_it_is_released() {
    let scene = scene().await;
    let rule = scene
        .faults
        .add(Rule::new("s3:UploadPart", Fault::Hold))
        .await;
    let ask = scene.upload_part(1);
    let steer = async {
        rule.until_it_holds().await;
        assert_eq!(scene.upstream.arrived(), []);
        rule.release().await;
    };
    assert_eq!(tokio::join!(ask, steer).0, Ok(()));
    assert_eq!(scene.upstream.arrived().len(), 1);

    let rule = scene
        .faults
        .add(Rule::new("s3:UploadPart", Fault::Hold))
        .await;
    let steer = async {
        rule.until_it_holds().await;
        drop(rule);
    };
    assert_eq!(tokio::join!(scene.upload_part(1), steer).0, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_part_arrives_whole_and_as_it_was_signed() {
    let scene = scene().await;
    let _rule = scene
        .faults
        .add(Rule::new("s3:UploadPart", Fault::Throttle))
        .await;
    assert_eq!(scene.upload_part(32 * MIB).await, Ok(()));
    let arrived = scene.upstream.arrived();
    let [(host, path, length)] = &arrived[..] else {
        panic!("{arrived:?}")
    };
    assert_eq!(format!("http://{host}"), scene.url);
    assert_eq!(
        path,
        "/b/job-17.raw?x-id=UploadPart&partNumber=1&uploadId=u"
    );
    assert_eq!(*length, 32 * MIB);
}

/// Runs a program as a function runs. It reads the record of job 17, and then uploads a part.
async fn run_function(scene: &Scene) -> std::process::ExitStatus {
    let signed = |service: &str| {
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    };
    let part = format!("{}/b/job-17.raw?partNumber=1&uploadId=u", scene.url);
    Command::new("curl")
        .env("AWS_LAMBDA_FUNCTION_NAME", "cloudupload-Transfer-1A2B3C")
        .args(["-s", "--noproxy", "*", "-H", &signed("dynamodb")])
        .args(["-H", "X-Amz-Target: DynamoDB_20120810.GetItem"])
        .args(["-d", &json!({ "Key": { "id": { "S": "17" } } }).to_string()])
        .args([
            &scene.url,
            "--next",
            "-s",
            "--noproxy",
            "*",
            "-H",
            &signed("s3"),
        ])
        .args(["-X", "PUT", "-d", "disk", &part])
        .stdout(std::process::Stdio::null())
        .status()
        .await
        .expect("curl runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_knows_who_calls_and_for_which_job() {
    let scene = scene().await;
    let other = Rule {
        job: Some("18".to_owned()),
        ..Rule::new("s3:UploadPart", Fault::Kill)
    };
    let _other = scene.faults.add(other).await;
    assert!(run_function(&scene).await.success());
    let once = |call: &str| CallCount {
        job: Some("17".to_owned()),
        function: Some(function::TRANSFER.to_owned()),
        call: call.to_owned(),
        count: 1,
    };
    let calls = [once("dynamodb:GetItem"), once("s3:UploadPart")];
    assert_eq!(scene.faults.calls_for(JobId::new(17)).await, calls);
    assert_eq!(scene.faults.calls_for(JobId::new(18)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_killed_with_its_call_or_before() {
    for (fault, arrived) in [(Fault::Kill, 2), (Fault::KillBefore, 1)] {
        let scene = scene().await;
        let rule = Rule {
            job: Some("17".to_owned()),
            function: Some(function::TRANSFER.to_owned()),
            ..Rule::new("s3:UploadPart", fault)
        };
        let rule = scene.faults.add(rule).await;
        assert_eq!(run_function(&scene).await.signal(), Some(9), "{fault:?}");
        assert_eq!(rule.hits().await, 1);
        assert_eq!(scene.upstream.arrived().len(), arrived, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_looks_gets_an_answer() {
    let scene = scene().await;
    let answer = reqwest::get(&scene.url).await.expect("the proxy answers");
    assert!(answer.status().is_success());
    assert_eq!(scene.faults.all_calls().await, []);

    let wrong = reqwest::Client::new().post(format!("{}/_faults/rules", scene.url));
    let answer = wrong
        .body(r#"{"call": "s3:GetObject", "fault": "throttled"}"#)
        .send()
        .await;
    assert_eq!(answer.expect("the proxy answers").status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_ends_with_a_test_that_panics() {
    let scene = scene().await;
    let faults = scene.faults.clone();
    let test = tokio::spawn(async move {
        let rule = Rule::new("dynamodb:GetItem", Fault::AccessDenied);
        let _rule = faults.add(rule).await;
        panic!("as tests do");
    });
    assert!(test.await.is_err());
    assert_eq!(scene.get_item().await, Ok(()));
}
