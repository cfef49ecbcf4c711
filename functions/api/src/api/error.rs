use cloudupload::{
    aws::Failure,
    invocation::InvocationError,
    job::{Job, JobId, State},
    multipart::Parts,
    names::{BadName, Project, User},
    obs::ObsError,
    store::StoreError,
    target::BadTarget,
    user::{MAX_TOKENS, TokenId, UserName},
};

/// What went wrong. The texts are for users, in OBS's words where it has some.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("no such job")]
    NoSuchJob,
    #[error("this caller may not upload for user '{0}'")]
    NotFor(User),
    #[error("users with a token upload with POST /v1/jobs, by the role that they have connected")]
    HasOwnWay,
    #[error("this call is for users with a token, who have jobs and a role of their own")]
    NotAUser,
    #[error("this caller may not manage users: use one with the rights administer_users")]
    NotAnAdministrator,
    #[error("there is a user '{0}' already")]
    UserExists(UserName),
    #[error("there is no user '{0}'")]
    NoSuchUser(UserName),
    #[error("there is no token '{0}'")]
    NoSuchToken(TokenId),
    #[error("there are {MAX_TOKENS} tokens, which is as many as a user may have: revoke one")]
    TooManyTokens,
    #[error(
        "no role is connected yet: create one with the link of GET /v1/me/role, then send its ARN with PUT /v1/me/role"
    )]
    NoRole,
    /// The words of the function that tried it.
    #[error("{0}")]
    RoleRefused(String),
    #[error("the role could not be tried, which is no fault of yours: try again in a minute ({0})")]
    NotTried(InvocationError),
    #[error("job {0} is {1}: only a job that has succeeded has an image")]
    NoImage(JobId, State),
    /// The words of the function that tried to remove it.
    #[error("{0}")]
    ImageKept(String),
    #[error(
        "the image is not removed yet, which is no fault of yours: try again in a minute ({0})"
    )]
    ImageNotRemoved(InvocationError),
    #[error(
        "job {0} was refused as it was created, and nothing of it can be tried again: upload anew"
    )]
    NothingToRetry(JobId),
    #[error(transparent)]
    Target(#[from] BadTarget),
    /// Whether there is such a project is not told.
    #[error(
        "the project '{0}' is none that users may upload from: the operators of this service say which may (AllowedProjects)"
    )]
    ProjectNotAllowed(Project),
    #[error("upload image is empty")]
    EmptyFile,
    /// OBS's only cloud image has a name that this service does not take.
    #[error(transparent)]
    BadFileName(#[from] BadName),
    #[error("a file of {0} bytes cannot be pushed: S3 takes up to {max}", max = Parts::LARGEST_FILE)]
    TooLarge(u64),
    #[error("the file of job {0} is read from OBS, and not pushed")]
    NotPushed(JobId),
    #[error("the file of job {0} was pushed: create another job, and push it again")]
    PushAgain(JobId),
    #[error("job {0} was not begun to the end, and takes no file: create another one")]
    PushNotBegun(JobId),
    #[error("job {id} takes no file any more: it has {state}: {details}")]
    JobOver {
        id: JobId,
        state: State,
        details: String,
    },
    #[error("the file of job {0} was pushed already, and cannot be changed: create another job")]
    PushedAlready(JobId),
    #[error("there is no part {number}: the file has parts 1 to {count}")]
    NoSuchPart { number: u32, count: u32 },
    #[error(
        "{count} parts of the file are missing, the first of them part {first}: put them, and say again that the file is \
         complete"
    )]
    PartsMissing { count: usize, first: u32 },
    /// A call to S3 for a file that is pushed.
    #[error("the file cannot be taken right now: {0}")]
    Staging(#[from] Failure),
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

impl ApiError {
    /// The error of a call for a job that has ended.
    pub(super) fn over(job: Job) -> Self {
        Self::JobOver {
            id: job.id,
            state: job.state,
            details: job.details,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchJob(_) => Self::NoSuchJob,
            error => Self::Store(error),
        }
    }
}
