//! The jobs' logs in CloudWatch Logs: one stream a job, a plain line an event.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::{
    Client, error::SdkError, operation::put_log_events::PutLogEventsError, types::InputLogEvent,
};
use tokio::time::timeout;

use crate::{
    aws::{self, Failure},
    clock::{self, Timestamp},
    job::JobId,
};

/// The log group of all jobs.
#[derive(Clone, Debug)]
pub struct Journal {
    client: Client,
    group: String,
}

/// A job's log so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub text: String,
    /// When the last line was written.
    pub modified: Timestamp,
    /// Where CloudWatch Logs goes on.
    next: Option<String>,
}

impl Journal {
    pub fn new(client: Client, group: String) -> Self {
        Self { client, group }
    }

    /// The log of one job, to write in.
    pub fn of(&self, job: JobId) -> JobLog {
        JobLog {
            journal: self.clone(),
            job,
        }
    }

    /// Adds to `log` the lines that a job's log has gained since it was read.
    pub async fn read_on(&self, job: JobId, log: &mut Log) -> Result<(), Failure> {
        loop {
            let answer = self
                .client
                .get_log_events()
                .log_group_name(&self.group)
                .log_stream_name(job.execution_name())
                .start_from_head(true)
                .set_next_token(log.next.clone())
                .send()
                .await;
            let page = match answer {
                Ok(page) => page,
                Err(SdkError::ServiceError(refused))
                    if refused.err().is_resource_not_found_exception() =>
                {
                    return Ok(()); // nothing was written yet
                }
                Err(error) => return Err(Failure::of("logs:GetLogEvents")(error)),
            };
            for event in page.events() {
                log.text.push_str(event.message().unwrap_or_default());
                log.text.push('\n');
                log.modified = event
                    .timestamp()
                    .and_then(|millis| u64::try_from(millis / 1000).ok())
                    .map_or(log.modified, Timestamp::from_secs);
            }
            // "If you have reached the end of the stream, it returns the same token you passed in" (API reference,
            // GetLogEvents); an empty page alone does not mean the end.
            if page.next_forward_token == log.next {
                return Ok(());
            }
            log.next = page.next_forward_token;
        }
    }
}

/// How long writing a line may take: enough for a second try after one without an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(40);

/// One job's log, to write in.
#[derive(Clone, Debug)]
pub struct JobLog {
    journal: Journal,
    job: JobId,
}

impl JobLog {
    /// Writes one line. A log that cannot be written is no reason to fail a job, or to keep it waiting: the line is in the
    /// function's own log.
    pub async fn line(&self, text: impl Into<String>) {
        self.lines(vec![text.into()]).await;
    }

    /// Writes lines by one call.
    pub async fn lines(&self, texts: Vec<String>) {
        for text in &texts {
            tracing::info!(job = %self.job, "{text}");
        }
        match timeout(WRITE_TIMEOUT, self.write(&texts)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                tracing::error!(job = %self.job, "a line of the job's log is lost: {failure}");
            }
            Err(_) => {
                tracing::error!(job = %self.job, "a line of the job's log is lost: no answer within {WRITE_TIMEOUT:?}");
            }
        }
    }

    async fn write(&self, texts: &[String]) -> Result<(), Failure> {
        // CloudWatch Logs sorts by the time.
        let times = clock::now_in_millis() as i64..;
        let events = times.zip(texts).map(|(time, text)| {
            InputLogEvent::builder()
                .timestamp(time)
                .message(one_line(text))
                .build()
                .expect("timestamp and message, the fields that must be there, are set")
        });
        let events: Vec<_> = events.collect();
        match self.put(events.clone()).await {
            Err(SdkError::ServiceError(refused))
                if refused.err().is_resource_not_found_exception() =>
            {
                self.create_stream().await?;
                self.put(events).await
            }
            answer => answer,
        }
        .map_err(Failure::of("logs:PutLogEvents"))
    }

    async fn put(&self, events: Vec<InputLogEvent>) -> Result<(), SdkError<PutLogEventsError>> {
        self.journal
            .client
            .put_log_events()
            .log_group_name(&self.journal.group)
            .log_stream_name(self.job.execution_name())
            .set_log_events(Some(events))
            .send()
            .await
            .map(drop)
    }

    async fn create_stream(&self) -> Result<(), Failure> {
        let answer = self
            .journal
            .client
            .create_log_stream()
            .log_group_name(&self.journal.group)
            .log_stream_name(self.job.execution_name())
            .send()
            .await
            .map_err(Failure::of("logs:CreateLogStream"));
        aws::ok_on_codes(&["ResourceAlreadyExistsException"], answer).map(drop)
    }
}

/// Messages come from outside too (OBS, AWS): a line break in one must not look like two lines of ours, and CloudWatch
/// refuses an empty message (API reference, InputLogEvent).
fn one_line(text: &str) -> String {
    let line: String = text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.is_empty() {
        " ".to_owned()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_from_outside_stays_one_line() {
        assert_eq!(
            one_line("no such file\r\nCreated image: ami-1\n"),
            "no such file  Created image: ami-1"
        );
        assert_eq!(one_line("\n"), " ");
    }
}
