//! What every function works with.

use aws_config::SdkConfig;

use crate::{
    aws::{self, CallBudget},
    job::JobId,
    journal::{JobLog, Journal},
    settings::{SettingError, parsed, setting},
    staging::Staging,
    store::{Callers, Jobs, Users, Writers},
};

/// What every function works with.
#[derive(Clone, Debug)]
pub struct Environment {
    pub config: SdkConfig,
    pub jobs: Jobs,
    pub journal: Journal,
}

impl Environment {
    pub async fn from_env(budget: CallBudget) -> Result<Self, SettingError> {
        let config = aws::config(budget).await;
        Ok(Self {
            jobs: Jobs::new(
                aws_sdk_dynamodb::Client::new(&config),
                setting("JOBS_TABLE")?,
            ),
            journal: Journal::new(
                aws_sdk_cloudwatchlogs::Client::new(&config),
                setting("JOB_LOG_GROUP")?,
            ),
            config,
        })
    }

    /// The log of a job, to write in.
    pub fn log(&self, job: JobId) -> JobLog {
        self.journal.of(job)
    }

    /// The staging bucket, for those functions that have its settings.
    pub fn staging(&self) -> Result<Staging, SettingError> {
        let s3 = aws::s3(&self.config);
        Ok(Staging::new(
            s3,
            setting("STAGING_BUCKET")?,
            parsed("SERVICE_ACCOUNT")?,
        ))
    }

    /// The callers of the API, for those functions that have its setting.
    pub fn callers(&self) -> Result<Callers, SettingError> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        Ok(Callers::new(client, setting("CALLERS_TABLE")?))
    }

    /// The users of this service, for those functions that have its setting.
    pub fn users(&self) -> Result<Users, SettingError> {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        Ok(Users::new(client, setting("USERS_TABLE")?))
    }

    /// The writers of EBS blocks, for those functions that have its setting.
    pub fn writers(&self) -> Result<Writers, SettingError> {
        Ok(Writers::new(&self.config, setting("WRITERS_TABLE")?))
    }
}
