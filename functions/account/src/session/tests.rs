use cloudupload::error::StepError;
use fake_endpoint::{Answer, Call, Endpoint};
use serde_json::Value;

use super::*;
use crate::testing::{DEPLOYMENT, job};

fn accounts_at(endpoint: &Endpoint) -> Accounts {
    Accounts {
        config: endpoint.config(),
        deployment: DEPLOYMENT.to_owned(),
    }
}

async fn refused(answer: impl FnMut(&Call) -> Answer + Send + 'static) -> SessionError {
    let (endpoint, job) = (Endpoint::new(answer), job());
    let session = accounts_at(&endpoint).session(&job, Purpose::Write).await;
    session.unwrap_err()
}

#[tokio::test]
async fn a_session_may_do_what_its_purpose_needs_and_no_more() {
    for purpose in Purpose::ALL {
        let (endpoint, job) = (Endpoint::new(Call::credentials), job());
        accounts_at(&endpoint).session(&job, purpose).await.unwrap();
        let call = &endpoint.calls()[0];
        assert_eq!(
            call.parameter("RoleArn"),
            "arn:aws:iam::123456789012:role/obs"
        );
        assert_eq!(call.parameter("ExternalId"), "top-secret");
        assert_eq!(call.parameter("RoleSessionName"), "obs");
        assert_eq!(call.parameter("DurationSeconds"), "1800");
        let sent: Value = serde_json::from_str(call.parameter("Policy")).unwrap();
        let tag = JobTag::new(DEPLOYMENT, job.id);
        assert_eq!(sent, policy::of(purpose, &job, &tag));
        for statement in sent["Statement"].as_array().unwrap() {
            // Whatever is not about one bucket or object has a condition.
            let names_all = statement["Resource"] == "*";
            assert!(
                !names_all || statement["Condition"].is_object(),
                "{statement}"
            );
            let actions = statement["Action"].to_string();
            assert!(!actions.contains('*'), "{actions}");
        }
    }
}

#[tokio::test]
async fn a_session_works_in_the_region_of_the_target_with_its_own_credentials() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "AssumeRole" => call.credentials(),
        _ => fake_endpoint::ec2::images(call, &[]),
    });
    let mut job = job();
    job.request.ec2.region = serde_json::from_str("\"eu-central-1\"").unwrap();
    let session = accounts_at(&endpoint).session(&job, Purpose::Open).await;
    session.unwrap().ami().check_name().await.unwrap();
    let calls = endpoint.calls();
    let keys: Vec<_> = calls
        .iter()
        .map(|call| call.access_key().unwrap())
        .collect();
    assert_eq!(keys, ["AKIASERVICE", "ASIASESSION"]);
    let regions: Vec<_> = calls.iter().map(|call| call.region().unwrap()).collect();
    assert_eq!(regions, ["us-east-1", "eu-central-1"]);
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_told_with_what_to_do() {
    let message = "User: arn:aws:sts::999999999999:assumed-role/x/y is not authorized to perform: sts:AssumeRole on \
                   resource: arn:aws:iam::123456789012:role/obs";
    let error = refused(move |call| call.refusal(403, "AccessDenied", message)).await;
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "sts:AssumeRole failed: AccessDenied: {message}. The role "
        )) && text.contains(
            "role/obs cannot be assumed: it does not exist, it does not trust this service"
        ) && text.contains("Deploy infra/user-account.yaml")
            && !text.contains("top-secret"),
        "{text}"
    );
    assert!(matches!(StepError::from(error), StepError::Failed(_)));
}

#[tokio::test]
async fn an_sts_that_is_switched_off_in_the_region_is_told_with_what_to_do() {
    let message = "STS is not activated in this region for account:123456789012. Your account administrator can \
                   activate STS in this region using the IAM Console.";
    let error = refused(move |call| call.refusal(403, "RegionDisabledException", message)).await;
    let text = error.to_string();
    assert!(
        text.contains(message)
            && text.ends_with(
                "AWS STS is switched off in the region us-east-1 for the account named here: its administrator can \
                 switch it on in the IAM console (Account settings, Security Token Service)"
            ),
        "{text}"
    );
    assert!(matches!(StepError::from(error), StepError::Failed(_)));
}

#[tokio::test]
async fn an_sts_in_trouble_is_worth_another_try() {
    let error = refused(|call| call.refusal(400, "Throttling", "Rate exceeded")).await;
    assert!(matches!(StepError::from(error), StepError::Transient(_)));
}

#[tokio::test]
async fn an_answer_without_credentials_is_an_error() {
    let error = refused(|call| call.result("")).await;
    assert_eq!(
        error.to_string(),
        "sts:AssumeRole of arn:aws:iam::123456789012:role/obs answered without credentials"
    );
}
