//! Who is let in: from which networks, with which secret.
//!
//! HTTP Basic (RFC 7617), because OBS's source server sends it out of a URL, and a reverse proxy can add it.

mod credentials;
mod frontend;
mod networks;

use std::net::IpAddr;

use cloudupload::{
    caller::Rights,
    environment::Environment,
    settings::{SettingError, optional, parsed, setting},
    store::Callers,
};
use lambda_http::{http::HeaderMap, tracing};

use self::credentials::Credentials;
pub use self::{frontend::FrontendSecret, networks::Networks};
use crate::caller::{Caller, Origin};

/// The name of OBS's frontend and of its source server, whose secret is in Secrets Manager. All other callers are in the
/// table.
const FRONTEND: &str = "obs";

/// What is done with a call that names no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutSecret {
    Refused,
    /// It gets the rights of OBS's frontend. This is how the API was before it had secrets.
    Allowed,
}

impl std::str::FromStr for WithoutSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refused" => Ok(Self::Refused),
            "allowed" => Ok(Self::Allowed),
            text => Err(format!("'{text}' is neither 'refused' nor 'allowed'")),
        }
    }
}

/// Why a call is not let in. Nothing in here tells a stranger which callers there are.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("calls from {} are not allowed", .0.map_or("an unknown address".to_owned(), |ip| ip.to_string()))]
    Network(Option<IpAddr>),
    #[error(
        "the cloud uploader takes calls with a name and a secret only: send them as HTTP Basic authentication"
    )]
    NoSecret,
    #[error("the name or the secret of the caller is wrong")]
    WrongSecret,
    /// The function's log tells why.
    #[error("the caller's secret could not be checked: try again")]
    Unchecked,
}

/// Lets callers in.
pub struct Gate {
    pub networks: Networks,
    pub frontend: FrontendSecret,
    pub callers: Callers,
    pub without_secret: WithoutSecret,
}

impl Gate {
    pub fn from_env(environment: &Environment) -> Result<Self, SettingError> {
        let secrets_manager = aws_sdk_secretsmanager::Client::new(&environment.config);
        Ok(Self {
            networks: match optional("ALLOWED_CIDRS") {
                Some(_) => parsed("ALLOWED_CIDRS")?,
                None => Networks::default(),
            },
            frontend: FrontendSecret::new(secrets_manager, setting("FRONTEND_SECRET")?),
            callers: environment.callers()?,
            without_secret: parsed("CALLERS_WITHOUT_SECRET")?,
        })
    }

    /// Refuses a call from a network that is not allowed.
    pub fn check_network(&self, origin: &Origin) -> Result<(), Refusal> {
        match self.networks.have(origin.source_ip) {
            true => Ok(()),
            false => Err(Refusal::Network(origin.source_ip)),
        }
    }

    /// Lets in whoever sent these headers, if the secret is right.
    pub async fn admit(&self, origin: Origin, headers: &HeaderMap) -> Result<Caller, Refusal> {
        self.check_network(&origin)?;
        let (name, rights) = match Credentials::of(headers) {
            Some(credentials) => {
                let credentials = credentials?;
                let rights = self.rights(&credentials).await?;
                (Some(credentials.name), rights)
            }
            None if self.without_secret == WithoutSecret::Allowed => (None, Rights::AllUsers),
            None => return Err(Refusal::NoSecret),
        };
        Ok(Caller {
            name,
            rights,
            origin,
        })
    }

    async fn rights(&self, credentials: &Credentials) -> Result<Rights, Refusal> {
        let Credentials { name, secret } = credentials;
        if name.as_str() == FRONTEND {
            return match self.frontend.is(secret).await.map_err(unchecked)? {
                true => Ok(Rights::AllUsers),
                false => Err(Refusal::WrongSecret),
            };
        }
        let known = self.callers.get(name).await.map_err(unchecked)?;
        let caller = known.filter(|caller| caller.has(secret));
        Ok(caller.ok_or(Refusal::WrongSecret)?.rights)
    }
}

fn unchecked(error: impl std::fmt::Display) -> Refusal {
    tracing::error!("a caller's secret could not be checked: {error}");
    Refusal::Unchecked
}
