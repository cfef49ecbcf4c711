//! EventBridge's default event bus, on which others hear of jobs.

use std::time::Duration;

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_eventbridge::{
    Client,
    config::Builder,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use serde::Serialize;

use crate::{aws::Failure, clock::Timestamp};

/// The most events in one request (EventBridge API reference, PutEvents).
pub const LARGEST_BATCH: usize = 10;

/// The time that telling others may hold up whoever has changed a job's state, an API call included. What is not sent then,
/// the sweeper sends.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(800);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1200);

/// The configuration of clients for calls that nobody should have to wait for.
pub(crate) fn best_effort(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(Duration::from_millis(100));
    config
        .to_builder()
        .timeout_config(timeouts)
        .retry_config(retries)
        .build()
}

/// An event to be sent.
#[derive(Clone, Debug)]
pub struct BusEvent {
    entry: PutEventsRequestEntry,
}

impl BusEvent {
    /// An event of something that happened then.
    pub fn new(
        source: &str,
        detail_type: &str,
        at: Timestamp,
        detail: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        let entry = PutEventsRequestEntry::builder()
            .source(source)
            .detail_type(detail_type)
            .time(at.date_time())
            .detail(serde_json::to_string(detail)?);
        Ok(Self {
            entry: entry.build(),
        })
    }
}

/// Why EventBridge did not take an event that was in a request beside others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("events:PutEvents did not take it: {code}: {message}")]
pub struct NotTaken {
    pub code: String,
    pub message: String,
}

/// The event bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    client: Client,
}

impl EventBus {
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(Builder::from(&best_effort(config)).build()),
        }
    }

    /// Sends events, [`LARGEST_BATCH`] at most. Gives what became of each, in their order: a request that is answered well
    /// may have been taken in part (EventBridge user guide, "Handling failures with PutEvents").
    pub async fn put(&self, events: Vec<BusEvent>) -> Result<Vec<Result<(), NotTaken>>, Failure> {
        let sent = events.len();
        let entries = events.into_iter().map(|event| event.entry).collect();
        let answer = self
            .client
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(Failure::of("events:PutEvents"))?;
        let results = answer.entries.unwrap_or_default();
        if results.len() != sent {
            let message = format!("{} results for {sent} events", results.len());
            return Err(Failure::unexpected("events:PutEvents", message));
        }
        Ok(results.into_iter().map(taken).collect())
    }
}

/// An event that was taken has an id, another a code (EventBridge API reference, PutEventsResultEntry).
fn taken(result: PutEventsResultEntry) -> Result<(), NotTaken> {
    match (result.event_id, result.error_code) {
        (Some(_), None) => Ok(()),
        (_, code) => Err(NotTaken {
            code: code.unwrap_or_else(|| "no id".to_owned()),
            message: result.error_message.unwrap_or_default(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use fake_endpoint::{Answer, Endpoint};
    use serde_json::json;

    use super::*;

    fn event(number: u32) -> BusEvent {
        let at = Timestamp::from_secs(1795445844);
        BusEvent::new("obs.test", "Test", at, &json!({ "number": number })).unwrap()
    }

    async fn put(
        answer: impl FnMut(&fake_endpoint::Call) -> Answer + Send + 'static,
    ) -> (Endpoint, Result<Vec<Result<(), NotTaken>>, Failure>) {
        let endpoint = Endpoint::new(answer);
        let bus = EventBus::new(&endpoint.config());
        let put = bus.put(vec![event(1), event(2)]).await;
        (endpoint, put)
    }

    #[tokio::test]
    async fn events_go_to_the_default_bus_with_their_time() {
        let answer =
            json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}, {"EventId": "2"}]});
        let (endpoint, put) = put(move |_| Answer::json(&answer)).await;
        assert_eq!(put.unwrap(), [Ok(()), Ok(())]);
        let calls = endpoint.calls();
        assert_eq!(endpoint.names(), ["PutEvents"]);
        let entry = &calls[0].json()["Entries"][0];
        let expected = json!({
            "Source": "obs.test", "DetailType": "Test", "Time": 1795445844, "Detail": r#"{"number":1}"#,
        });
        assert_eq!(entry, &expected);
    }

    #[tokio::test]
    async fn an_event_that_is_not_taken_is_told_from_those_that_are() {
        let refused = json!({"ErrorCode": "InternalFailure", "ErrorMessage": "trouble"});
        let answer = json!({"FailedEntryCount": 1, "Entries": [refused, {"EventId": "2"}]});
        let (_endpoint, put) = put(move |_| Answer::json(&answer)).await;
        let put = put.unwrap();
        let error = put[0].as_ref().unwrap_err();
        assert_eq!(error.code, "InternalFailure");
        assert!(put[1].is_ok());
    }

    #[tokio::test]
    async fn an_answer_that_tells_of_fewer_events_is_a_failure() {
        let answer = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]});
        let (_endpoint, put) = put(move |_| Answer::json(&answer)).await;
        assert!(put.unwrap_err().transient);
    }

    #[tokio::test]
    async fn trouble_is_tried_once_more() {
        let (endpoint, put) = put(|call| call.refusal(500, "InternalException", "trouble")).await;
        assert!(put.unwrap_err().transient);
        assert_eq!(endpoint.names().len(), 2);
    }
}
