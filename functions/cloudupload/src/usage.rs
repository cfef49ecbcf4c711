//! Counts what an invocation uses of the things that AWS bills.
//!
//! The counter sits in the HTTP client that all clients of AWS share, so that no client can be forgotten, and each attempt
//! is counted that AWS answered. Which account pays is told by the key that signed the request.

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ConfigBag;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpClient, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use tokio::time::Instant;

use crate::job::Usage;

/// Counts for one invocation at a time, as Lambda invokes a function's process.
#[derive(Clone, Debug)]
pub struct UsageCounter {
    /// The id of the service's own access key.
    own_key: Arc<str>,
    state: Arc<Mutex<Invocation>>,
}

/// The invocation that is counted.
#[derive(Debug)]
struct Invocation {
    began: Instant,
    transitions: u64,
    memory_mib: u64,
    /// But for the function itself.
    usage: Usage,
}

impl UsageCounter {
    pub fn new(own_key: impl Into<Arc<str>>) -> Self {
        Self {
            own_key: own_key.into(),
            state: Arc::new(Mutex::new(Invocation {
                began: Instant::now(),
                transitions: 0,
                memory_mib: 0,
                usage: Usage::default(),
            })),
        }
    }

    /// The same configuration, whose clients are counted.
    pub fn counting(&self, config: SdkConfig) -> SdkConfig {
        let inner = config.http_client().unwrap_or_else(https_client);
        let client = CountingClient {
            inner,
            counter: self.clone(),
            region: config
                .region()
                .map(ToString::to_string)
                .unwrap_or_default()
                .into(),
        };
        let client = SharedHttpClient::new(client);
        config.into_builder().http_client(client).build()
    }

    /// Begins to count for an invocation of a step.
    pub fn begin(&self, step: &str, memory_mib: u64) {
        *self.lock() = Invocation {
            began: Instant::now(),
            transitions: transitions(step),
            memory_mib,
            usage: Usage::default(),
        };
    }

    /// What the invocation has used so far.
    pub fn so_far(&self) -> Usage {
        let state = self.lock();
        // Lambda bills whole milliseconds (AWS Lambda pricing).
        let time = state.began.elapsed() + Duration::from_micros(999);
        let function_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut usage = state.usage;
        usage += Usage {
            invocations: 1,
            transitions: state.transitions,
            function_ms,
            function_mib_ms: function_ms.saturating_mul(state.memory_mib),
            ..Usage::default()
        };
        usage
    }

    fn add(&self, usage: Usage) {
        self.lock().usage += usage;
    }

    fn lock(&self) -> MutexGuard<'_, Invocation> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The states of the workflow that are entered for an invocation of a step: the one that invokes it, and those around it
/// that invoke nothing. Waits for a slot, which are entered for nothing else, are not among them.
fn transitions(step: &str) -> u64 {
    match step {
        "connect" | "deregister" => 0, // no steps: `api` invokes them
        "preflight" => 3,              // Begin, Pushed?
        "receive" => 2,                // Received?
        "prepare" => 2,                // Transfer, whose slices are states of their own
        "poll" => 3,                   // Wait, Imported?
        "finish" => 3,                 // Succeeded?, and the end
        _ => 1,
    }
}

/// What the SDK takes where no client is given.
fn https_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// An HTTP client that counts.
#[derive(Clone, Debug)]
struct CountingClient {
    inner: SharedHttpClient,
    counter: UsageCounter,
    /// The region that the service is in.
    region: Arc<str>,
}

impl HttpClient for CountingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(CountingConnector {
            inner: self.inner.http_connector(settings, components),
            client: self.clone(),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct CountingConnector {
    inner: SharedHttpConnector,
    client: CountingClient,
}

impl HttpConnector for CountingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = BilledCall::of(&request, &self.client);
        let counter = self.client.counter.clone();
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if let (Some(call), Ok(answer)) = (call, &answer) {
                counter.add(call.usage(answer));
            }
            answer
        })
    }
}

/// The account that a call is billed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payer {
    Service,
    User,
}

/// What a call is billed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Block,
    S3Write,
    S3Read,
    ReadUnits(u64),
    WriteUnits(u64),
    /// Costs nothing for each call.
    Free,
}

/// A call, as AWS bills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BilledCall {
    payer: Payer,
    kind: Kind,
    sent: u64,
    is_abroad: bool,
}

impl BilledCall {
    /// None if the request is not signed: then it is none to an API of AWS.
    fn of(request: &HttpRequest, client: &CountingClient) -> Option<Self> {
        let headers = request.headers();
        let signer = Signer::read(headers.get("authorization")?)?;
        let target = headers.get("x-amz-target").unwrap_or_default();
        let kind = match signer.service {
            "ebs" if request.method() == "PUT" => Kind::Block,
            "s3" => s3(request.method(), query(request.uri())),
            "dynamodb" => dynamodb(target.rsplit('.').next().unwrap_or_default()),
            _ => Kind::Free,
        };
        Some(Self {
            payer: match signer.key == &*client.counter.own_key {
                true => Payer::Service,
                false => Payer::User,
            },
            kind,
            sent: length(headers.get("content-length")).unwrap_or_default(),
            is_abroad: signer.region != &*client.region,
        })
    }

    fn usage(self, answer: &HttpResponse) -> Usage {
        let mut usage = Usage {
            sent: self.sent,
            sent_abroad: if self.is_abroad { self.sent } else { 0 },
            fetched: length(answer.headers().get("content-length")).unwrap_or_default(),
            ..Usage::default()
        };
        let (calls, blocks, s3_writes, s3_reads) = match self.payer {
            Payer::Service => (
                &mut usage.own_calls,
                &mut usage.own_blocks,
                &mut usage.own_s3_writes,
                &mut usage.own_s3_reads,
            ),
            Payer::User => (
                &mut usage.user_calls,
                &mut usage.user_blocks,
                &mut usage.user_s3_writes,
                &mut usage.user_s3_reads,
            ),
        };
        *calls = 1;
        match self.kind {
            // "Charged per block written" (EBS user guide, "Pricing for EBS direct APIs").
            Kind::Block => *blocks = answer.status().is_success().into(),
            Kind::S3Write => *s3_writes = 1,
            Kind::S3Read => *s3_reads = 1,
            Kind::ReadUnits(units) => usage.read_units = units,
            Kind::WriteUnits(units) => usage.write_units = units,
            Kind::Free => {}
        }
        usage
    }
}

/// Who signed a request, and for what (IAM user guide, "Elements of an AWS API request signature").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signer<'a> {
    key: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Signer<'a> {
    /// `authorization` has `Credential=AKIA.../20260101/eu-central-1/s3/aws4_request`.
    fn read(authorization: &'a str) -> Option<Self> {
        let (_, credential) = authorization.split_once("Credential=")?;
        let mut scope = credential.split(',').next()?.split('/');
        let (key, _date) = (scope.next()?, scope.next()?);
        Some(Self {
            key,
            region: scope.next()?,
            service: scope.next()?,
        })
    }
}

fn query(uri: &str) -> &str {
    uri.split_once('?').map_or("", |(_, query)| query)
}

/// Amazon S3 pricing, "Requests & data retrievals": DELETE and CANCEL requests are free.
fn s3(method: &str, query: &str) -> Kind {
    let lists = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default();
        ["list-type", "uploads", "uploadId"].contains(&key)
    };
    match method {
        "DELETE" => Kind::Free,
        "PUT" | "POST" => Kind::S3Write,
        "GET" if query.split('&').any(lists) => Kind::S3Write,
        _ => Kind::S3Read,
    }
}

/// A record has less than 4 KiB, for which a read takes one unit, a write four, and a write in a transaction, with those of
/// a slot and an event beside it, twelve (DynamoDB developer guide, "DynamoDB on-demand capacity mode").
fn dynamodb(operation: &str) -> Kind {
    match operation {
        "GetItem" | "Query" => Kind::ReadUnits(1),
        "BatchGetItem" => Kind::ReadUnits(100),
        "PutItem" | "UpdateItem" | "DeleteItem" => Kind::WriteUnits(WRITE_UNITS),
        "TransactWriteItems" => Kind::WriteUnits(12),
        _ => Kind::Free,
    }
}

const WRITE_UNITS: u64 = 4;

/// The write by which the record gets an invocation's usage, which has to be in it.
pub(crate) fn of_the_write() -> Usage {
    Usage {
        own_calls: 1,
        write_units: WRITE_UNITS,
        ..Usage::default()
    }
}

fn length(header: Option<&str>) -> Option<u64> {
    header?.parse().ok()
}
