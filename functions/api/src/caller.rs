//! Who calls, and from where.

use std::{fmt, net::IpAddr};

use cloudupload::{
    caller::{CallerName, Rights},
    job::Owner,
    names::User,
    user::{TokenId, TokenRecord, UserRecord},
};
use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    tracing::{self, Span, field},
};

/// Where a request comes from, as API Gateway and the caller tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The caller's own id for the request, which OBS's frontend sends: the request is found by it in the logs of both.
    pub request_id: Option<String>,
    /// The address that the connection to API Gateway came from. It is not taken from `X-Forwarded-For`, into which a
    /// caller can write what it likes.
    pub source_ip: Option<IpAddr>,
}

impl Origin {
    pub fn of(event: &ApiGatewayV2httpRequest) -> Self {
        let request_id = event.headers.get("x-request-id");
        let source_ip = event.request_context.http.source_ip.as_deref();
        let source_ip = source_ip.and_then(|ip| ip.parse().ok());
        Self {
            request_id: request_id
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
            source_ip: source_ip.map(|ip: IpAddr| ip.to_canonical()),
        }
    }

    /// The span of a request: every line that the function logs meanwhile tells of the origin, and of the caller once
    /// that is known.
    pub fn span(&self) -> Span {
        tracing::info_span!(
            "request",
            request_id = self.request_id,
            source_ip = self.source_ip.map(field::display),
            caller = field::Empty,
        )
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source_ip {
            Some(ip) => write!(f, "{ip}")?,
            None => f.write_str("an unknown address")?,
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

/// A caller that was let in. Only [`Gate`](crate::gate::Gate) makes one outside of tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    pub who: Who,
    pub origin: Origin,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// A caller without a secret, where such calls are allowed. It has the rights of OBS's frontend.
    WithoutSecret,
    /// A caller with a secret: OBS, or one of the table of callers.
    Caller { name: CallerName, rights: Rights },
    /// A user of this service, who acts for nobody else.
    User(Box<SignedIn>),
}

/// A user of this service, by one of the user's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedIn {
    pub user: UserRecord,
    pub token: (TokenId, TokenRecord),
    pub namesakes: Namesakes,
}

/// Whether a user of this service and the user of OBS of the same name are one owner. The operators say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namesakes {
    Strangers,
    /// One person, who sees the jobs of both, as both.
    OnePerson,
}

impl std::str::FromStr for Namesakes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "no" => Ok(Self::Strangers),
            "yes" => Ok(Self::OnePerson),
            text => Err(format!("'{text}' is neither 'yes' nor 'no'")),
        }
    }
}

impl SignedIn {
    /// The user in the records of jobs.
    pub fn name(&self) -> User {
        (&self.user.name).into()
    }

    /// The owner of this user's new jobs.
    pub fn owner(&self) -> Owner {
        match self.namesakes {
            Namesakes::Strangers => Owner::Account(self.user.id.clone()),
            Namesakes::OnePerson => Owner::Obs(self.name()),
        }
    }

    fn is(&self, owner: &Owner) -> bool {
        match owner {
            Owner::Account(id) => *id == self.user.id,
            Owner::Obs(user) => {
                self.namesakes == Namesakes::OnePerson && user.as_str() == self.user.name.as_str()
            }
        }
    }
}

impl Caller {
    /// Whether the jobs of that owner may be created, seen and killed.
    pub fn covers(&self, owner: &Owner) -> bool {
        match &self.who {
            Who::WithoutSecret => Rights::AllUsers.cover(owner),
            Who::Caller { rights, .. } => rights.cover(owner),
            Who::User(user) => user.is(owner),
        }
    }

    /// Whether that is so for every owner.
    pub fn covers_all(&self) -> bool {
        matches!(
            self.who,
            Who::WithoutSecret
                | Who::Caller {
                    rights: Rights::AllUsers,
                    ..
                }
        )
    }

    /// Whether users of this service may be made and removed.
    pub fn administers_users(&self) -> bool {
        matches!(
            self.who,
            Who::Caller {
                rights: Rights::AdministerUsers,
                ..
            }
        )
    }

    /// The user, if it is one of this service.
    pub fn user(&self) -> Option<&SignedIn> {
        match &self.who {
            Who::User(user) => Some(user),
            Who::WithoutSecret | Who::Caller { .. } => None,
        }
    }

    /// The name in the records of jobs.
    pub fn name(&self) -> Option<&CallerName> {
        match &self.who {
            Who::Caller { name, .. } => Some(name),
            Who::WithoutSecret | Who::User(_) => None,
        }
    }

    /// The name in the logs.
    pub fn known_as(&self) -> String {
        match &self.who {
            Who::WithoutSecret => Self::WITHOUT_SECRET.to_owned(),
            Who::Caller { name, .. } => name.to_string(),
            Who::User(signed_in) => {
                let SignedIn { user, token, .. } = &**signed_in;
                format!("user {} by token {}", user.name, token.0)
            }
        }
    }

    /// No name of a caller: it has a space. The alarm `CallsWithoutSecret` in `infra/template.yaml` looks for it.
    const WITHOUT_SECRET: &str = "without secret";
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.known_as(), self.origin)
    }
}

#[cfg(test)]
mod tests {
    use cloudupload::{clock::Timestamp, user::NewToken};

    use super::*;
    use crate::sample_event::{create_event, event};

    #[test]
    fn the_sample_event_tells_its_origin() {
        let origin = Origin::of(&create_event());
        assert_eq!(
            origin,
            Origin {
                request_id: Some("0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11".to_owned()),
                source_ip: Some([192, 0, 2, 1].into()),
            }
        );
        assert_eq!(
            origin.to_string(),
            "192.0.2.1, request 0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11"
        );
    }

    #[test]
    fn a_request_need_not_tell_where_it_comes_from() {
        let mut event = event("GET", "/cloudupload", "", b"");
        event.headers.clear();
        event.request_context.http.source_ip = Some("2001:db8::1".to_owned());
        assert_eq!(Origin::of(&event).to_string(), "2001:db8::1");
        event.request_context.http.source_ip = None;
        let origin = Origin::of(&event);
        assert_eq!(origin.to_string(), "an unknown address");
        let caller = Caller {
            who: Who::WithoutSecret,
            origin,
        };
        assert_eq!(caller.to_string(), "without secret at an unknown address");
    }

    fn signed_in(namesakes: Namesakes) -> Caller {
        let now = Timestamp::from_secs(1000);
        let user = UserRecord::new("tom".parse().unwrap(), now);
        let token = NewToken::of(&user.name, "laptop".parse().unwrap(), now, None);
        Caller {
            who: Who::User(Box::new(SignedIn {
                user,
                token: (token.id, token.record),
                namesakes,
            })),
            origin: Origin {
                request_id: None,
                source_ip: None,
            },
        }
    }

    #[test]
    fn a_user_is_another_than_the_one_of_obs_unless_the_operators_say_so() {
        let obs = |user: &str| Owner::Obs(user.parse().unwrap());
        for (namesakes, covers) in [(Namesakes::Strangers, false), (Namesakes::OnePerson, true)] {
            let caller = signed_in(namesakes);
            let tom = caller.user().unwrap();
            assert!(caller.covers(&tom.owner()));
            assert!(caller.covers(&Owner::Account(tom.user.id.clone())));
            assert_eq!(caller.covers(&obs("tom")), covers);
            assert!(!caller.covers(&obs("tim")));
            // One of the same name, made after this one was removed, or before.
            let namesake = signed_in(Namesakes::Strangers);
            assert!(!caller.covers(&namesake.user().unwrap().owner()));
            assert!(!caller.covers_all() && !caller.administers_users());
            assert_eq!(caller.name(), None);
        }
    }
}
