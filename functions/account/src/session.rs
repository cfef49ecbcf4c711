//! A session under the role that a job names.

#[cfg(test)]
mod tests;

use aws_config::SdkConfig;
use aws_sdk_ec2::config::{Credentials, Region};
use aws_sdk_sts::error::ProvideErrorMetadata;
use cloudupload::{
    aws::Failure,
    environment::Environment,
    job::Job,
    journal::JobLog,
    settings::{SettingError, setting},
    store::Jobs,
    target,
};

use crate::{
    ami::Ami,
    policy::{self, Purpose},
    route::JobRoute,
    tags::JobTag,
};

/// Why there is no session in the user's account.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// STS does not say which of these it is, so that nobody can probe for roles.
    #[error(
        "{failure}. The role {role} cannot be assumed: it does not exist, it does not trust this service, or the \
         external ID is another one than in the role's trust policy. Deploy infra/user-account.yaml with the external ID \
         that OBS shows, and give OBS the role ARN that it puts out"
    )]
    Refused { role: String, failure: Failure },
    #[error(
        "{failure}. AWS STS is switched off in the region {region} for the account named here: its administrator can switch \
         it on in the IAM console (Account settings, Security Token Service)"
    )]
    StsIsOff { region: String, failure: Failure },
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("sts:AssumeRole of {role} answered without credentials")]
    NoCredentials { role: String },
}

/// How long the credentials of a session hold, in seconds: what OBS's uploader asked for, and longer than any function
/// runs.
const SECONDS: i32 = 1800;

/// The session's name, as OBS's uploader gave it: users have it in their trust policies and CloudTrail queries.
const NAME: &str = "obs";

/// The way into the accounts of users.
#[derive(Clone, Debug)]
pub struct Accounts {
    pub config: SdkConfig,
    /// The unique part of the CloudFormation stack's id.
    pub deployment: String,
}

impl Accounts {
    pub fn from_env(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            config: environment.config.clone(),
            deployment: setting("DEPLOYMENT")?,
        })
    }

    /// A session in the account that the job's target names. It may do no more than the purpose needs for this job,
    /// whatever the role allows.
    pub async fn session<'a>(
        &self,
        job: &'a Job,
        purpose: Purpose,
    ) -> Result<Session<'a>, SessionError> {
        Session::assume(self, job, purpose).await
    }

    /// The configuration of clients for the service's own account, in another region than its own.
    pub(crate) fn own_in(&self, region: &target::Region) -> SdkConfig {
        let region = Region::new(region.to_string());
        self.config.to_builder().region(region).build()
    }
}

/// A session in the user's account, in the target's region, for one purpose.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    pub(crate) job: &'a Job,
    pub(crate) tag: JobTag,
    pub(crate) accounts: Accounts,
    pub(crate) config: SdkConfig,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) ebs: aws_sdk_ebs::Client,
}

impl<'a> Session<'a> {
    async fn assume(
        accounts: &Accounts,
        job: &'a Job,
        purpose: Purpose,
    ) -> Result<Self, SessionError> {
        let config = &accounts.config;
        let tag = JobTag::new(&accounts.deployment, job.id);
        let target = &job.request.ec2;
        let role = target.role.to_string();
        let answer = aws_sdk_sts::Client::new(config)
            .assume_role()
            .role_arn(&role)
            .external_id(target.external_id.secret())
            .role_session_name(NAME)
            .duration_seconds(SECONDS)
            .policy(policy::of(purpose, job, &tag).to_string())
            .send()
            .await
            .map_err(|error| {
                let code = error.code().map(str::to_owned);
                let failure = Failure::of("sts:AssumeRole")(error);
                refusal(code.as_deref(), failure, config, &role)
            })?;
        // `packed_policy_size` is the policy's share of its limit, `session_token_utilization` the token's; both in percent.
        #[expect(deprecated, reason = "STS reports the policy's own share nowhere else")]
        let packed_policy_percent = answer.packed_policy_size;
        tracing::info!(
            ?purpose,
            packed_policy_percent,
            session_token_percent = answer.session_token_utilization,
            "assumed the user's role"
        );
        let given = answer
            .credentials
            .ok_or(SessionError::NoCredentials { role })?;
        let credentials = Credentials::builder()
            .provider_name("AssumeRole")
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .build();
        let config = config
            .to_builder()
            .region(Region::new(target.region.to_string()))
            .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(
                credentials,
            ))
            .build();
        Ok(Self {
            ec2: aws_sdk_ec2::Client::new(&config),
            ebs: aws_sdk_ebs::Client::new(&config),
            config,
            accounts: accounts.clone(),
            job,
            tag,
        })
    }

    /// The job that the session is for.
    pub fn job(&self) -> &Job {
        self.job
    }

    /// The job's route.
    pub fn route(&'a self, jobs: &'a Jobs, log: JobLog) -> JobRoute<'a> {
        JobRoute::of(self, jobs, log)
    }

    /// The job's AMI.
    pub fn ami(&self) -> Ami<'_> {
        Ami { session: self }
    }
}

/// What a refusal of AssumeRole means.
fn refusal(code: Option<&str>, failure: Failure, config: &SdkConfig, role: &str) -> SessionError {
    match code {
        Some("AccessDenied") => SessionError::Refused {
            role: role.to_owned(),
            failure,
        },
        Some("RegionDisabledException") => SessionError::StsIsOff {
            region: config.region().map(Region::to_string).unwrap_or_default(),
            failure,
        },
        _ => failure.into(),
    }
}
