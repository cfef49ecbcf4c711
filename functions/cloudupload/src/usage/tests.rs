//! What calls of real clients are billed as.

use aws_config::{Region, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    config::{Credentials, SharedCredentialsProvider, retry::RetryConfig},
    types::AttributeValue,
};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_runtime_api::http::StatusCode;
use fake_endpoint::{Answer, Call, Endpoint};
use serde_json::json;

use super::*;
use crate::aws;

/// A counter of the service that owns the endpoint's key, and a configuration that it counts.
fn counted(endpoint: &Endpoint) -> (UsageCounter, SdkConfig) {
    let counter = UsageCounter::new("AKIASERVICE");
    let config = counter.counting(endpoint.config());
    (counter, config)
}

/// What was counted, but for the function itself.
fn calls_of(counter: &UsageCounter) -> Usage {
    Usage {
        invocations: 0,
        transitions: 0,
        function_ms: 0,
        function_mib_ms: 0,
        ..counter.so_far()
    }
}

async fn get_item(config: &SdkConfig) -> bool {
    let client = aws_sdk_dynamodb::Client::new(config);
    let key = AttributeValue::S("1".to_owned());
    let answer = client.get_item().table_name("jobs").key("id", key);
    answer.send().await.is_ok()
}

#[tokio::test]
async fn requests_to_s3_are_billed_by_their_verb() {
    let endpoint = Endpoint::new(|call: &Call| match call.name.as_str() {
        "GetObject" => Answer::ok("0123456789"),
        _ => Answer::ok(""),
    });
    let (counter, config) = counted(&endpoint);
    let s3 = aws::s3(&config);
    let body = ByteStream::from_static(b"12345");
    let put = s3.put_object().bucket("b").key("k").body(body);
    put.send().await.unwrap();
    let wrote = calls_of(&counter);
    assert_eq!(
        (wrote.own_calls, wrote.own_s3_writes, wrote.own_s3_reads),
        (1, 1, 0)
    );
    assert!((5..100).contains(&wrote.sent), "{wrote:?}");
    assert_eq!(wrote.sent_abroad, 0);

    let got = s3.get_object().bucket("b").key("k").send().await.unwrap();
    assert_eq!(got.content_length(), Some(10));
    let _ = s3.list_objects_v2().bucket("b").send().await;
    let _ = s3.list_multipart_uploads().bucket("b").send().await;
    let list = s3.list_parts().bucket("b").key("k").upload_id("u");
    let _ = list.send().await;
    let _ = s3.delete_object().bucket("b").key("k").send().await;
    let all = calls_of(&counter);
    assert_eq!(
        (all.own_calls, all.own_s3_writes, all.own_s3_reads),
        (6, 4, 1)
    );
    assert_eq!(all.fetched, 10);
}

#[tokio::test]
async fn who_signs_pays() {
    let endpoint = Endpoint::new(|_| Answer::ok(""));
    let (counter, config) = counted(&endpoint);
    let session = Credentials::builder()
        .provider_name("session")
        .access_key_id("ASIASESSION")
        .secret_access_key("secret")
        .build();
    let abroad = config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(session))
        .region(Region::new("eu-west-1"))
        .build();
    let body = ByteStream::from_static(b"12345");
    let put = aws::s3(&abroad)
        .put_object()
        .bucket("b")
        .key("k")
        .body(body);
    put.send().await.unwrap();
    let used = calls_of(&counter);
    assert_eq!((used.own_calls, used.own_s3_writes), (0, 0));
    assert_eq!((used.user_calls, used.user_s3_writes), (1, 1));
    assert_eq!(used.sent_abroad, used.sent);
    assert!(used.sent >= 5);
}

#[tokio::test]
async fn each_attempt_counts_that_is_answered() {
    let mut attempts = 0;
    let endpoint = Endpoint::new(move |call| {
        attempts += 1;
        match attempts {
            1 => Answer::never(),
            2 => call.refusal(400, "ThrottlingException", "slower"),
            _ => Answer::json(&json!({})),
        }
    });
    let (counter, config) = counted(&endpoint);
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(1));
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(300));
    let config = config
        .to_builder()
        .retry_config(retries)
        .timeout_config(timeouts.build())
        .build();
    assert!(get_item(&config).await);
    assert_eq!(endpoint.calls().len(), 3);
    let used = calls_of(&counter);
    assert_eq!((used.own_calls, used.read_units), (2, 2));
}

#[tokio::test]
async fn an_invocation_begins_at_nothing() {
    let endpoint = Endpoint::new(|_| Answer::json(&json!({})));
    let (counter, config) = counted(&endpoint);
    assert!(get_item(&config).await);
    counter.begin("poll", 512);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(get_item(&config).await);
    let used = counter.so_far();
    assert_eq!((used.own_calls, used.invocations), (1, 1));
    assert_eq!(used.transitions, 3);
    assert!(used.function_ms >= 20, "{used:?}");
    assert_eq!(used.function_mib_ms, 512 * used.function_ms);
}

/// A request as the SDK signs it.
fn signed(method: &str, uri: &str, service: &str, target: Option<&'static str>) -> HttpRequest {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_method(method).unwrap();
    request.set_uri(uri.to_owned()).unwrap();
    let headers = request.headers_mut();
    headers.insert(
        "Authorization",
        format!("AWS4-HMAC-SHA256 Credential=AKIASERVICE/20261127/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"),
    );
    if let Some(target) = target {
        headers.insert("x-amz-target", target);
    }
    request
}

fn billed(request: &HttpRequest, status: u16) -> Option<Usage> {
    let client = CountingClient {
        inner: https_client(),
        counter: UsageCounter::new("AKIASERVICE"),
        region: "us-east-1".into(),
    };
    let status = StatusCode::try_from(status).unwrap();
    let answer = HttpResponse::new(status, SdkBody::empty());
    Some(BilledCall::of(request, &client)?.usage(&answer))
}

#[test]
fn a_block_that_ebs_did_not_take_costs_nothing() {
    let put = signed(
        "PUT",
        "https://ebs.us-east-1.amazonaws.com/snapshots/snap-1/blocks/7",
        "ebs",
        None,
    );
    for (status, blocks) in [(201, 1), (400, 0), (503, 0)] {
        let used = billed(&put, status).unwrap();
        assert_eq!((used.own_calls, used.own_blocks), (1, blocks), "{status}");
    }
    let start = signed(
        "POST",
        "https://ebs.us-east-1.amazonaws.com/snapshots",
        "ebs",
        None,
    );
    assert_eq!(billed(&start, 201).unwrap().own_blocks, 0);
}

#[test]
fn dynamodb_is_billed_in_units() {
    for (target, units) in [
        ("DynamoDB_20120810.GetItem", (1, 0)),
        ("DynamoDB_20120810.Query", (1, 0)),
        ("DynamoDB_20120810.BatchGetItem", (100, 0)),
        ("DynamoDB_20120810.UpdateItem", (0, 4)),
        ("DynamoDB_20120810.TransactWriteItems", (0, 12)),
    ] {
        let call = signed(
            "POST",
            "https://dynamodb.us-east-1.amazonaws.com/",
            "dynamodb",
            Some(target),
        );
        let used = billed(&call, 200).unwrap();
        assert_eq!((used.read_units, used.write_units), units, "{target}");
    }
}

#[test]
fn who_signs_nothing_calls_no_api_of_aws() {
    assert_eq!(billed(&HttpRequest::empty(), 200), None);
}
