//! What the API does, in types: no path, parameter, XML or status code is known here.

mod create;
mod error;
mod image;
mod kill;
mod list;
mod log;
mod log_range;
mod projects;
mod push;
mod retry;
mod status;
mod submission;
mod users;

use std::time::Duration;

use cloudupload::{
    clock::Timestamp,
    environment::Environment,
    invocation::{ConnectFunction, DeregisterFunction},
    job::{JobId, JobSummary},
    journal::Journal,
    machine::{TaskTokens, UploadMachine},
    obs::Obs,
    settings::{optional, parsed, setting},
    staging::Staging,
    store::Jobs,
    target::{Partition, ServiceIdentity},
};
use lambda_http::Error;

pub use self::{
    create::{NewFile, NewJob, OwnUpload},
    error::ApiError,
    log_range::{LogRange, LogStart},
    projects::{AllowedProjects, ProjectList},
    push::{MOST_URLS, PartUrl, Push, URL_VALID},
    submission::Submission,
    users::{RoleSetup, TokenWish, Whose},
};
use crate::{
    caller::{Caller, SignedIn},
    gate::Gate,
};

/// How long the invocation of another function may take. A request has 28 s, and these functions 20.
pub const INVOCATION_TIMEOUT: Duration = Duration::from_secs(22);

/// What the API works with.
pub struct Api {
    pub gate: Gate,
    pub jobs: Jobs,
    pub journal: Journal,
    pub obs: Obs,
    /// Where files are pushed to.
    pub staging: Staging,
    pub machine: UploadMachine,
    pub tokens: TaskTokens,
    pub service: ServiceIdentity,
    /// Tries the roles of users.
    pub connect: ConnectFunction,
    /// Removes the images that jobs have made.
    pub deregister: DeregisterFunction,
    /// The link by which users make a role, but for their external ID at its end. None if the stack offers no template.
    pub quick_create_url: Option<String>,
    /// What users may upload from.
    pub allowed: AllowedProjects,
    /// The number of the first job in an empty table.
    pub first_job: JobId,
    /// When this instance of the function started.
    pub started: Timestamp,
}

/// The API as one caller has it. What the API does is done here, and nowhere without a caller.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    api: &'a Api,
    caller: &'a Caller,
}

impl Api {
    /// The API, with settings of the environment.
    pub fn new(environment: Environment, gate: Gate) -> Result<Self, Error> {
        let staging = environment.staging()?;
        let Environment {
            config,
            jobs,
            journal,
            usage: _, // a request is not a part of any job's steps
        } = environment;
        let region = setting("AWS_REGION")?;
        let states = aws_sdk_sfn::Client::new(&config);
        let obs = Obs::new(&setting("OBS_URL")?)?;
        let patterns = optional("ALLOWED_PROJECTS").unwrap_or_default();
        let allowed = AllowedProjects::new(&patterns, obs.is_public())?;
        Ok(Self {
            gate,
            jobs,
            journal,
            obs,
            staging,
            machine: UploadMachine::new(states.clone(), setting("UPLOAD_MACHINE_ARN")?),
            tokens: TaskTokens::new(states),
            service: ServiceIdentity {
                account: parsed("SERVICE_ACCOUNT")?,
                partition: Partition::of_region(&region),
            },
            connect: ConnectFunction::new(
                &config,
                setting("CONNECT_FUNCTION")?,
                INVOCATION_TIMEOUT,
            ),
            deregister: DeregisterFunction::new(
                &config,
                setting("DEREGISTER_FUNCTION")?,
                INVOCATION_TIMEOUT,
            ),
            quick_create_url: optional("USER_QUICK_CREATE_URL"),
            allowed,
            first_job: parsed("FIRST_JOB")?,
            started: Timestamp::now(),
        })
    }

    pub fn access<'a>(&'a self, caller: &'a Caller) -> Access<'a> {
        Access { api: self, caller }
    }
}

impl<'a> Access<'a> {
    /// A job that the caller may see. To everybody else, there is none.
    async fn job(self, id: JobId) -> Result<JobSummary, ApiError> {
        let job = self.api.jobs.summary(id).await?;
        if self.may_see(&job) {
            Ok(job)
        } else {
            Err(ApiError::NoSuchJob)
        }
    }

    fn may_see(self, job: &JobSummary) -> bool {
        self.caller.covers(&job.owner())
    }

    /// The user of this service who calls.
    pub fn signed_in(self) -> Result<&'a SignedIn, ApiError> {
        self.caller.user().ok_or(ApiError::NotAUser)
    }

    /// When this instance of the function started.
    pub fn started(self) -> Timestamp {
        self.api.started
    }
}
