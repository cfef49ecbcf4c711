//! How every function talks to AWS: one retry layer with one budget, a timeout on everything, and failures that say
//! which call failed and why.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_config::{
    BehaviorVersion, SdkConfig,
    retry::RetryConfig,
    timeout::{TimeoutConfig, TimeoutConfigBuilder},
};
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use aws_smithy_runtime_api::client::retries::RequestAttempts;

/// How long a call to AWS may take, its retries included.
#[derive(Clone, Copy, Debug)]
pub enum CallBudget {
    /// A client waits for an HTTP answer, and API Gateway gives up after 30 s: 15 s.
    Request,
    /// A step of a job: 4 minutes, which outlasts a minute of throttling.
    Step,
}

/// The configuration of every AWS client: credentials and region from the environment, as Lambda gives them.
///
/// The SDK retries after throttling, 5xx, timeouts and broken connections, with full jitter. Other errors come back at
/// once.
pub async fn config(budget: CallBudget) -> SdkConfig {
    let (retries, timeouts) = limits(budget);
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(retries)
        .timeout_config(timeouts.build())
        .load()
        .await
}

fn limits(budget: CallBudget) -> (RetryConfig, TimeoutConfigBuilder) {
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(3));
    match budget {
        CallBudget::Request => (
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(200))
                .with_max_backoff(Duration::from_secs(2)),
            timeouts
                .operation_attempt_timeout(Duration::from_secs(5))
                .operation_timeout(Duration::from_secs(15)),
        ),
        CallBudget::Step => (
            RetryConfig::standard()
                .with_max_attempts(9)
                .with_max_backoff(Duration::from_secs(20)),
            timeouts
                .operation_attempt_timeout(Duration::from_secs(15))
                .operation_timeout(Duration::from_secs(240)),
        ),
    }
}

/// The time that one attempt at a call of S3 may take in a step.
const S3_ATTEMPT: Duration = Duration::from_secs(60);

/// The configuration of an S3 client. In a step, a part of an upload, or the object made of thousands of them, takes longer
/// than other calls do. A request has no time for such calls, and makes others only.
pub fn s3_config(config: &SdkConfig) -> aws_sdk_s3::config::Builder {
    let timeouts = config.timeout_config();
    let whole = timeouts.and_then(TimeoutConfig::operation_timeout);
    let client = aws_sdk_s3::config::Builder::from(config);
    if whole.is_some_and(|whole| whole <= S3_ATTEMPT) {
        return client;
    }
    let timeouts = timeouts
        .map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
        .operation_attempt_timeout(S3_ATTEMPT);
    client.timeout_config(timeouts.build())
}

/// See [`s3_config`].
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(s3_config(config).build())
}

/// Counts the retries of the clients that have it for an interceptor, so that a job's log can tell of them.
#[derive(Clone, Debug, Default)]
pub struct RetryCount(Arc<AtomicU32>);

impl RetryCount {
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for RetryCount {
    fn name(&self) -> &'static str {
        "RetryCount"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if config
            .load::<RequestAttempts>()
            .is_some_and(|attempts| attempts.attempts() > 1)
        {
            self.add();
        }
        Ok(())
    }
}

/// An AWS call that failed, after its retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// The call as IAM names it, such as `ec2:RegisterImage`.
    pub call: &'static str,
    /// The error code, where AWS answered with one.
    pub code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
    /// Whether the same call may succeed later: AWS was throttling, in trouble, or not to be reached.
    pub transient: bool,
}

/// What AWS answers with when another call on the same thing is in the way (API reference of DynamoDB, TransactWriteItems;
/// of S3, "Error responses"). A transaction that was cancelled for a condition is told apart before.
const CONFLICT_CODES: &[&str] = &[
    "OperationAborted",
    "TransactionCanceledException",
    "TransactionConflictException",
];

/// S3's code for trouble of its own, which may come with status 200 (API reference, CompleteMultipartUpload).
const TROUBLE_CODES: &[&str] = &["InternalError"];

impl Failure {
    /// For `map_err` behind the call named.
    pub fn of<E>(call: &'static str) -> impl FnOnce(SdkError<E>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        SdkError<E>: RequestId,
    {
        move |error| Failure {
            call,
            transient: is_transient(&error),
            code: error
                .code()
                .or_else(|| bare_code(&error))
                .map(str::to_owned),
            message: match (error.message(), &error) {
                (Some(message), _) => message.to_owned(),
                (None, SdkError::ServiceError(refused)) => {
                    format!("HTTP status {}", refused.raw().status())
                }
                (None, error) => DisplayErrorContext(error).to_string(),
            },
            request_id: error.request_id().map(str::to_owned),
        }
    }

    /// A failure that AWS did not report: the answer to this call broke, or lacks what has to be in it.
    pub fn unexpected(call: &'static str, message: impl Into<String>) -> Self {
        Self {
            call,
            code: None,
            message: message.into(),
            request_id: None,
            transient: true,
        }
    }

    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    pub fn has_any_code(&self, codes: &[&str]) -> bool {
        codes.iter().any(|code| self.has_code(code))
    }

    /// The same failure, transient too if AWS refused with one of these codes: they mean that AWS does not know yet what
    /// was made a moment ago.
    pub fn transient_on(self, codes: &[&str]) -> Self {
        Self {
            transient: self.transient || self.has_any_code(codes),
            ..self
        }
    }
}

/// The answer, or nothing where AWS refused with one of these codes.
pub fn ok_on_codes<T>(codes: &[&str], answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(failure) if failure.has_any_code(codes) => Ok(None),
        answer => answer.map(Some),
    }
}

/// The code of a refusal without a body: the answer to a HEAD request has none (S3 API reference,
/// HeadObject).
fn bare_code<E>(error: &SdkError<E>) -> Option<&'static str> {
    match error.raw_response()?.status().as_u16() {
        403 => Some("Forbidden"),
        404 => Some("NotFound"),
        _ => None,
    }
}

fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status();
            status.is_server_error()
                // No refusal, but an answer that cannot be read.
                || (status.is_success() && error.code().is_none())
                || error.code().is_some_and(|code| {
                    [THROTTLING_ERRORS, TRANSIENT_ERRORS, CONFLICT_CODES, TROUBLE_CODES]
                        .iter()
                        .any(|codes| codes.contains(&code))
                })
        }
        // Timeouts, broken connections.
        _ => true,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: ", self.call)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        config::http::HttpResponse, error::ErrorMetadata, operation::get_item::GetItemError,
    };
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn refused(status: u16, code: Option<&str>) -> Failure {
        let error = match code {
            Some(code) => ErrorMetadata::builder().code(code),
            None => ErrorMetadata::builder(),
        };
        let status = status.try_into().unwrap();
        let answer = HttpResponse::new(status, SdkBody::empty());
        let error = SdkError::service_error(GetItemError::generic(error.build()), answer);
        Failure::of("dynamodb:GetItem")(error)
    }

    #[test]
    fn trouble_of_aws_is_transient_and_a_refusal_is_not() {
        for (status, code) in [
            (400, "ThrottlingException"),
            (400, "ProvisionedThroughputExceededException"),
            (400, "RequestTimeout"),
            (400, "TransactionConflictException"),
            (409, "OperationAborted"),
            (503, "SlowDown"),
            (503, "RequestLimitExceeded"),
            (500, "InternalServerError"),
            (200, "InternalError"),
        ] {
            assert!(refused(status, Some(code)).transient, "{code}");
        }
        for (status, code) in [
            (400, "AccessDeniedException"),
            (403, "UnauthorizedOperation"),
            (400, "ValidationException"),
            (404, "NoSuchKey"),
        ] {
            assert!(!refused(status, Some(code)).transient, "{code}");
        }
        assert!(refused(200, None).transient);
        let slow: SdkError<GetItemError> = SdkError::timeout_error("late");
        assert!(Failure::of("dynamodb:GetItem")(slow).transient);
    }

    #[test]
    fn a_refusal_without_a_body_is_told_by_its_status() {
        assert_eq!(
            refused(403, None).to_string(),
            "dynamodb:GetItem failed: Forbidden: HTTP status 403"
        );
        assert!(refused(404, None).has_code("NotFound"));
    }

    #[test]
    fn what_aws_does_not_know_yet_is_transient() {
        let codes = &["NoSuchBucket"];
        assert!(
            refused(404, Some("NoSuchBucket"))
                .transient_on(codes)
                .transient
        );
        assert!(
            !refused(404, Some("NoSuchKey"))
                .transient_on(codes)
                .transient
        );
    }

    #[test]
    fn only_the_codes_named_are_ok() {
        let gone = || Err::<(), _>(refused(404, Some("NoSuchKey")));
        assert_eq!(ok_on_codes(&["NoSuchKey"], gone()), Ok(None));
        assert!(ok_on_codes(&["NoSuchBucket"], gone()).is_err());
        assert_eq!(ok_on_codes(&["NoSuchKey"], Ok(1)), Ok(Some(1)));
    }
}
