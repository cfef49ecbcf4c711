//! Creates a job.

use cloudupload::{
    job::{Cloud, Job, UploadRequest},
    names::{Arch, FileName, Package, Project, Repository, User},
    obs::BuildPath,
    target::Ec2Params,
};
use lambda_http::tracing;

use super::{Access, ApiError};

/// What a new job is made of, before OBS has told of the file.
#[derive(Debug, PartialEq)]
pub struct NewJob {
    pub project: Project,
    pub repository: Repository,
    pub arch: Arch,
    pub package: Package,
    /// If it is missing: the only cloud image of the package.
    pub filename: Option<FileName>,
    pub user: User,
    pub target: Cloud,
    pub params: Ec2Params,
}

impl Access<'_> {
    /// Creates a job and starts its execution.
    pub async fn create(self, new: NewJob) -> Result<Job, ApiError> {
        if !self.caller.rights.cover(&new.user) {
            return Err(ApiError::NotFor(new.user));
        }
        let request = self.upload_request(new).await?;
        let (jobs, caller) = (&self.api.jobs, self.caller.name.clone());
        let job = jobs.create(request, caller, self.api.first_job).await?;
        tracing::info!(job = %job.id, "created for {}", self.caller);
        match self.api.machine.start(job.id).await {
            Ok(()) => Ok(job),
            Err(failure) => Err(self.fail(&job, ApiError::NotStarted(failure)).await),
        }
    }

    /// Completes the request with what OBS says of the file.
    async fn upload_request(self, new: NewJob) -> Result<UploadRequest, ApiError> {
        let path = BuildPath {
            project: &new.project,
            repository: &new.repository,
            arch: new.arch,
            package: &new.package,
        };
        let file = self.api.obs.find(path, new.filename.as_ref()).await?;
        if file.size == 0 {
            return Err(ApiError::EmptyFile);
        }
        let filename = match new.filename {
            Some(filename) => filename,
            None => file.filename.parse()?,
        };
        Ok(UploadRequest {
            ec2: new.params.of(&filename),
            user: new.user,
            target: new.target,
            project: new.project,
            repository: new.repository,
            package: new.package,
            arch: new.arch,
            filename,
            size: file.size,
        })
    }

    /// Fails a job that has no execution, so that it does not stay open; its user may create a new one.
    async fn fail(self, job: &Job, reason: ApiError) -> ApiError {
        if let Err(error) = self.api.jobs.fail(job.id, &reason.to_string()).await {
            tracing::error!(job = %job.id, "the job stays without an execution: {error}");
        }
        reason
    }
}
