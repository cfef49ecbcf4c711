use cloudupload::{
    aws::Failure,
    names::{BadName, User},
    obs::ObsError,
    store::StoreError,
};

/// What went wrong. The texts are for users, in OBS's words where it has some.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("no such job")]
    NoSuchJob,
    #[error("this caller may not upload for user '{0}'")]
    NotFor(User),
    #[error("upload image is empty")]
    EmptyFile,
    /// OBS's only cloud image has a name that this service does not take.
    #[error(transparent)]
    BadFileName(#[from] BadName),
    #[error("start out of range: {0}")]
    StartOutOfRange(usize),
    #[error(transparent)]
    Obs(#[from] ObsError),
    #[error("the upload could not be started: {0}")]
    NotStarted(Failure),
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Log(Failure),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchJob(_) => Self::NoSuchJob,
            error => Self::Store(error),
        }
    }
}
