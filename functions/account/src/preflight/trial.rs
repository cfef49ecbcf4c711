//! Tries a role that a user wants to connect, before there is any job.

use cloudupload::{
    clock::Timestamp,
    job::{Cloud, Job, JobId, Source, UploadRequest},
    names::Arch,
    random,
    target::{Ec2Target, ExternalId, RoleArn, Wishes},
    trial::{RoleReport, RoleTrial},
};

use super::{CopyRoute, PreflightError, choice};
use crate::{Accounts, Purpose, SessionError};

/// Why a role cannot be connected.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("{0}")]
    Preflight(#[from] PreflightError),
    /// Anybody who knows its ARN could upload into its account.
    #[error(
        "the role {0} can be assumed with any external ID: its trust policy does not ask for yours. Add the condition \
         \"StringEquals\": {{\"sts:ExternalId\": \"<your external ID>\"}} to it, or deploy infra/user-account.yaml"
    )]
    AnyExternalId(RoleArn),
}

impl Accounts {
    /// Assumes the role, and finds out what it allows. A role that can be assumed with another external ID is refused (IAM user
    /// guide, "Access to AWS accounts owned by third parties").
    pub async fn try_role(
        &self,
        trial: &RoleTrial,
        copy: CopyRoute,
    ) -> Result<RoleReport, TrialError> {
        let job = nobody_s_job(trial, trial.external_id.clone());
        let session = self.session(&job, Purpose::Preflight).await?;
        self.refuse_any_external_id(trial).await?;
        let (required, findings) = session.find_out(copy).await?;
        Ok(choice::report(&required, &findings))
    }

    async fn refuse_any_external_id(&self, trial: &RoleTrial) -> Result<(), TrialError> {
        let other = random::hex::<16>().try_into();
        let job = nobody_s_job(trial, other.expect("STS takes hex digits"));
        match self.session(&job, Purpose::Preflight).await {
            Err(SessionError::Refused { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err(TrialError::AnyExternalId(trial.role.clone())),
        }
    }
}

/// The preflight is that of a job. This one has the last number, which no job ever gets to, and is written down nowhere.
fn nobody_s_job(trial: &RoleTrial, external_id: ExternalId) -> Job {
    const NAME: &str = "obs-cloudupload-trial";
    let legal = "OBS takes the name of the trial";
    let request = UploadRequest {
        user: NAME.parse().expect(legal),
        target: Cloud::Ec2,
        project: NAME.parse().expect(legal),
        repository: NAME.parse().expect(legal),
        package: NAME.parse().expect(legal),
        arch: Arch::X86_64,
        filename: NAME.parse().expect(legal),
        source: Source::Obs,
        size: 1,
        ec2: Ec2Target {
            role: trial.role.clone(),
            external_id,
            region: trial.region,
            ami_name: NAME.parse().expect("EC2 takes the name of the trial"),
            vpc_subnet_id: None,
            wishes: Wishes::default(),
        },
    };
    let id = JobId::new(JobId::MAX.into()).expect("the last number is one");
    Job::new(id, request, Timestamp::now())
}

#[cfg(test)]
mod tests {
    use cloudupload::{retry, trial::RouteVerdict};
    use fake_endpoint::{Answer, Call, Endpoint, ec2};
    use serde_json::json;

    use super::*;

    const OWN: &str = "the-user-s-own-id";

    /// An AWS in which this external ID counts, or any, and whose role may do all but what is refused.
    fn aws(any: bool, refused: &'static str) -> Endpoint {
        Endpoint::new(move |call: &Call| match call.name.as_str() {
            "AssumeRole" if any || call.parameter("ExternalId") == OWN => call.credentials(),
            "AssumeRole" => call.refusal(403, "AccessDenied", "not authorized"),
            name if name == refused => call.refusal(403, "UnauthorizedOperation", "no"),
            "DescribeImages" => ec2::images(call, &[]),
            "HeadBucket" => Answer::ok(""),
            _ if call.path.starts_with("/snapshots") => call.refusal(
                404,
                "ResourceNotFoundException",
                "The snapshot does not exist.",
            ),
            _ => call.refusal(412, "DryRunOperation", "Request would have succeeded"),
        })
    }

    async fn tried(endpoint: &Endpoint, external_id: &str) -> Result<RoleReport, TrialError> {
        retry::testing::skip_pauses();
        let accounts = Accounts {
            config: endpoint.config(),
            deployment: "0a1b".to_owned(),
        };
        let trial = serde_json::from_value(json!({
            "role": "arn:aws:iam::123456789012:role/obs", "external_id": external_id, "region": "us-east-1",
        }));
        accounts
            .try_role(&trial.unwrap(), CopyRoute::Disabled)
            .await
    }

    #[tokio::test]
    async fn a_role_is_reported_with_all_that_it_may() {
        let endpoint = aws(false, "CopySnapshot");
        let report = tried(&endpoint, OWN).await.unwrap();
        assert!(report.is_usable());
        let verdicts: Vec<_> = report.routes.iter().map(|route| route.verdict).collect();
        use RouteVerdict::{Allowed, SwitchedOff};
        assert_eq!(verdicts, [Allowed, Allowed, SwitchedOff]);
        let endpoint = aws(false, "RegisterImage");
        let report = tried(&endpoint, OWN).await.unwrap();
        assert_eq!(report.missing, ["ec2:RegisterImage"]);
        assert!(!report.is_usable());
    }

    #[tokio::test]
    async fn a_role_of_somebody_else_is_refused() {
        let endpoint = aws(false, "");
        let error = tried(&endpoint, "the-other-user-s-id").await.unwrap_err();
        assert!(error.to_string().contains("cannot be assumed"), "{error}");
        assert_eq!(endpoint.names(), ["AssumeRole"]);
    }

    #[tokio::test]
    async fn a_role_that_asks_for_no_external_id_is_refused_and_not_used() {
        let endpoint = aws(true, "");
        let error = tried(&endpoint, OWN).await.unwrap_err();
        assert!(matches!(error, TrialError::AnyExternalId(_)), "{error}");
        assert_eq!(endpoint.names(), ["AssumeRole"; 2]);
    }
}
