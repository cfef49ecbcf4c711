//! Uploads the image, waits for the AMI and has it removed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use cloudupload::{
    aws::Failure,
    clock::Timestamp,
    environment::Environment,
    error::StepError,
    function::{Event, Function},
    job::{Job, JobId, Owner, State},
    metrics,
    names::User,
    retry::{RetryBudget, pause},
    settings::{SettingError, parsed, setting},
    store::{Jobs, StoreError},
    target::{ExternalId, Region, RoleArn},
};
use lambda_runtime::tracing;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    frontend::{Api, ApiError, Frontend, JobStatus},
    image::CanaryImage,
    removal::{self, DeregisterFunction, NotRemoved},
    secret::FrontendSecret,
};

/// The user of OBS whom the canary's jobs belong to.
const USER: &str = "canary";

/// How the names of its AMIs begin. A job of a user of OBS who has the same name is known by it, and left alone.
const AMI_NAME: &str = "cloudupload-canary-";

/// Pause between two looks at the job.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// What is left of the invocation when a job that has not ended is killed: that takes one request, and the AMI may be there
/// by then and has to be removed.
const RESERVE: Duration = Duration::from_secs(60).saturating_add(removal::LONGEST);

/// Attempts to create the job. OBS's frontend makes one, but here nobody presses the button again. A job that was created
/// by an attempt whose answer was lost is removed by the next run.
const CREATE_BUDGET: RetryBudget = RetryBudget {
    attempts: 3,
    first: Duration::from_secs(20),
    longest: Duration::from_secs(40),
};

/// The number of the canary's newest jobs that are looked at for what an earlier run left behind.
const LOOKED_AT: usize = 20;

/// The age from which an open job belongs to no run any more: an invocation has 15 minutes.
const ABANDONED: Duration = Duration::from_secs(16 * 60);

pub struct Canary {
    api: Api,
    secret: FrontendSecret,
    image: CanaryImage,
    role: RoleArn,
    external_id: ExternalId,
    region: Region,
    user: User,
    jobs: Jobs,
    deregister: DeregisterFunction,
}

/// What EventBridge sends on the schedule, or anything else: each invocation does the same.
#[derive(Debug, Deserialize)]
pub struct CanaryEvent {}

impl Event for CanaryEvent {
    fn job(&self) -> Option<JobId> {
        None
    }
}

/// What came of the image.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryOutcome {
    /// It became this AMI, which is removed again.
    Image { job: JobId, ami: String },
    /// It did not, for this reason.
    NoImage(String),
}

/// Why the canary failed. The texts are for the operators.
#[derive(Debug, thiserror::Error)]
enum CanaryError {
    #[error("the secret of OBS could not be read: {0}")]
    Secret(#[from] Failure),
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("job {job} failed: {details}")]
    Failed { job: JobId, details: String },
    #[error("job {job} had not ended after {} s, and was killed: {seen}", after.as_secs())]
    TooSlow {
        job: JobId,
        after: Duration,
        /// What the API showed of it last.
        seen: String,
    },
    #[error("job {job} had not ended after {} s, and could not be killed: {source}", after.as_secs())]
    NotKilled {
        job: JobId,
        after: Duration,
        source: ApiError,
    },
    #[error("job {job} made {ami}, which was not removed again: {source}")]
    NotRemoved {
        job: JobId,
        ami: String,
        source: NotRemoved,
    },
}

impl Function for Canary {
    const NAME: &str = "canary";
    type Event = CanaryEvent;
    type Answer = CanaryOutcome;

    fn from_env(environment: Environment) -> Result<Self, lambda_runtime::Error> {
        let role: RoleArn = parsed("CANARY_ROLE")?;
        let region = Region::of_partition(&setting("CANARY_REGION")?, role.partition());
        let region = region.map_err(|error| SettingError::Unusable {
            name: "CANARY_REGION",
            reason: error.to_string(),
        })?;
        let url: Url = parsed("API_URL")?;
        if url.cannot_be_a_base() {
            return Err(SettingError::Unusable {
                name: "API_URL",
                reason: format!("'{url}' has no place for a path"),
            }
            .into());
        }
        Ok(Self {
            api: Api::new(url)?,
            secret: FrontendSecret::new(&environment.config, setting("FRONTEND_SECRET")?),
            image: parsed("CANARY_IMAGE")?,
            role,
            external_id: parsed("CANARY_EXTERNAL_ID")?,
            region,
            user: USER.parse()?,
            deregister: DeregisterFunction::new(
                &environment.config,
                setting("DEREGISTER_FUNCTION")?,
            ),
            jobs: environment.jobs,
        })
    }

    /// An image that became no AMI is no failure of this function, which Lambda would call again: it is a metric with an
    /// alarm.
    async fn handle(
        &self,
        _event: CanaryEvent,
        deadline: Instant,
    ) -> Result<CanaryOutcome, StepError> {
        let began = Instant::now();
        Ok(match self.run(began, deadline).await {
            Ok((job, ami)) => {
                let took = began.elapsed();
                metrics::canary(Some(took));
                tracing::info!(
                    %job, ami, seconds = took.as_secs(), "the canary's image became an AMI, which is removed again"
                );
                CanaryOutcome::Image { job, ami }
            }
            Err(error) => {
                metrics::canary(None);
                tracing::error!("the canary failed: {error}");
                CanaryOutcome::NoImage(error.to_string())
            }
        })
    }
}

impl Canary {
    /// The job that succeeded, and its AMI.
    async fn run(&self, began: Instant, deadline: Instant) -> Result<(JobId, String), CanaryError> {
        let frontend = self.api.for_frontend(self.secret.read().await?);
        self.remove_leftovers(&frontend).await;
        let job = self.create(&frontend).await?.id;
        tracing::info!(%job, "created");
        let kill_at = deadline.checked_sub(RESERVE).unwrap_or(began);
        let ended = end_of(&frontend, job, began, kill_at).await?;
        if ended.state != State::Succeeded {
            let details = ended.details;
            return Err(CanaryError::Failed { job, details });
        }
        let ami = ended.details;
        match self.deregister.remove(job).await {
            Ok(()) => Ok((job, ami)),
            Err(source) => Err(CanaryError::NotRemoved { job, ami, source }),
        }
    }

    async fn create(&self, frontend: &Frontend<'_>) -> Result<JobStatus, ApiError> {
        let (mut attempts, mut attempt) = (CREATE_BUDGET.start(), 0);
        loop {
            attempt += 1;
            let target = self.target(Timestamp::now(), attempt);
            let created = frontend.create(&self.image, self.user.as_str(), &target);
            match created.await {
                Err(error) if error.is_transient() && attempts.again().await => {
                    tracing::warn!("retry: {error}");
                }
                created => return created,
            }
        }
    }

    /// Where the image goes. The AMI's name is another one for each attempt: a job of an attempt whose answer was lost may
    /// have taken the name.
    fn target(&self, now: Timestamp, attempt: u32) -> Value {
        let date = now.rfc3339();
        let date = date.split('T').next().unwrap_or_default();
        json!({
            "arn": self.role.as_str(),
            "external_id": self.external_id.secret(),
            "region": self.region.as_str(),
            "ami_name": format!("{AMI_NAME}{date}-{}-{attempt}", now.as_secs()),
        })
    }

    /// Removes what earlier runs left behind, as their invocation died or the removal failed. That it is still there is no
    /// reason to leave out today's image.
    async fn remove_leftovers(&self, frontend: &Frontend<'_>) {
        let jobs = match self.earlier_jobs().await {
            Ok(jobs) => jobs,
            Err(error) => {
                return tracing::warn!("earlier jobs of the canary could not be read: {error}");
            }
        };
        for job in jobs {
            let id = job.id;
            match Leftover::of(&job, Timestamp::now()) {
                None => {}
                Some(Leftover::Image) => match self.deregister.remove(id).await {
                    Ok(()) => tracing::info!(job = %id, "the AMI of an earlier run is removed"),
                    Err(error) => {
                        tracing::warn!(job = %id, "the AMI of an earlier run is left: {error}");
                    }
                },
                Some(Leftover::OpenJob) => match frontend.kill(id).await {
                    Ok(_) => tracing::info!(job = %id, "the job of an earlier run is killed"),
                    Err(error) => {
                        tracing::warn!(job = %id, "the job of an earlier run is left: {error}");
                    }
                },
            }
        }
    }

    /// The canary's newest jobs.
    async fn earlier_jobs(&self) -> Result<Vec<Job>, StoreError> {
        let owner = Owner::Obs(self.user.clone());
        let ids = self.jobs.owned(&owner, None, LOOKED_AT).await?;
        let found = self.jobs.get_many(ids.into_iter().collect()).await?;
        // A job that was refused when it was created has a record of its own kind, and made nothing.
        Ok(found.into_values().filter_map(Result::ok).collect())
    }
}

/// What is left of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftover {
    Image,
    OpenJob,
}

impl Leftover {
    fn of(job: &Job, now: Timestamp) -> Option<Self> {
        if !job.request.ec2.ami_name.as_str().starts_with(AMI_NAME) {
            return None;
        }
        match job.state {
            State::Succeeded if job.image_removed.is_none() => Some(Leftover::Image),
            state if !state.is_final() && now.since(job.created) > ABANDONED => {
                Some(Leftover::OpenJob)
            }
            _ => None,
        }
    }
}

/// Waits until the job has ended, and kills it if that has not come by `kill_at`. A look that fails is one of many.
async fn end_of(
    frontend: &Frontend<'_>,
    job: JobId,
    began: Instant,
    kill_at: Instant,
) -> Result<JobStatus, CanaryError> {
    let mut seen = "nothing was seen of it".to_owned();
    while Instant::now() < kill_at {
        match frontend.status(job).await {
            Ok(status) if status.state.is_final() => return Ok(status),
            Ok(status) => seen = format!("it was {}: {}", status.state, status.details),
            Err(error) if error.is_transient() => tracing::warn!(%job, "retry: {error}"),
            Err(error) => return Err(error.into()),
        }
        pause(POLL_INTERVAL).await;
    }
    let after = began.elapsed();
    let ended = frontend.kill(job).await;
    let ended = ended.map_err(|source| CanaryError::NotKilled { job, after, source })?;
    match ended.details == Job::KILLED {
        true => Err(CanaryError::TooSlow { job, after, seen }),
        // It has ended by itself meanwhile.
        false => Ok(ended),
    }
}
