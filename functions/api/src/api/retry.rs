//! Uploads a job's image again.

use cloudupload::{
    job::{Job, JobId, Source, UploadRequest},
    target::Ec2Params,
};

use super::{Access, ApiError, NewFile, NewJob};
use crate::caller::SignedIn;

impl Access<'_> {
    /// Creates a job with the image and all wishes of another one, under the role that the user who calls has connected now.
    pub async fn retry(self, id: JobId) -> Result<Job, ApiError> {
        let signed_in = self.signed_in()?;
        let job = self.job(id).await?;
        self.api.allowed.check(&job.subject.project)?;
        if job.subject.ec2.is_none() {
            return Err(ApiError::NothingToRetry(id));
        }
        let request = self.api.jobs.get(id).await?.request;
        if request.source == Source::Push {
            return Err(ApiError::PushAgain(id));
        }
        let new = again(request, signed_in)?;
        self.create_for(signed_in.owner(), new).await
    }
}

fn again(request: UploadRequest, signed_in: &SignedIn) -> Result<NewJob, ApiError> {
    let params = Ec2Params::of_user_again(&signed_in.user, request.ec2);
    Ok(NewJob {
        params: params.ok_or(ApiError::NoRole)??,
        project: request.project,
        repository: request.repository,
        arch: request.arch,
        package: request.package,
        file: NewFile::OfObs(Some(request.filename)),
        user: signed_in.name(),
        target: request.target,
    })
}
