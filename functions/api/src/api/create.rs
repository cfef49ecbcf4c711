//! Creates a job.

use cloudupload::{
    job::{Artifacts, Cloud, Creator, Job, Owner, PushArtifacts, Source, UploadRequest},
    multipart::Parts,
    names::{Arch, FileName, Package, Project, Repository, User},
    obs::BuildPath,
    target::Ec2Params,
};
use lambda_http::tracing;
use serde_json::{Map, Value};

use super::{Access, ApiError};
use crate::caller::SignedIn;

/// The file of a new job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewFile {
    /// A file that OBS has. If it has no name here: the only cloud image of the package.
    OfObs(Option<FileName>),
    /// A file that will be pushed, and its bytes.
    Pushed { name: FileName, size: u64 },
}

/// What a new job is made of, before OBS has told of the file.
#[derive(Debug, PartialEq)]
pub struct NewJob {
    pub project: Project,
    pub repository: Repository,
    pub arch: Arch,
    pub package: Package,
    pub file: NewFile,
    pub user: User,
    pub target: Cloud,
    pub params: Ec2Params,
}

/// An upload of a user who has connected a role.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnUpload {
    pub project: Project,
    pub repository: Repository,
    pub arch: Arch,
    pub package: Package,
    pub file: NewFile,
    /// Where it goes, and how the AMI is to be.
    pub wishes: Map<String, Value>,
}

impl OwnUpload {
    fn by(self, signed_in: &SignedIn) -> Result<NewJob, ApiError> {
        let params = Ec2Params::of_user(&signed_in.user, self.wishes, self.arch);
        Ok(NewJob {
            params: params.ok_or(ApiError::NoRole)??,
            project: self.project,
            repository: self.repository,
            arch: self.arch,
            package: self.package,
            file: self.file,
            user: signed_in.name(),
            target: Cloud::Ec2,
        })
    }
}

impl Access<'_> {
    /// Creates a job for a user of OBS, under the role that the caller names, and starts its execution.
    pub async fn create(self, new: NewJob) -> Result<Job, ApiError> {
        let owner = self.may_upload_for(&new.user)?;
        self.create_for(owner, new).await
    }

    /// The owner of a job for this user of OBS, if the caller may create it. A user of this service may not, nor name a role: it
    /// might be another user's, who has told somebody its external ID.
    pub(super) fn may_upload_for(self, user: &User) -> Result<Owner, ApiError> {
        let owner = Owner::Obs(user.clone());
        match self.caller.user() {
            Some(_) => Err(ApiError::HasOwnWay),
            None if self.caller.covers(&owner) => Ok(owner),
            None => Err(ApiError::NotFor(user.clone())),
        }
    }

    /// Creates a job for the user who calls, under the role that the user has connected.
    pub async fn create_own(self, upload: OwnUpload) -> Result<Job, ApiError> {
        let signed_in = self.signed_in()?;
        // What users push are bytes that they have already.
        if let NewFile::OfObs(_) = upload.file {
            self.api.allowed.check(&upload.project)?;
        }
        let new = upload.by(signed_in)?;
        self.create_for(signed_in.owner(), new).await
    }

    /// Who creates a job for that owner.
    pub(super) fn creator(self, owner: Owner) -> Creator {
        Creator {
            caller: self.caller.name().cloned(),
            owner,
        }
    }

    pub(super) async fn create_for(self, owner: Owner, new: NewJob) -> Result<Job, ApiError> {
        let request = self.upload_request(new).await?;
        let (jobs, creator) = (&self.api.jobs, self.creator(owner));
        let job = jobs.create(request, creator, self.api.first_job).await?;
        tracing::info!(job = %job.id, "created for {}", self.caller);
        match self.start(&job).await {
            Ok(()) => Ok(job),
            Err(error) => Err(self.fail(&job, error).await),
        }
    }

    /// Opens the upload for a file that is pushed, and starts the job's execution.
    async fn start(self, job: &Job) -> Result<(), ApiError> {
        if job.request.source == Source::Push {
            let upload = self.api.staging.file(job.staged_key()).begin_push().await?;
            let update = Artifacts {
                push: PushArtifacts {
                    push_upload: Some(upload.id().to_owned()),
                    ..PushArtifacts::default()
                },
                ..Artifacts::default()
            };
            self.api.jobs.record(job.id, &update).await?;
        }
        let started = self.api.machine.start(job.id).await;
        started.map_err(ApiError::NotStarted)
    }

    /// Completes the request with what OBS says of the file.
    async fn upload_request(self, new: NewJob) -> Result<UploadRequest, ApiError> {
        let path = BuildPath {
            project: &new.project,
            repository: &new.repository,
            arch: new.arch,
            package: &new.package,
        };
        let (source, filename, size) = match new.file {
            NewFile::OfObs(filename) => {
                let file = self.api.obs.find(path, filename.as_ref()).await?;
                let filename = match filename {
                    Some(filename) => filename,
                    None => file.filename.parse()?,
                };
                (Source::Obs, filename, file.size)
            }
            NewFile::Pushed { size, .. } if size > Parts::LARGEST_FILE => {
                return Err(ApiError::TooLarge(size));
            }
            NewFile::Pushed { name, size } => (Source::Push, name, size),
        };
        if size == 0 {
            return Err(ApiError::EmptyFile);
        }
        Ok(UploadRequest {
            ec2: new.params.of(&filename),
            user: new.user,
            target: new.target,
            project: new.project,
            repository: new.repository,
            package: new.package,
            arch: new.arch,
            filename,
            size,
            source,
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
