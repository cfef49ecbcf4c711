//! Who is let in: from which networks, with which secret.
//!
//! Callers send HTTP Basic (RFC 7617), because OBS's source server sends it out of a URL, and a reverse proxy can add it. Users
//! send a token as Bearer (RFC 6750), or as the password of HTTP Basic.

mod credentials;
mod frontend;
mod networks;

use std::net::IpAddr;

use cloudupload::{
    caller::{CallerName, Rights, SecretHash},
    clock::Timestamp,
    environment::Environment,
    settings::{SettingError, optional, parsed, setting},
    store::{Callers, Users},
    user::{Token, TokenId, TokenRecord, USE_NOTED_EVERY, UserRecord},
};
use lambda_http::{http::HeaderMap, tracing};

use self::credentials::Credentials;
pub use self::{frontend::FrontendSecret, networks::Networks};
use crate::caller::{Caller, Namesakes, Origin, SignedIn, Who};

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
        "the cloud uploader takes calls with a name and a secret only: send them as HTTP Basic authentication, or a token as \
         Bearer"
    )]
    NoSecret,
    #[error("the name or the secret of the caller is wrong")]
    WrongSecret,
    #[error(
        "the token is wrong, or it was revoked, or it has expired: make a new one, or ask the operators for one"
    )]
    WrongToken,
    /// The function's log tells why.
    #[error("the caller's secret could not be checked: try again")]
    Unchecked,
}

/// Lets callers in.
pub struct Gate {
    pub networks: Networks,
    pub frontend: FrontendSecret,
    pub callers: Callers,
    pub users: Users,
    pub namesakes: Namesakes,
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
            users: environment.users()?,
            namesakes: parsed("USERS_ARE_OBS_USERS")?,
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
        let who = match Credentials::of(headers).transpose()? {
            Some(Credentials::Secret { name, secret }) => Who::Caller {
                rights: self.rights(&name, &secret).await?,
                name,
            },
            Some(Credentials::Token(token)) => Who::User(Box::new(self.sign_in(&token).await?)),
            None if self.without_secret == WithoutSecret::Allowed => Who::WithoutSecret,
            None => return Err(Refusal::NoSecret),
        };
        Ok(Caller { who, origin })
    }

    async fn rights(&self, name: &CallerName, secret: &SecretHash) -> Result<Rights, Refusal> {
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

    /// The user whose token this is. The table is read for every call, so that a token that is revoked is out at once.
    async fn sign_in(&self, token: &Token) -> Result<SignedIn, Refusal> {
        let user = self.users.get(token.user()).await.map_err(unchecked)?;
        let user = user.ok_or(Refusal::WrongToken)?;
        let now = Timestamp::now();
        let (id, record) = user
            .token(&token.secret(), now)
            .ok_or(Refusal::WrongToken)?;
        let token = (id.clone(), record.clone());
        self.note_use(&user, &token, now).await;
        Ok(SignedIn {
            user,
            token,
            namesakes: self.namesakes,
        })
    }

    /// Writes down that a token is used, but not with every call. That a note is lost is no reason to refuse a call.
    async fn note_use(&self, user: &UserRecord, token: &(TokenId, TokenRecord), now: Timestamp) {
        let (id, record) = token;
        if record
            .used
            .is_some_and(|used| now.since(used) < USE_NOTED_EVERY)
        {
            return;
        }
        if let Err(error) = self.users.note_use(user, id, now).await {
            tracing::warn!("the use of a token was not noted: {error}");
        }
    }
}

fn unchecked(error: impl std::fmt::Display) -> Refusal {
    tracing::error!("a caller's secret could not be checked: {error}");
    Refusal::Unchecked
}
