//! Finds out what the role allows, before a byte is moved, and chooses the job's route by it.
//!
//! Nothing is made. EC2 checks a permission without acting on it (EC2 API reference, the parameter `DryRun` of each
//! action). EBS direct has no such parameter: its calls name a snapshot that does not exist, and S3 is only asked for the
//! bucket's head. AWS tells whoever lacks a permission so, and tells others what else is wrong with the call.
//!
//! Two things stay untried. A role may limit a removal to what has the job's tag, as `infra/user-account.yaml` does, and
//! nothing has it yet. And `s3:CreateBucket` has no trial.

mod choice;
mod permissions;
mod probes;
#[cfg(test)]
mod tests;
mod trial;

use std::str::FromStr;

use cloudupload::{
    aws::Failure,
    target::{Region, Route},
};

pub(crate) use self::permissions::permissions;
pub use self::{
    choice::{Choice, Refusal},
    trial::TrialError,
};
use self::{
    choice::{Finding, Findings, choose},
    probes::{Probes, is_denied},
};
use crate::{AmiError, Session};

/// Whether the operators let jobs take the route `copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyRoute {
    Enabled,
    Disabled,
}

/// A value of the setting that is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither enabled nor disabled")]
pub struct BadCopyRoute(String);

impl FromStr for CopyRoute {
    type Err = BadCopyRoute;

    fn from_str(text: &str) -> Result<Self, BadCopyRoute> {
        match text {
            "enabled" => Ok(CopyRoute::Enabled),
            "disabled" => Ok(CopyRoute::Disabled),
            _ => Err(BadCopyRoute(text.to_owned())),
        }
    }
}

/// Why the upload cannot succeed.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error(
        "{failure}. The account {account} does not accept its own credentials in {region}, as in a region that it has not \
         enabled: enable {region} in that account (Account, AWS Regions), or upload into another region"
    )]
    RegionNotEnabled {
        region: Region,
        account: String,
        failure: Failure,
    },
    #[error("{0}")]
    Ami(#[from] AmiError),
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("{0}")]
    Refusal(#[from] Refusal),
}

/// EC2's codes for credentials of an account that has not enabled the region (EC2 developer guide, "Error codes for the
/// Amazon EC2 API").
const NOT_ENABLED: [&str; 2] = ["AuthFailure", "OptInRequired"];

impl Session<'_> {
    /// Tries whatever can be tried without making anything, and chooses the route.
    pub async fn preflight(&self, copy: CopyRoute) -> Result<Choice, PreflightError> {
        let (denied, mut findings) = self.find_out(copy).await?;
        if let Err(unfit) = self.job.request.ec2.check_route(Route::Direct) {
            findings.direct = Finding::Unfit(unfit.to_string());
        }
        for finding in findings.all() {
            if let Finding::Denied(failures) = finding {
                for failure in failures {
                    tracing::info!(%failure, "the role lacks a permission of a route");
                }
            }
        }
        if !denied.is_empty() {
            return Err(Refusal::Required(denied).into());
        }
        Ok(choose(self.job.request.ec2.wishes.route, findings)?)
    }

    /// What AWS refused of what every route needs, and what was found out about each route.
    async fn find_out(&self, copy: CopyRoute) -> Result<(Vec<Failure>, Findings), PreflightError> {
        let mut denied = Vec::from_iter(self.try_name().await?);
        let probes = Probes { session: self };
        let (required, findings) = tokio::try_join!(probes.required(), probes.routes(copy))?;
        denied.extend(required);
        Ok((denied, findings))
    }

    /// Tries the region and the AMI's name. Answers the refusal if the role may not look for the name.
    async fn try_name(&self) -> Result<Option<Failure>, PreflightError> {
        let target = &self.job.request.ec2;
        match self.ami().check_name().await {
            Err(AmiError::Aws(failure)) if failure.has_any_code(&NOT_ENABLED) => {
                Err(PreflightError::RegionNotEnabled {
                    region: target.region,
                    account: target.role.account().to_string(),
                    failure,
                })
            }
            Err(AmiError::Aws(failure)) if is_denied(&failure) => Ok(Some(failure)),
            checked => Ok(checked.map(|()| None)?),
        }
    }
}
