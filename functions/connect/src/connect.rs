//! Assumes the role once, and reports what it may and may not.

use account::{Accounts, CopyRoute};
use cloudupload::{
    aws::CallBudget,
    environment::Environment,
    error::StepError,
    function::{Event, Function},
    job::JobId,
    settings::parsed,
    trial::{RoleTrial, TrialOutcome},
};
use lambda_runtime::tracing;
use serde::Deserialize;
use tokio::time::Instant;

pub struct Connect {
    accounts: Accounts,
    copy: CopyRoute,
}

/// What `api` sends.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct ConnectEvent(RoleTrial);

impl Event for ConnectEvent {
    fn job(&self) -> Option<JobId> {
        None
    }
}

impl Function for Connect {
    const NAME: &str = "connect";
    const BUDGET: CallBudget = CallBudget::Request;
    type Event = ConnectEvent;
    type Answer = TrialOutcome;

    fn from_env(environment: Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            accounts: Accounts::from_env(&environment)?,
            copy: parsed("COPY_ROUTE")?,
        })
    }

    /// A role that cannot be used is no failure of this function. Trouble of AWS is one.
    async fn handle(
        &self,
        ConnectEvent(trial): ConnectEvent,
        _deadline: Instant,
    ) -> Result<TrialOutcome, StepError> {
        let role = &trial.role;
        match self.accounts.try_role(&trial, self.copy).await {
            Ok(report) => {
                tracing::info!(%role, usable = report.is_usable(), "the role was assumed");
                Ok(TrialOutcome::Connected(report))
            }
            Err(error) => match StepError::from(error) {
                StepError::Failed(reason) => {
                    tracing::info!(%role, "refused: {reason}");
                    Ok(TrialOutcome::Refused(reason))
                }
                error => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use cloudupload::retry;
    use fake_endpoint::{Answer, Call, Endpoint, ec2};
    use serde_json::json;

    use super::*;

    const OWN: &str = "the-user-s-own-id";

    async fn tried(endpoint: &Endpoint) -> Result<TrialOutcome, StepError> {
        retry::testing::skip_pauses();
        let connect = Connect {
            accounts: Accounts {
                config: endpoint.config(),
                deployment: "0a1b".to_owned(),
            },
            copy: CopyRoute::Enabled,
        };
        let event = json!({
            "role": "arn:aws:iam::123456789012:role/obs", "external_id": OWN, "region": "us-east-1",
        });
        let event = serde_json::from_value(event).unwrap();
        connect.handle(event, Instant::now()).await
    }

    #[tokio::test]
    async fn a_role_that_trusts_the_external_id_is_connected() {
        let endpoint = Endpoint::new(|call: &Call| match call.name.as_str() {
            "AssumeRole" if call.parameter("ExternalId") == OWN => call.credentials(),
            "AssumeRole" => call.refusal(403, "AccessDenied", "not authorized"),
            "DescribeImages" => ec2::images(call, &[]),
            "HeadBucket" => Answer::ok(""),
            _ if call.path.starts_with("/snapshots") => {
                call.refusal(404, "ResourceNotFoundException", "no such snapshot")
            }
            _ => call.refusal(412, "DryRunOperation", "Request would have succeeded"),
        });
        let outcome = tried(&endpoint).await.unwrap();
        assert!(
            matches!(&outcome, TrialOutcome::Connected(report) if report.is_usable()),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn a_refusal_is_an_answer_and_trouble_of_aws_a_failure() {
        let answering = |status, code| {
            Endpoint::new(move |call: &Call| call.refusal(status, code, "not authorized"))
        };
        let outcome = tried(&answering(403, "AccessDenied")).await.unwrap();
        assert!(
            matches!(&outcome, TrialOutcome::Refused(reason) if reason.contains("cannot be assumed")),
            "{outcome:?}"
        );
        let error = tried(&answering(503, "ServiceUnavailable"))
            .await
            .unwrap_err();
        assert!(matches!(error, StepError::Transient(_)), "{error}");
    }
}
