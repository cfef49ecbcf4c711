//! Errors, as OBS's clients read them.

use cloudupload::{obs::ObsError, target::BadTarget};

use super::xml;
use crate::{api::ApiError, gate::Refusal};

/// An error that goes back to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// What OBS shows its users.
    pub summary: String,
    details: Option<String>,
}

impl Problem {
    /// Something is wrong with a parameter or the body. OBS's own errors of this kind have no `details`.
    pub fn bad_request(summary: impl ToString) -> Self {
        Self {
            status: 400,
            summary: summary.to_string(),
            details: None,
        }
    }

    /// An error for which OBS chooses the status. It repeats both in `details`.
    pub fn with_status(status: u16, summary: impl ToString) -> Self {
        let summary = summary.to_string();
        Self {
            status,
            details: Some(format!("{status} {summary}")),
            summary,
        }
    }

    pub fn not_a_number(text: &str) -> Self {
        Self::bad_request(format!("not a number: '{text}'"))
    }

    pub fn unknown_command(command: &str) -> Self {
        Self::bad_request(format!("unknown command '{command}'"))
    }

    pub fn no_such_job() -> Self {
        ApiError::NoSuchJob.into()
    }

    pub fn xml(&self) -> String {
        xml::status(self.status, &self.summary, self.details.as_deref())
    }
}

impl From<BadTarget> for Problem {
    fn from(error: BadTarget) -> Self {
        Self::bad_request(error)
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let status = match &error {
            ApiError::EmptyFile
            | ApiError::BadFileName(_)
            | ApiError::TooLarge(_)
            | ApiError::NoSuchPart { .. }
            | ApiError::StartOutOfRange(_)
            | ApiError::RoleRefused(_)
            | ApiError::Target(_) => {
                return Self::bad_request(error);
            }
            ApiError::NotFor(_)
            | ApiError::HasOwnWay
            | ApiError::NotAUser
            | ApiError::NotAnAdministrator => 403,
            ApiError::NoSuchJob
            | ApiError::NoSuchUser(_)
            | ApiError::NoSuchToken(_)
            | ApiError::ProjectNotAllowed(_) => 404,
            ApiError::UserExists(_)
            | ApiError::TooManyTokens
            | ApiError::NoRole
            | ApiError::NotPushed(_)
            | ApiError::PushAgain(_)
            | ApiError::PushNotBegun(_)
            | ApiError::JobOver { .. }
            | ApiError::PushedAlready(_)
            | ApiError::PartsMissing { .. }
            | ApiError::NoImage(..)
            | ApiError::ImageKept(_)
            | ApiError::NothingToRetry(_) => 409,
            ApiError::NotTried(_) | ApiError::ImageNotRemoved(_) => 503,
            ApiError::Obs(error) => status_of(error),
            ApiError::NotStarted(_)
            | ApiError::Staging(_)
            | ApiError::Store(_)
            | ApiError::Log(_) => 500,
        };
        Self::with_status(status, error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Network(_) => 403,
            Refusal::NoSecret | Refusal::WrongSecret | Refusal::WrongToken => 401,
            Refusal::Unchecked => 503,
        };
        Self::with_status(status, refusal)
    }
}

/// What OBS does not have is not here either; with any other trouble of OBS this is a gateway in front of it.
fn status_of(error: &ObsError) -> u16 {
    match error {
        ObsError::NoSuchFile(_) | ObsError::NoImage { .. } => 404,
        ObsError::ManyImages { .. } => 400,
        ObsError::Refused { status, .. } if matches!(status.as_u16(), 400 | 404) => status.as_u16(),
        ObsError::TooSlow { .. } => 504,
        _ => 502,
    }
}
