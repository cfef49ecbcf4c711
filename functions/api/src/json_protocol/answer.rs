//! The JSON in answers.

use cloudupload::{
    clock::Timestamp,
    job::{JobId, JobSummary, State},
    names::{Arch, Project},
    obs::{self, ListedRepository},
    trial::RoleReport,
    user::{self, TokenId, TokenName, TokenRecord, UserRecord},
};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;
use serde_json::json;

use crate::{
    api::{self, ProjectList, RoleSetup, URL_VALID},
    caller::SignedIn,
    obs_protocol::{answer::Answer, problem::Problem},
};

/// An answer that is JSON.
pub fn json(status: u16, body: &impl Serialize) -> ApiGatewayV2httpResponse {
    match serde_json::to_string(body) {
        Ok(text) => response(status, "application/json", Body::Text(text)),
        Err(error) => problem(&Problem::with_status(
            500,
            format!("the answer cannot be written: {error}"),
        )),
    }
}

/// The answer after a thing was removed.
pub fn nothing() -> ApiGatewayV2httpResponse {
    let mut response = response(204, "application/json", Body::Text(String::new()));
    response.headers.remove(CONTENT_TYPE);
    response
}

/// A part of a log.
pub fn log(part: Vec<u8>) -> Result<ApiGatewayV2httpResponse, Problem> {
    // It checks that the part fits in an answer.
    let Answer::Log(part) = Answer::log(part)? else {
        return Err(Problem::with_status(500, "a log is no log"));
    };
    let body =
        String::from_utf8(part).map_or_else(|error| Body::Binary(error.into_bytes()), Body::Text);
    Ok(response(200, "text/plain; charset=utf-8", body))
}

/// An error (RFC 9457, "Problem Details for HTTP APIs"): `detail` is for people, and says what to do.
pub fn problem(problem: &Problem) -> ApiGatewayV2httpResponse {
    let Problem {
        status, summary, ..
    } = problem;
    let title = StatusCode::from_u16(*status).ok();
    let title = title.and_then(|status| status.canonical_reason());
    let body = json!({"status": status, "title": title.unwrap_or_default(), "detail": summary});
    let body = Body::Text(body.to_string());
    let mut response = response(*status, "application/problem+json", body);
    if *status == 401 {
        // Not Basic, for which a browser would ask its user.
        let challenge = HeaderValue::from_static("Bearer realm=\"cloudupload\"");
        response.headers.insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn response(status: u16, content_type: &'static str, body: Body) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = status.into();
    let headers = &mut response.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.is_base64_encoded = matches!(body, Body::Binary(_));
    response.body = Some(body);
    response
}

/// A user, for an administrator.
#[derive(Serialize)]
pub struct User<'a> {
    name: &'a str,
    created: Timestamp,
    tokens: Vec<Token<'a>>,
    role: Option<&'a str>,
}

pub fn user(user: &UserRecord) -> User<'_> {
    User {
        name: user.name.as_str(),
        created: user.created,
        tokens: tokens(user),
        role: user.role.as_ref().map(|role| role.arn.as_str()),
    }
}

/// A token, without its secret.
#[derive(Serialize)]
pub struct Token<'a> {
    id: &'a TokenId,
    name: &'a TokenName,
    created: Timestamp,
    expires: Option<Timestamp>,
    used: Option<Timestamp>,
}

fn token<'a>(id: &'a TokenId, record: &'a TokenRecord) -> Token<'a> {
    Token {
        id,
        name: &record.name,
        created: record.created,
        expires: record.expires,
        used: record.used,
    }
}

/// The user's tokens, in the order in which they were made.
pub fn tokens(user: &UserRecord) -> Vec<Token<'_>> {
    let tokens = user.tokens.iter();
    let mut tokens: Vec<_> = tokens.map(|(id, record)| token(id, record)).collect();
    tokens.sort_by_key(|token| token.created);
    tokens
}

/// A new token with its secret, which is shown this once.
#[derive(Serialize)]
pub struct NewToken<'a> {
    #[serde(flatten)]
    record: Token<'a>,
    token: String,
}

pub fn new_token(new: &user::NewToken) -> NewToken<'_> {
    NewToken {
        record: token(&new.id, &new.record),
        token: new.token.reveal(),
    }
}

/// The user who calls.
#[derive(Serialize)]
pub struct Me<'a> {
    name: &'a str,
    created: Timestamp,
    /// The one of this call.
    token: Token<'a>,
    role: Option<&'a str>,
    region: Option<&'a str>,
}

pub fn me(signed_in: &SignedIn) -> Me<'_> {
    let SignedIn {
        user,
        token: (id, record),
        ..
    } = signed_in;
    let role = user.role.as_ref();
    Me {
        name: user.name.as_str(),
        created: user.created,
        token: token(id, record),
        role: role.map(|role| role.arn.as_str()),
        region: role.map(|role| role.region.as_str()),
    }
}

/// What a user needs to make a role, and the one that is connected.
#[derive(Serialize)]
pub struct Role<'a> {
    service_account: &'a str,
    external_id: &'a str,
    quick_create_url: Option<&'a str>,
    arn: Option<&'a str>,
    region: Option<&'a str>,
    connected: Option<Timestamp>,
    /// Whether uploads can succeed with it, as it was when it was connected.
    usable: bool,
    report: Option<&'a RoleReport>,
}

pub fn role(setup: &RoleSetup) -> Role<'_> {
    let role = setup.role.as_ref();
    Role {
        service_account: setup.service_account.as_str(),
        external_id: setup.external_id.secret(),
        quick_create_url: setup.quick_create_url.as_deref(),
        arn: role.map(|role| role.arn.as_str()),
        region: role.map(|role| role.region.as_str()),
        connected: role.map(|role| role.connected),
        usable: role.is_some_and(|role| role.report.is_usable()),
        report: role.map(|role| &role.report),
    }
}

/// A job.
#[derive(Serialize)]
pub struct Job<'a> {
    id: u32,
    state: State,
    details: &'a str,
    progress: Option<u8>,
    created: Timestamp,
    ended: Option<Timestamp>,
    project: &'a str,
    repository: &'a str,
    arch: &'a str,
    package: &'a str,
    filename: &'a str,
    size: Option<u64>,
    region: Option<&'a str>,
    ami_name: Option<&'a str>,
    /// The AMI's id, once there is one.
    ami: Option<&'a str>,
    /// When the AMI was removed again, with its snapshot.
    image_deleted: Option<Timestamp>,
}

pub fn job(job: &JobSummary) -> Job<'_> {
    let subject = &job.subject;
    let ec2 = subject.ec2.as_ref();
    Job {
        id: job.id.number(),
        state: job.state,
        details: &job.details,
        progress: job.progress,
        created: job.created,
        ended: job.ended,
        project: subject.project.as_str(),
        repository: subject.repository.as_str(),
        arch: &subject.arch,
        package: subject.package.as_str(),
        filename: subject.filename.as_str(),
        size: subject.size,
        region: ec2.map(|ec2| ec2.region.as_str()),
        ami_name: ec2.map(|ec2| ec2.ami_name.as_str()),
        ami: (job.state == State::Succeeded).then_some(&job.details),
        image_deleted: job.image_removed,
    }
}

/// How far the push of a file is.
#[derive(Serialize)]
pub struct Push<'a> {
    size: u64,
    /// Bytes of each part but the last.
    part_size: u64,
    parts: u32,
    missing: &'a [u32],
    done: bool,
}

pub fn push(push: &api::Push) -> Push<'_> {
    Push {
        size: push.parts.file(),
        part_size: push.parts.size(),
        parts: push.parts.count(),
        missing: &push.missing,
        done: push.done,
    }
}

/// Where parts are to be put.
#[derive(Serialize)]
pub struct PartUrls<'a> {
    parts: Vec<PartUrl<'a>>,
    /// Seconds for which the URLs are good, at most.
    expires_in: u64,
}

#[derive(Serialize)]
struct PartUrl<'a> {
    number: u32,
    size: u64,
    url: &'a str,
}

pub fn part_urls(urls: &[api::PartUrl]) -> PartUrls<'_> {
    let parts = urls.iter().map(|part| PartUrl {
        number: part.number,
        size: part.size,
        url: &part.url,
    });
    PartUrls {
        parts: parts.collect(),
        expires_in: URL_VALID.as_secs(),
    }
}

/// A part of a user's jobs.
#[derive(Serialize)]
pub struct Jobs<'a> {
    jobs: Vec<Job<'a>>,
    /// For the parameter `before` of the next request; none if this is all.
    next: Option<u32>,
}

pub fn jobs(jobs: &[JobSummary], next: Option<JobId>) -> Jobs<'_> {
    Jobs {
        next: next.map(JobId::number),
        jobs: jobs.iter().map(job).collect(),
    }
}

/// The projects that a user may upload from.
#[derive(Serialize)]
pub struct Projects<'a> {
    projects: &'a [Project],
    /// Whether these are all, or others may be named.
    complete: bool,
}

pub fn projects(list: &ProjectList) -> Projects<'_> {
    Projects {
        projects: &list.projects,
        complete: list.is_complete,
    }
}

/// The repositories of a project.
#[derive(Serialize)]
pub struct Repositories<'a> {
    repositories: Vec<Repository<'a>>,
}

/// A repository, with its architectures.
#[derive(Serialize)]
pub struct Repository<'a> {
    name: &'a str,
    archs: &'a [Arch],
}

pub fn repositories(repositories: &[ListedRepository]) -> Repositories<'_> {
    let repositories = repositories.iter().map(|repository| Repository {
        name: repository.name.as_str(),
        archs: &repository.archs,
    });
    Repositories {
        repositories: repositories.collect(),
    }
}

/// The cloud images of a package.
#[derive(Serialize)]
pub struct Images<'a> {
    images: Vec<Image<'a>>,
}

/// A cloud image: all that a request for its upload has to name, but for project and package.
#[derive(Serialize)]
pub struct Image<'a> {
    repository: &'a str,
    arch: Arch,
    filename: &'a str,
    size: u64,
    /// When it was built.
    modified: Option<Timestamp>,
}

pub fn images(images: &[obs::Image]) -> Images<'_> {
    let images = images.iter().map(|image| Image {
        repository: image.repository.as_str(),
        arch: image.arch,
        filename: &image.file.filename,
        size: image.file.size,
        modified: image.file.mtime,
    });
    Images {
        images: images.collect(),
    }
}
