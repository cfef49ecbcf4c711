//! Which operation a request means.

use std::str::FromStr;

use cloudupload::{
    job::JobId,
    multipart::Crc32,
    names::{Arch, BadName, Package, Project, Repository},
    target::RoleArn,
    user::{TokenId, UserName},
};
use lambda_http::http::Method;

use super::{ROOT, body};
use crate::{
    api::{LogRange, LogStart, OwnUpload, TokenWish, Whose},
    obs_protocol::{
        parameters::{Parameters, digits},
        problem::Problem,
        request::Request,
    },
};

/// The jobs in a list, unless the request says how many.
const DEFAULT_JOBS: usize = 50;

/// The most jobs in a list: their records are read in one batch.
const MAX_JOBS: usize = 100;

/// What can be requested.
#[derive(Debug, PartialEq)]
pub enum Operation {
    Users,
    CreateUser(UserName),
    User(UserName),
    RemoveUser(UserName),
    Tokens(Whose),
    CreateToken(Whose, TokenWish),
    RemoveToken(Whose, TokenId),
    Me,
    Role,
    ConnectRole {
        arn: RoleArn,
        region: String,
    },
    ForgetRole,
    CreateJob(Box<OwnUpload>),
    Jobs {
        before: Option<JobId>,
        limit: usize,
    },
    Job(JobId),
    KillJob(JobId),
    Push(JobId),
    PartUrls {
        job: JobId,
        numbers: Vec<u32>,
        sent: Option<u64>,
    },
    PushDone(JobId, Crc32),
    AbortPush(JobId, String),
    RetryJob(JobId),
    RemoveImage(JobId),
    Log {
        job: JobId,
        range: LogRange,
        follow: bool,
    },
    Projects,
    Repositories(Project),
    Packages {
        project: Project,
        repository: Repository,
        arch: Arch,
    },
    Images {
        project: Project,
        package: Package,
    },
}

/// What a path names.
enum Resource {
    Users,
    User(UserName),
    Tokens(Whose),
    Token(Whose, TokenId),
    Me,
    Role,
    Jobs,
    Job(JobId),
    Kill(JobId),
    Push(JobId),
    PushParts(JobId),
    PushDone(JobId),
    PushAbort(JobId),
    Retry(JobId),
    Image(JobId),
    Log(JobId),
    Projects,
    Repositories(Project),
    Packages(Project),
    Images(Project, Package),
}

impl Operation {
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let resource = Resource::at(&request.path)?;
        let operation = Self::on(resource, request)?;
        let has_query = matches!(
            operation,
            Self::Jobs { .. } | Self::Log { .. } | Self::Packages { .. }
        );
        if !has_query {
            request.query()?.allow(&[], &[])?;
        }
        Ok(operation)
    }

    fn on(resource: Resource, request: &Request) -> Result<Self, Problem> {
        // An answer to HEAD is that to GET, and loses its body later.
        let method = match request.method {
            Method::HEAD => Method::GET,
            _ => request.method.clone(),
        };
        Ok(match (resource, &method) {
            (Resource::Users, &Method::GET) => Self::Users,
            (Resource::Users, &Method::POST) => {
                Self::CreateUser(body::read::<body::NewUser>(request)?.name)
            }
            (Resource::User(name), &Method::GET) => Self::User(name),
            (Resource::User(name), &Method::DELETE) => Self::RemoveUser(name),
            (Resource::Tokens(whose), &Method::GET) => Self::Tokens(whose),
            (Resource::Tokens(whose), &Method::POST) => {
                let wish = body::read::<body::NewToken>(request)?.try_into()?;
                Self::CreateToken(whose, wish)
            }
            (Resource::Token(whose, id), &Method::DELETE) => Self::RemoveToken(whose, id),
            (Resource::Me, &Method::GET) => Self::Me,
            (Resource::Role, &Method::GET) => Self::Role,
            (Resource::Role, &Method::PUT) => {
                let body::NewRole { arn, region } = body::read(request)?;
                Self::ConnectRole { arn, region }
            }
            (Resource::Role, &Method::DELETE) => Self::ForgetRole,
            (Resource::Jobs, &Method::GET) => jobs(&request.query()?)?,
            (Resource::Jobs, &Method::POST) => {
                let upload = body::read::<body::NewJob>(request)?.try_into()?;
                Self::CreateJob(Box::new(upload))
            }
            (Resource::Job(id), &Method::GET) => Self::Job(id),
            (Resource::Kill(id), &Method::POST) => Self::KillJob(id),
            (Resource::Push(id), &Method::GET) => Self::Push(id),
            (Resource::PushParts(job), &Method::POST) => {
                let (numbers, sent) = body::read::<body::WantedParts>(request)?.read()?;
                Self::PartUrls { job, numbers, sent }
            }
            (Resource::PushAbort(id), &Method::POST) => {
                Self::AbortPush(id, body::read::<body::AbortedPush>(request)?.read()?)
            }
            (Resource::PushDone(id), &Method::POST) => {
                Self::PushDone(id, body::read::<body::PushedFile>(request)?.crc32)
            }
            (Resource::Retry(id), &Method::POST) => Self::RetryJob(id),
            (Resource::Image(id), &Method::DELETE) => Self::RemoveImage(id),
            (Resource::Log(id), &Method::GET) => log(id, &request.query()?)?,
            (Resource::Projects, &Method::GET) => Self::Projects,
            (Resource::Repositories(project), &Method::GET) => Self::Repositories(project),
            (Resource::Packages(project), &Method::GET) => {
                let query = request.query()?;
                query.allow(&["repository", "arch"], &[])?;
                Self::Packages {
                    project,
                    repository: query.required("repository")?,
                    arch: query.required("arch")?,
                }
            }
            (Resource::Images(project, package), &Method::GET) => Self::Images { project, package },
            (resource, method) => {
                return Err(Problem::with_status(
                    405,
                    format!(
                        "{} takes {}, and not {method}",
                        request.path,
                        resource.methods().join(", ")
                    ),
                ));
            }
        })
    }
}

impl Resource {
    fn at(path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
        let Some((&ROOT, segments)) = segments.split_first() else {
            return Err(no_such_path(path));
        };
        Ok(match *segments {
            ["users"] => Self::Users,
            ["users", name] => Self::User(user(name)?),
            ["users", name, "tokens"] => Self::Tokens(Whose::Of(user(name)?)),
            ["users", name, "tokens", id] => Self::Token(Whose::Of(user(name)?), token(id)?),
            ["me"] => Self::Me,
            ["me", "tokens"] => Self::Tokens(Whose::Own),
            ["me", "tokens", id] => Self::Token(Whose::Own, token(id)?),
            ["me", "role"] => Self::Role,
            ["jobs"] => Self::Jobs,
            ["jobs", id] => Self::Job(job(id)?),
            ["jobs", id, "kill"] => Self::Kill(job(id)?),
            ["jobs", id, "push"] => Self::Push(job(id)?),
            ["jobs", id, "push", "parts"] => Self::PushParts(job(id)?),
            ["jobs", id, "push", "done"] => Self::PushDone(job(id)?),
            ["jobs", id, "push", "abort"] => Self::PushAbort(job(id)?),
            ["jobs", id, "retry"] => Self::Retry(job(id)?),
            ["jobs", id, "image"] => Self::Image(job(id)?),
            ["jobs", id, "log"] => Self::Log(job(id)?),
            ["projects"] => Self::Projects,
            ["projects", project, "repositories"] => Self::Repositories(name(project)?),
            ["projects", project, "packages"] => Self::Packages(name(project)?),
            ["projects", project, "packages", package, "images"] => {
                Self::Images(name(project)?, name(package)?)
            }
            _ => return Err(no_such_path(path)),
        })
    }

    /// The methods that it takes.
    fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Users | Self::Tokens(_) | Self::Jobs => &["GET", "HEAD", "POST"],
            Self::User(_) => &["GET", "HEAD", "DELETE"],
            Self::Token(..) | Self::Image(_) => &["DELETE"],
            Self::Role => &["GET", "HEAD", "PUT", "DELETE"],
            Self::Me
            | Self::Job(_)
            | Self::Push(_)
            | Self::Log(_)
            | Self::Projects
            | Self::Repositories(_)
            | Self::Packages(_)
            | Self::Images(..) => &["GET", "HEAD"],
            Self::Kill(_)
            | Self::PushParts(_)
            | Self::PushDone(_)
            | Self::PushAbort(_)
            | Self::Retry(_) => &["POST"],
        }
    }
}

fn no_such_path(path: &str) -> Problem {
    Problem::with_status(
        404,
        format!("there is no {path}: docs/openapi.yaml lists what there is"),
    )
}

/// A name of OBS's.
fn name<T: FromStr<Err = BadName>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(Problem::bad_request)
}

/// No user can have a name that is not legal.
fn user(name: &str) -> Result<UserName, Problem> {
    name.parse().map_err(not_found)
}

fn token(id: &str) -> Result<TokenId, Problem> {
    id.parse().map_err(not_found)
}

fn not_found(reason: impl ToString) -> Problem {
    Problem::with_status(404, reason)
}

/// The job in a path. A name that is no number is that of a job that does not exist.
fn job(text: &str) -> Result<JobId, Problem> {
    number(text).ok_or_else(Problem::no_such_job)
}

fn number(text: &str) -> Option<JobId> {
    let digits = digits(text)
        .ok()
        .filter(|digits| !digits.starts_with('0'))?;
    digits.parse().ok()
}

fn jobs(query: &Parameters) -> Result<Operation, Problem> {
    query.allow(&["before", "limit"], &[])?;
    let before = query.get("before").map(|text| {
        number(text)
            .ok_or_else(|| Problem::bad_request(format!("before '{text}' is no job's number")))
    });
    let limit = match query.get("limit") {
        None => DEFAULT_JOBS,
        Some(text) => match digits(text)?.parse() {
            Ok(limit @ 1..=MAX_JOBS) => limit,
            _ => {
                return Err(Problem::bad_request(format!(
                    "limit {text} is out of range: give 1 to {MAX_JOBS}"
                )));
            }
        },
    };
    Ok(Operation::Jobs {
        before: before.transpose()?,
        limit,
    })
}

fn log(job: JobId, query: &Parameters) -> Result<Operation, Problem> {
    query.allow(&["start", "end", "follow"], &[])?;
    // More digits than fit are still a number, past the end of any log.
    let offset = |name: &'static str| {
        let digits = query.get(name).map(digits).transpose()?;
        Ok::<_, Problem>(digits.map(|digits| digits.parse().unwrap_or(usize::MAX)))
    };
    Ok(Operation::Log {
        job,
        range: LogRange {
            start: LogStart::FromBegin(offset("start")?.unwrap_or_default()),
            end: offset("end")?,
        },
        follow: query.switch("follow")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{api::NewFile, sample_event::event};

    fn sent(method: &str, target: &str, body: &str) -> Result<Operation, (u16, String)> {
        let request = Request::from(event(method, target, "application/json", body.as_bytes()));
        Operation::of(&request).map_err(|problem| (problem.status, problem.summary))
    }

    fn refused(method: &str, target: &str, body: &str) -> (u16, String) {
        sent(method, target, body).unwrap_err()
    }

    fn id(number: u64) -> JobId {
        JobId::new(number).unwrap()
    }

    fn tom() -> UserName {
        "tom".parse().unwrap()
    }

    #[test]
    fn paths_and_methods_are_operations() {
        let token: TokenId = "0001020304050607".parse().unwrap();
        let of_tom = || Whose::Of(tom());
        for (method, target, operation) in [
            ("GET", "/v1/users", Operation::Users),
            ("GET", "/v1/users/tom", Operation::User(tom())),
            ("DELETE", "/v1/users/tom/", Operation::RemoveUser(tom())),
            ("HEAD", "/v1/users/tom/tokens", Operation::Tokens(of_tom())),
            (
                "DELETE",
                "/v1/users/tom/tokens/0001020304050607",
                Operation::RemoveToken(of_tom(), token.clone()),
            ),
            ("GET", "/v1/me/tokens", Operation::Tokens(Whose::Own)),
            (
                "DELETE",
                "/v1/me/tokens/0001020304050607",
                Operation::RemoveToken(Whose::Own, token),
            ),
            ("GET", "/v1/me", Operation::Me),
            ("GET", "/v1/me/role", Operation::Role),
            ("DELETE", "/v1/me/role", Operation::ForgetRole),
            ("GET", "/v1/jobs/17", Operation::Job(id(17))),
            ("POST", "/v1/jobs/17/kill", Operation::KillJob(id(17))),
            ("GET", "/v1/jobs/17/push", Operation::Push(id(17))),
            ("POST", "/v1/jobs/17/retry", Operation::RetryJob(id(17))),
            (
                "DELETE",
                "/v1/jobs/17/image",
                Operation::RemoveImage(id(17)),
            ),
            ("GET", "/v1/projects", Operation::Projects),
        ] {
            assert_eq!(sent(method, target, ""), Ok(operation), "{method} {target}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_as_http_does() {
        for (method, target, status) in [
            ("GET", "/v1", 404),
            ("GET", "/v1/nothing", 404),
            ("GET", "/v1/users/a b", 404),
            ("GET", "/v1/jobs/0", 404),
            ("GET", "/v1/jobs/017", 404),
            ("GET", "/v1/jobs/x/log", 404),
            ("DELETE", "/v1/me/tokens/x", 404),
            ("DELETE", "/v1/jobs", 405),
            ("GET", "/v1/jobs/17/image", 405),
            ("GET", "/v1/jobs/17/retry", 405),
            ("DELETE", "/v1/jobs/x/image", 404),
            ("POST", "/v1/jobs/17/retry?region=us-east-1", 400),
            ("PATCH", "/v1/me/role", 405),
            ("GET", "/v1/me?x=1", 400),
            ("GET", "/v1/projects/../packages", 400),
            ("GET", "/v1/projects/a::b/repositories", 400),
        ] {
            assert_eq!(refused(method, target, "").0, status, "{method} {target}");
        }
        let (_, reason) = refused("PUT", "/v1/jobs", "");
        assert_eq!(reason, "/v1/jobs takes GET, HEAD, POST, and not PUT");
    }

    #[test]
    fn a_body_is_json_with_known_keys() {
        assert_eq!(
            sent("POST", "/v1/users", r#"{"name": "tom"}"#),
            Ok(Operation::CreateUser(tom()))
        );
        for days in ["2", "2.0"] {
            let body = format!(r#"{{"name": "laptop", "expires_in_days": {days}}}"#);
            let wish = TokenWish {
                name: "laptop".parse().unwrap(),
                lifetime: Some(Duration::from_secs(2 * 24 * 3600)),
            };
            assert_eq!(
                sent("POST", "/v1/me/tokens", &body),
                Ok(Operation::CreateToken(Whose::Own, wish))
            );
        }
        for (target, body, reason) in [
            ("/v1/users", "", "EOF while parsing"),
            ("/v1/users", "[]", "it must be a JSON object"),
            ("/v1/users", "\n [\"tom\"]", "it must be a JSON object"),
            (
                "/v1/users",
                r#"{"name": "a b"}"#,
                "'a b' cannot be the name of a user",
            ),
            ("/v1/users", r#"{"name": "a", "x": 1}"#, "unknown field `x`"),
            (
                "/v1/me/tokens",
                r#"{"name": ""}"#,
                "the name of a token is one line",
            ),
            (
                "/v1/me/tokens",
                r#"{"name": "a", "expires_in_days": 0}"#,
                "expires_in_days 0 is out of range",
            ),
            (
                "/v1/me/tokens",
                r#"{"name": "a", "expires_in_days": 1.5}"#,
                "expires_in_days 1.5 is out of range",
            ),
            (
                "/v1/jobs",
                r#"{"project": "a::b", "repository": "r", "arch": "x86_64", "package": "p"}"#,
                "projid 'a::b' is illegal",
            ),
            (
                "/v1/jobs",
                r#"{"project": "a", "repository": "r", "arch": "s390x", "package": "p"}"#,
                "arch 's390x' does not run on EC2",
            ),
            (
                "/v1/jobs",
                r#"{"project": "a"}"#,
                "missing field `repository`",
            ),
        ] {
            let (status, summary) = refused("POST", target, body);
            assert_eq!(status, 400, "{body}");
            assert!(summary.contains(reason), "{summary}");
        }
        let event = event("POST", "/v1/users", "text/plain", br#"{"name": "tom"}"#);
        let problem = Operation::of(&Request::from(event)).unwrap_err();
        assert_eq!(problem.status, 415);
    }

    #[test]
    fn a_push_names_parts_and_a_checksum() {
        let parts = |body| sent("POST", "/v1/jobs/17/push/parts", body);
        let wanted = |numbers: &[u32], sent| {
            Ok(Operation::PartUrls {
                job: id(17),
                numbers: numbers.to_vec(),
                sent,
            })
        };
        assert_eq!(
            parts(r#"{"numbers": [2, 1.0], "sent": 5000000000}"#),
            wanted(&[2, 1], Some(5_000_000_000))
        );
        assert_eq!(parts(r#"{"numbers": []}"#), wanted(&[], None));
        assert_eq!(
            sent("POST", "/v1/jobs/17/push/done", r#"{"crc32": "y/Q5Jg=="}"#),
            Ok(Operation::PushDone(id(17), 0xcbf4_3926.into()))
        );
        let many = json!({"numbers": vec![1; 101]}).to_string();
        for (target, body, reason) in [
            ("parts", many.as_str(), "101 numbers are too many"),
            ("parts", r#"{"numbers": [-1]}"#, "-1 is no part's number"),
            (
                "parts",
                r#"{"numbers": [], "sent": 0.5}"#,
                "sent 0.5 is no number of bytes",
            ),
            ("done", r#"{"crc32": "5"}"#, "'5' is no CRC32"),
            ("done", "{}", "missing field `crc32`"),
            ("abort", r#"{"reason": ""}"#, "reason must be a line"),
            ("abort", r#"{"reason": "a\nb"}"#, "reason must be a line"),
        ] {
            let (status, summary) = refused("POST", &format!("/v1/jobs/17/push/{target}"), body);
            assert_eq!(status, 400, "{body}");
            assert!(summary.contains(reason), "{summary}");
        }
    }

    #[test]
    fn a_file_that_is_pushed_has_a_name_and_a_size() {
        let create = |push: &str, more: &str| {
            let body = format!(
                r#"{{"project": "a", "repository": "r", "arch": "x86_64", "package": "p", "push": {push}{more}}}"#
            );
            sent("POST", "/v1/jobs", &body)
        };
        let name = r#", "filename": "a.raw.xz""#;
        let Ok(Operation::CreateJob(upload)) = create(r#"{"size": 5000000000}"#, name) else {
            panic!("it is an upload");
        };
        let file = NewFile::Pushed {
            name: "a.raw.xz".parse().unwrap(),
            size: 5_000_000_000,
        };
        assert_eq!(upload.file, file);
        for (push, more, reason) in [
            (r#"{"size": 5}"#, "", "filename is missing"),
            (r#"{"size": -5}"#, name, "size -5 is no number of bytes"),
            ("{}", name, "missing field `size`"),
            ("true", name, "invalid type"),
        ] {
            let (status, summary) = create(push, more).unwrap_err();
            assert_eq!(status, 400, "{push}");
            assert!(summary.contains(reason), "{summary}");
        }
    }

    #[test]
    fn an_upload_has_wishes_beside_what_names_the_image() {
        let body = json!({
            "project": "a", "repository": "r", "arch": "x86_64", "package": "p", "region": "us-east-1", "volume_size": 8,
        });
        let Ok(Operation::CreateJob(upload)) = sent("POST", "/v1/jobs", &body.to_string()) else {
            panic!("{body} is an upload");
        };
        assert_eq!(upload.file, NewFile::OfObs(None));
        assert_eq!(
            json!(upload.wishes),
            json!({"region": "us-east-1", "volume_size": 8})
        );
    }

    #[test]
    fn lists_and_logs_have_parts() {
        assert_eq!(
            sent("GET", "/v1/jobs?before=17&limit=100", ""),
            Ok(Operation::Jobs {
                before: Some(id(17)),
                limit: 100
            })
        );
        let log = |start, end, follow| {
            Ok(Operation::Log {
                job: id(1),
                range: LogRange {
                    start: LogStart::FromBegin(start),
                    end,
                },
                follow,
            })
        };
        assert_eq!(sent("GET", "/v1/jobs/1/log", ""), log(0, None, false));
        assert_eq!(
            sent("GET", "/v1/jobs/1/log?start=5&end=7&follow=1", ""),
            log(5, Some(7), true)
        );
        for target in [
            "/v1/jobs?limit=0",
            "/v1/jobs?limit=101",
            "/v1/jobs?before=x",
            "/v1/jobs/1/log?start=-1",
            "/v1/jobs/1/log?follow=yes",
            "/v1/projects/a/packages?repository=r",
        ] {
            assert_eq!(refused("GET", target, "").0, 400, "{target}");
        }
    }
}
