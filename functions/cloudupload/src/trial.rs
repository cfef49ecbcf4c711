//! What `api` and `connect` say to each other: a role that a user wants to connect, and what came of the trial.

use serde::{Deserialize, Serialize};

use crate::target::{ExternalId, Region, RoleArn, Route};

/// A role to try, in a region. It is the event of `connect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleTrial {
    pub role: RoleArn,
    pub external_id: ExternalId,
    pub region: Region,
}

/// What came of a trial. It is the answer of `connect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialOutcome {
    /// The role was assumed.
    Connected(RoleReport),
    /// It cannot be used, for this reason.
    Refused(String),
}

/// What a role may do and may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleReport {
    /// Permissions that every upload needs and that the role lacks.
    pub missing: Vec<String>,
    /// Each route, the best one first.
    pub routes: Vec<RouteReport>,
}

/// What a role may do on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteReport {
    pub route: Route,
    pub verdict: RouteVerdict,
    /// Permissions that the route needs and that the role lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Whether uploads may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteVerdict {
    Allowed,
    /// It cannot be tried without making something.
    Unproven,
    Denied,
    /// By the operators of this service.
    SwitchedOff,
}

impl RoleReport {
    /// Whether an upload can succeed with this role.
    pub fn is_usable(&self) -> bool {
        let open = |route: &RouteReport| {
            matches!(
                route.verdict,
                RouteVerdict::Allowed | RouteVerdict::Unproven
            )
        };
        self.missing.is_empty() && self.routes.iter().any(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(missing: &[&str], verdicts: &[RouteVerdict]) -> RoleReport {
        let routes = Route::ALL.into_iter().zip(verdicts);
        RoleReport {
            missing: missing.iter().map(|&action| action.to_owned()).collect(),
            routes: routes
                .map(|(route, &verdict)| RouteReport {
                    route,
                    verdict,
                    missing: vec![],
                })
                .collect(),
        }
    }

    #[test]
    fn the_sample_event_is_a_trial() {
        let event = include_str!("../../../events/connect.json");
        let trial: RoleTrial = serde_json::from_str(event).unwrap();
        assert_eq!(trial.region.as_str(), "eu-central-1");
    }

    #[test]
    fn a_role_is_usable_with_one_route_and_all_that_every_route_needs() {
        use RouteVerdict::*;
        assert!(report(&[], &[Denied, SwitchedOff, Allowed]).is_usable());
        assert!(report(&[], &[Denied, Unproven, Denied]).is_usable());
        assert!(!report(&[], &[Denied, Denied, SwitchedOff]).is_usable());
        assert!(!report(&["ec2:RegisterImage"], &[Allowed]).is_usable());
        assert!(!RoleReport::default().is_usable());
    }
}
