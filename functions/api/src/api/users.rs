//! The users of this service: their tokens and their roles.

use std::time::Duration;

use cloudupload::{
    clock::Timestamp,
    store::Change,
    target::{AccountId, BadTarget, ExternalId, Region, RoleArn},
    trial::{RoleTrial, TrialOutcome},
    user::{ConnectedRole, NewToken, TokenId, TokenName, UserName, UserRecord},
};
use lambda_http::tracing;

use super::{Access, ApiError};

/// The user whose tokens are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Own,
    Of(UserName),
}

/// A token that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    pub name: TokenName,
    /// The time for which the token is valid; without it, the token does not expire.
    pub lifetime: Option<Duration>,
}

/// What a user needs to make a role, and the role that is connected.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSetup {
    /// The account that the role has to trust.
    pub service_account: AccountId,
    pub external_id: ExternalId,
    /// The link by which the role is made, with all that it needs. None if the stack offers no template.
    pub quick_create_url: Option<String>,
    pub role: Option<ConnectedRole>,
}

impl Access<'_> {
    pub async fn users(self) -> Result<Vec<UserRecord>, ApiError> {
        self.demand_administrator()?;
        Ok(self.api.gate.users.list().await?)
    }

    /// Makes a user, who has no token yet.
    pub async fn create_user(self, name: UserName) -> Result<UserRecord, ApiError> {
        self.demand_administrator()?;
        let user = UserRecord::new(name, Timestamp::now());
        match self.api.gate.users.create(&user).await? {
            Change::Made => {
                tracing::info!(user = %user.name, "user made for {}", self.caller);
                Ok(user)
            }
            Change::Refused => Err(ApiError::UserExists(user.name)),
        }
    }

    pub async fn user(self, name: &UserName) -> Result<UserRecord, ApiError> {
        self.demand_administrator()?;
        self.known(name).await
    }

    /// Removes a user, whose tokens and role are gone at once. Jobs go on.
    pub async fn remove_user(self, name: &UserName) -> Result<(), ApiError> {
        self.user(name).await?;
        self.api.gate.users.remove(name).await?;
        tracing::info!(user = %name, "user removed for {}", self.caller);
        Ok(())
    }

    /// The user whose tokens are meant. Users know of no other.
    pub async fn of(self, whose: &Whose) -> Result<UserRecord, ApiError> {
        match (whose, self.caller.user()) {
            (Whose::Own, _) => Ok(self.signed_in()?.user.clone()),
            (Whose::Of(name), Some(own)) if own.user.name == *name => Ok(own.user.clone()),
            (Whose::Of(name), _) => self.user(name).await,
        }
    }

    /// Makes a token. One that a user makes ends with the token that it is made with, if not before: who has got hold of a token
    /// cannot prolong it.
    pub async fn create_token(self, whose: &Whose, wish: TokenWish) -> Result<NewToken, ApiError> {
        let user = self.of(whose).await?;
        let now = Timestamp::now();
        let wished = wish.lifetime.map(|lifetime| now + lifetime);
        let longest = self.caller.user().and_then(|own| own.token.1.expires);
        let expires = [wished, longest].into_iter().flatten().min();
        let token = NewToken::of(&user.name, wish.name, now, expires);
        match self.api.gate.users.add_token(&user, &token).await? {
            Change::Made => {
                tracing::info!(user = %user.name, token = %token.id, "token made for {}", self.caller);
                Ok(token)
            }
            // Or the user was removed just now, who has no use for a token then.
            Change::Refused => Err(ApiError::TooManyTokens),
        }
    }

    /// Revokes a token, which is out at once.
    pub async fn remove_token(self, whose: &Whose, id: &TokenId) -> Result<(), ApiError> {
        let user = self.of(whose).await?;
        if !user.tokens.contains_key(id) {
            return Err(ApiError::NoSuchToken(id.clone()));
        }
        match self.api.gate.users.remove_token(&user, id).await? {
            Change::Made => {
                tracing::info!(user = %user.name, token = %id, "token revoked for {}", self.caller);
                Ok(())
            }
            Change::Refused => Err(ApiError::NoSuchToken(id.clone())),
        }
    }

    /// Connects a role: it is kept once it was assumed with the user's external ID. What it lacks is told, and can be added to it
    /// later.
    pub async fn connect_role(self, arn: RoleArn, region: &str) -> Result<RoleSetup, ApiError> {
        let user = &self.signed_in()?.user;
        self.api.service.check(&arn)?;
        let region = Region::of_partition(region, arn.partition());
        let trial = RoleTrial {
            region: region.map_err(BadTarget::from)?,
            external_id: user.external_id.clone(),
            role: arn,
        };
        let outcome = self.api.connect.invoke(&trial).await;
        let report = match outcome.map_err(ApiError::NotTried)? {
            TrialOutcome::Connected(report) => report,
            TrialOutcome::Refused(reason) => return Err(ApiError::RoleRefused(reason)),
        };
        let role = ConnectedRole {
            arn: trial.role,
            region: trial.region,
            connected: Timestamp::now(),
            report,
        };
        match self.api.gate.users.set_role(user, &role).await? {
            Change::Made => Ok(self.setup(user, Some(role))),
            Change::Refused => Err(ApiError::NoSuchUser(user.name.clone())),
        }
    }

    /// What the user who calls needs to make a role.
    pub fn role_setup(self) -> Result<RoleSetup, ApiError> {
        let user = &self.signed_in()?.user;
        Ok(self.setup(user, user.role.clone()))
    }

    fn setup(self, user: &UserRecord, role: Option<ConnectedRole>) -> RoleSetup {
        let link = self.api.quick_create_url.as_deref();
        RoleSetup {
            service_account: self.api.service.account.clone(),
            external_id: user.external_id.clone(),
            quick_create_url: link.map(|link| format!("{link}{}", user.external_id.secret())),
            role,
        }
    }

    /// Forgets the role. Jobs that are under way go on, as they have it in their records.
    pub async fn forget_role(self) -> Result<(), ApiError> {
        let user = &self.signed_in()?.user;
        match self.api.gate.users.remove_role(user).await? {
            Change::Made => Ok(()),
            Change::Refused => Err(ApiError::NoSuchUser(user.name.clone())),
        }
    }

    fn demand_administrator(self) -> Result<(), ApiError> {
        match self.caller.administers_users() {
            true => Ok(()),
            false => Err(ApiError::NotAnAdministrator),
        }
    }

    async fn known(self, name: &UserName) -> Result<UserRecord, ApiError> {
        let user = self.api.gate.users.get(name).await?;
        user.ok_or_else(|| ApiError::NoSuchUser(name.clone()))
    }
}
