//! The choice of the route, by the job's wish and by what the role allows.

use std::collections::BTreeSet;

use cloudupload::{
    aws::Failure,
    target::Route,
    trial::{RoleReport, RouteReport, RouteVerdict},
};

/// Whether a job may take a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// AWS refused nothing of what was tried.
    Allowed,
    /// Perhaps: what the route takes cannot be tried.
    Unproven,
    /// AWS refused these calls.
    Denied(Vec<Failure>),
    /// The operators of this service have switched the route off.
    SwitchedOff,
    /// It cannot grant a wish of the job, for this reason.
    Unfit(String),
}

/// What was found out about each route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) direct: Finding,
    pub(super) import: Finding,
    pub(super) copy: Finding,
    /// What stays untried of the route `import`, for the job's log.
    pub(super) import_caveat: Option<String>,
}

impl Findings {
    fn of(&self, route: Route) -> &Finding {
        match route {
            Route::Direct => &self.direct,
            Route::Import => &self.import,
            Route::Copy => &self.copy,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Finding> {
        Route::ALL.into_iter().map(|route| self.of(route))
    }

    /// The routes that may be taken, the best one first: those that are allowed for certain come before all others.
    fn possible(&self) -> impl Iterator<Item = (Route, Reason)> {
        let found = |finding, reason| {
            let routes = Route::ALL.into_iter();
            routes
                .filter(move |&route| *self.of(route) == finding)
                .map(move |route| (route, reason))
        };
        found(Finding::Allowed, Reason::Allowed).chain(found(Finding::Unproven, Reason::Unproven))
    }
}

/// The route that a job takes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub route: Route,
    /// The next best, which the job takes if the first is refused after all. None where the job asks for a route.
    pub second: Option<Route>,
    reason: Reason,
    findings: Findings,
}

/// Why a route is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The job asks for it.
    Wish,
    /// It is the first that the role allows.
    Allowed,
    /// It is the first that the role may allow, and there is none that it allows for certain.
    Unproven,
}

/// Why a job can take no route, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "{}. Every upload needs permissions that the role lacks: add {} to the role, or deploy infra/user-account.yaml",
        first(.0), actions(.0)
    )]
    Required(Vec<Failure>),
    #[error(
        "{}. This job asks for the route {route}, for which the role lacks permissions: add {} to the role, or leave route \
         out of the job's JSON", first(.denied), actions(.denied)
    )]
    Wish { route: Route, denied: Vec<Failure> },
    #[error(
        "this job asks for the route {0}, which the operators of this service have switched off: leave route out of the \
         job's JSON, or ask for another one"
    )]
    SwitchedOff(Route),
    #[error("{0}")]
    Unfit(String),
    #[error(
        "{}. The role allows no route into its account: direct needs {}; import needs {}; copy {}. Add the permissions that \
         direct needs to the role, or deploy infra/user-account.yaml",
        first(.direct), actions(.direct), actions(.import),
        .copy.as_ref().map_or("is switched off by the operators of this service".to_owned(), |copy| format!("needs {}", actions(copy)))
    )]
    NoRoute {
        direct: Vec<Failure>,
        import: Vec<Failure>,
        /// Nothing, if the route is switched off.
        copy: Option<Vec<Failure>>,
    },
}

/// Chooses the route: the one that the job asks for, else the first of `direct`, `import` and `copy` that the role allows.
pub(super) fn choose(wish: Option<Route>, findings: Findings) -> Result<Choice, Refusal> {
    let mut possible = findings.possible();
    let (route, reason, second) = match (wish, possible.next()) {
        (Some(route), _) => (wished(route, &findings)?, Reason::Wish, None),
        (None, Some((route, reason))) => (route, reason, possible.next().map(|(second, _)| second)),
        (None, None) => {
            drop(possible);
            return Err(no_route(findings));
        }
    };
    drop(possible);
    Ok(Choice {
        route,
        second,
        reason,
        findings,
    })
}

fn wished(route: Route, findings: &Findings) -> Result<Route, Refusal> {
    match findings.of(route) {
        Finding::Allowed | Finding::Unproven => Ok(route),
        Finding::Denied(denied) => Err(Refusal::Wish {
            route,
            denied: denied.clone(),
        }),
        Finding::SwitchedOff => Err(Refusal::SwitchedOff(route)),
        Finding::Unfit(reason) => Err(Refusal::Unfit(reason.clone())),
    }
}

fn no_route(findings: Findings) -> Refusal {
    let denied = |finding| match finding {
        Finding::Denied(failures) => Some(failures),
        Finding::Allowed | Finding::Unproven | Finding::SwitchedOff | Finding::Unfit(_) => None,
    };
    Refusal::NoRoute {
        direct: denied(findings.direct).unwrap_or_default(),
        import: denied(findings.import).unwrap_or_default(),
        copy: denied(findings.copy),
    }
}

impl Choice {
    /// The lines for the job's log: which route is taken, why, and what would make it faster.
    pub fn lines(&self) -> Vec<String> {
        let route = self.route;
        let why = match (self.reason, route) {
            (Reason::Wish, _) => "this job asks for it",
            (Reason::Allowed, Route::Direct) => "the role allows it, and it is the fastest",
            (Reason::Allowed, _) => "the first of direct, import and copy that the role allows",
            (Reason::Unproven, _) => {
                "the only one of direct, import and copy that the role may allow"
            }
        };
        let faster = match (route, &self.findings.direct) {
            (Route::Direct, _) | (_, Finding::Unproven | Finding::SwitchedOff) => None,
            (_, Finding::Unfit(reason)) => Some(reason.clone()),
            (_, Finding::Allowed) => {
                Some("The role allows the route direct too, which is faster".to_owned())
            }
            (_, Finding::Denied(denied)) => Some(format!(
                "With {} in the role, this upload could take the route direct, which is faster",
                actions(denied)
            )),
        };
        let caveat = self.findings.import_caveat.clone();
        let caveat = caveat.filter(|_| route == Route::Import);
        let line = format!("Route {route}: {why}");
        [Some(line), faster, caveat].into_iter().flatten().collect()
    }
}

/// What a role may do and may not, for its user.
pub(super) fn report(required: &[Failure], findings: &Findings) -> RoleReport {
    let routes = Route::ALL.into_iter().map(|route| {
        let (verdict, denied) = match findings.of(route) {
            Finding::Allowed => (RouteVerdict::Allowed, &[][..]),
            Finding::Unproven | Finding::Unfit(_) => (RouteVerdict::Unproven, &[][..]),
            Finding::Denied(denied) => (RouteVerdict::Denied, &denied[..]),
            Finding::SwitchedOff => (RouteVerdict::SwitchedOff, &[][..]),
        };
        RouteReport {
            route,
            verdict,
            missing: permissions(denied),
        }
    });
    RoleReport {
        missing: permissions(required),
        routes: routes.collect(),
    }
}

/// The first refusal, in AWS's words.
fn first(denied: &[Failure]) -> String {
    denied.first().map(Failure::to_string).unwrap_or_default()
}

/// The permissions that are missing, each once.
fn actions(denied: &[Failure]) -> String {
    permissions(denied).join(", ")
}

fn permissions(denied: &[Failure]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let actions = denied.iter().map(permission);
    let actions = actions.filter(|action| seen.insert(*action));
    actions.map(str::to_owned).collect()
}

/// The permission that is missing. It is not always that of the call, as tags on creation need their own; AWS names it
/// (IAM user guide, "Troubleshoot access denied error messages").
fn permission(denied: &Failure) -> &str {
    let named = denied.message.split_once("not authorized to perform: ");
    let named = named.and_then(|(_, rest)| rest.split_whitespace().next());
    match (named, denied.call) {
        (Some(action), _) => action,
        // HeadBucket has no permission of its own (S3 API reference, HeadBucket, "Permissions").
        (None, "s3:HeadBucket") => "s3:ListBucket",
        (None, call) => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(call: &'static str, message: &str) -> Failure {
        Failure {
            code: Some("AccessDeniedException".to_owned()),
            transient: false,
            ..Failure::unexpected(call, message)
        }
    }

    fn lacks(calls: &[&'static str]) -> Finding {
        Finding::Denied(calls.iter().map(|call| denied(call, "no")).collect())
    }

    fn findings(direct: Finding, import: Finding, copy: Finding) -> Findings {
        Findings {
            direct,
            import,
            copy,
            import_caveat: None,
        }
    }

    #[test]
    fn a_report_names_what_each_route_lacks() {
        let direct = lacks(&[
            "ebs:StartSnapshot",
            "ebs:StartSnapshot",
            "ebs:PutSnapshotBlock",
        ]);
        let findings = findings(direct, Finding::Unproven, Finding::SwitchedOff);
        let report = report(&[denied("ec2:RegisterImage", "no")], &findings);
        assert_eq!(report.missing, ["ec2:RegisterImage"]);
        let routes: Vec<_> = report
            .routes
            .iter()
            .map(|route| (route.route, route.verdict, route.missing.join(" ")))
            .collect();
        let none = String::new();
        assert_eq!(
            routes,
            [
                (
                    Route::Direct,
                    RouteVerdict::Denied,
                    "ebs:StartSnapshot ebs:PutSnapshotBlock".to_owned()
                ),
                (Route::Import, RouteVerdict::Unproven, none.clone()),
                (Route::Copy, RouteVerdict::SwitchedOff, none),
            ]
        );
    }

    fn lines(wish: Option<Route>, findings: Findings) -> Vec<String> {
        choose(wish, findings).unwrap().lines()
    }

    fn refusal(wish: Option<Route>, findings: Findings) -> String {
        choose(wish, findings).unwrap_err().to_string()
    }

    const FIRST: &str = "the first of direct, import and copy that the role allows";

    #[test]
    fn without_a_wish_the_first_that_is_allowed_is_taken() {
        use Finding::{Allowed, SwitchedOff, Unproven};
        for (direct, import, copy, route) in [
            (Allowed, Allowed, Allowed, Route::Direct),
            (Allowed, lacks(&["a:A"]), SwitchedOff, Route::Direct),
            (lacks(&["a:A"]), Allowed, Allowed, Route::Import),
            (lacks(&["a:A"]), lacks(&["a:B"]), Allowed, Route::Copy),
            // What is certain goes before what is not.
            (lacks(&["a:A"]), Unproven, Allowed, Route::Copy),
            (lacks(&["a:A"]), Unproven, lacks(&["a:B"]), Route::Import),
            (lacks(&["a:A"]), Unproven, SwitchedOff, Route::Import),
        ] {
            let findings = findings(direct, import, copy);
            let choice = choose(None, findings.clone()).unwrap();
            assert_eq!(choice.route, route, "{findings:?}");
        }
    }

    #[test]
    fn the_next_best_route_stands_by_unless_the_job_asks_for_one() {
        use Finding::{Allowed, SwitchedOff, Unproven};
        let second = |wish, direct, import, copy| {
            choose(wish, findings(direct, import, copy)).unwrap().second
        };
        assert_eq!(second(None, Allowed, Unproven, Allowed), Some(Route::Copy));
        assert_eq!(second(None, Allowed, Allowed, Allowed), Some(Route::Import));
        assert_eq!(
            second(None, Allowed, Unproven, SwitchedOff),
            Some(Route::Import)
        );
        assert_eq!(second(None, Allowed, lacks(&["a:A"]), SwitchedOff), None);
        let wish = Some(Route::Direct);
        assert_eq!(second(wish, Allowed, Allowed, Allowed), None);
    }

    #[test]
    fn a_route_that_cannot_grant_a_wish_is_left_out() {
        use Finding::Allowed;
        let findings = findings(Finding::Unfit("no alias".to_owned()), Allowed, Allowed);
        let choice = choose(None, findings).unwrap();
        assert_eq!(
            (choice.route, choice.second),
            (Route::Import, Some(Route::Copy))
        );
        assert_eq!(choice.lines()[1], "no alias");
    }

    #[test]
    fn the_log_says_which_route_why_and_what_would_be_faster() {
        use Finding::{Allowed, SwitchedOff, Unproven};
        let ebs = || lacks(&["ebs:StartSnapshot", "ebs:PutSnapshotBlock"]);
        assert_eq!(
            lines(None, findings(Allowed, Allowed, Allowed)),
            ["Route direct: the role allows it, and it is the fastest"]
        );
        let faster = "With ebs:StartSnapshot, ebs:PutSnapshotBlock in the role, this upload could take the route direct, \
                      which is faster";
        assert_eq!(
            lines(None, findings(ebs(), lacks(&["a:A"]), Allowed)),
            [&format!("Route copy: {FIRST}"), faster]
        );
        let with_caveat = Findings {
            import_caveat: Some("No bucket yet".to_owned()),
            ..findings(ebs(), Unproven, SwitchedOff)
        };
        assert_eq!(
            lines(None, with_caveat.clone()),
            [
                "Route import: the only one of direct, import and copy that the role may allow",
                faster,
                "No bucket yet"
            ]
        );
        let wished = Findings {
            direct: Allowed,
            copy: Allowed,
            ..with_caveat
        };
        let too = "The role allows the route direct too, which is faster";
        assert_eq!(
            lines(Some(Route::Copy), wished.clone()),
            ["Route copy: this job asks for it", too]
        );
        assert_eq!(
            lines(Some(Route::Import), wished),
            ["Route import: this job asks for it", too, "No bucket yet"]
        );
    }

    #[test]
    fn a_wish_that_cannot_be_met_is_refused() {
        use Finding::{Allowed, SwitchedOff};
        let lacking = findings(lacks(&["ebs:StartSnapshot"]), Allowed, SwitchedOff);
        assert_eq!(
            refusal(Some(Route::Direct), lacking.clone()),
            "ebs:StartSnapshot failed: AccessDeniedException: no. This job asks for the route direct, for which the role \
             lacks permissions: add ebs:StartSnapshot to the role, or leave route out of the job's JSON"
        );
        assert_eq!(
            refusal(Some(Route::Copy), lacking),
            "this job asks for the route copy, which the operators of this service have switched off: leave route out of \
             the job's JSON, or ask for another one"
        );
    }

    #[test]
    fn a_role_that_allows_no_route_is_told_what_each_needs() {
        let direct = || lacks(&["ebs:StartSnapshot", "ec2:DescribeSnapshots"]);
        let import = || lacks(&["ec2:ImportSnapshot", "s3:HeadBucket"]);
        let text = refusal(
            None,
            findings(direct(), import(), lacks(&["ec2:CopySnapshot"])),
        );
        assert_eq!(
            text,
            "ebs:StartSnapshot failed: AccessDeniedException: no. The role allows no route into its account: direct needs \
             ebs:StartSnapshot, ec2:DescribeSnapshots; import needs ec2:ImportSnapshot, s3:ListBucket; copy needs \
             ec2:CopySnapshot. Add the permissions that direct needs to the role, or deploy infra/user-account.yaml"
        );
        let text = refusal(None, findings(direct(), import(), Finding::SwitchedOff));
        let off = "s3:ListBucket; copy is switched off by the operators of this service. Add the permissions";
        assert!(text.contains(off), "{text}");
    }

    #[test]
    fn the_missing_permission_is_the_one_that_aws_names() {
        let text = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/a/b is not \
                    authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1::image/* because no \
                    identity-based policy allows the ec2:CreateTags action.";
        let named = denied("ec2:RegisterImage", text);
        let unnamed = denied(
            "ec2:RegisterImage",
            "You are not authorized to perform this operation.",
        );
        assert_eq!(permission(&named), "ec2:CreateTags");
        assert_eq!(permission(&unnamed), "ec2:RegisterImage");
        assert_eq!(
            actions(&[named.clone(), unnamed, named]),
            "ec2:CreateTags, ec2:RegisterImage"
        );
    }
}
