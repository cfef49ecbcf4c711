//! What the tests of several modules need: a job, and a session for it.

use cloudupload::{
    job::Job,
    retry,
    store::{Jobs, Outbox},
};
use fake_endpoint::{Endpoint, dynamodb};

use crate::{Accounts, JobTag, Session};

pub(crate) const DEPLOYMENT: &str = "0a1b";

/// The tag of what was made for the job.
pub(crate) const OURS: (&str, &str) = ("obs:job", "0a1b/job-1");
/// The tag of what was made for the first job of another deployment.
pub(crate) const OTHERS: (&str, &str) = ("obs:job", "2c3d/job-1");

pub(crate) fn job() -> Job {
    serde_json::from_value(dynamodb::record()).unwrap()
}

/// The tables of jobs and of their events.
pub(crate) fn jobs_at(endpoint: &Endpoint) -> Jobs {
    let config = endpoint.config();
    let outbox = Outbox::new(&config, "outbox".to_owned(), DEPLOYMENT.to_owned());
    Jobs::new(
        aws_sdk_dynamodb::Client::new(&config),
        "jobs".to_owned(),
        outbox,
    )
}

/// A session that nobody had to assume.
pub(crate) fn session_at<'a>(endpoint: &Endpoint, job: &'a Job) -> Session<'a> {
    retry::testing::skip_pauses();
    let config = endpoint.config();
    Session {
        job,
        tag: JobTag::new(DEPLOYMENT, job.id),
        ec2: aws_sdk_ec2::Client::new(&config),
        ebs: aws_sdk_ebs::Client::new(&config),
        accounts: Accounts {
            config: config.clone(),
            deployment: DEPLOYMENT.to_owned(),
        },
        config,
    }
}
