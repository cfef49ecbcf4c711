//! The API for the users of this service and their administrators: paths below `/v1`, JSON, and errors as problem details
//! (RFC 9457). `docs/openapi.yaml` describes it.

mod answer;
mod body;
pub mod operation;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use serde_json::json;

pub use self::answer::problem;
use self::operation::Operation;
use crate::{api::Access, obs_protocol::problem::Problem};

/// The first segment of the paths.
pub const ROOT: &str = "v1";

/// Whether a path is one of this protocol's.
pub fn is_for(path: &str) -> bool {
    path.split('/').nth(1) == Some(ROOT)
}

/// Does what is requested.
pub async fn perform(
    access: Access<'_>,
    operation: Operation,
) -> Result<ApiGatewayV2httpResponse, Problem> {
    Ok(match operation {
        Operation::Users => {
            let users = access.users().await?;
            let users: Vec<_> = users.iter().map(answer::user).collect();
            answer::json(200, &json!({ "users": users }))
        }
        Operation::CreateUser(name) => {
            answer::json(201, &answer::user(&access.create_user(name).await?))
        }
        Operation::User(name) => answer::json(200, &answer::user(&access.user(&name).await?)),
        Operation::RemoveUser(name) => {
            access.remove_user(&name).await?;
            answer::nothing()
        }
        Operation::Tokens(whose) => {
            let user = access.of(&whose).await?;
            answer::json(200, &json!({ "tokens": answer::tokens(&user) }))
        }
        Operation::CreateToken(whose, wish) => answer::json(
            201,
            &answer::new_token(&access.create_token(&whose, wish).await?),
        ),
        Operation::RemoveToken(whose, id) => {
            access.remove_token(&whose, &id).await?;
            answer::nothing()
        }
        Operation::Me => answer::json(200, &answer::me(access.signed_in()?)),
        Operation::Role => answer::json(200, &answer::role(&access.role_setup()?)),
        Operation::ConnectRole { arn, region } => answer::json(
            200,
            &answer::role(&access.connect_role(arn, &region).await?),
        ),
        Operation::ForgetRole => {
            access.forget_role().await?;
            answer::nothing()
        }
        Operation::CreateJob(upload) => {
            let job = access.create_own(*upload).await?;
            answer::json(201, &answer::job(&job.into()))
        }
        Operation::Jobs { before, limit } => {
            let (jobs, next) = access.own_jobs(before, limit).await?;
            answer::json(200, &answer::jobs(&jobs, next))
        }
        Operation::Job(id) => answer::json(200, &answer::job(&access.status(id).await?)),
        Operation::KillJob(id) => answer::json(200, &answer::job(&access.kill(id).await?)),
        Operation::Push(id) => answer::json(200, &answer::push(&access.push(id).await?)),
        Operation::PartUrls { job, numbers, sent } => {
            let urls = access.part_urls(job, &numbers, sent).await?;
            answer::json(200, &answer::part_urls(&urls))
        }
        Operation::AbortPush(id, reason) => {
            answer::json(200, &answer::job(&access.abort_push(id, &reason).await?))
        }
        Operation::PushDone(id, crc32) => {
            answer::json(200, &answer::job(&access.push_done(id, crc32).await?))
        }
        Operation::RetryJob(id) => {
            let job = access.retry(id).await?;
            answer::json(201, &answer::job(&job.into()))
        }
        Operation::RemoveImage(id) => {
            answer::json(200, &answer::job(&access.remove_image(id).await?))
        }
        Operation::Log { job, range, follow } => {
            answer::log(access.log(job, range, follow).await?)?
        }
        Operation::Projects => answer::json(200, &answer::projects(&access.projects().await?)),
        Operation::Repositories(project) => {
            let repositories = access.repositories(&project).await?;
            answer::json(200, &answer::repositories(&repositories))
        }
        Operation::Packages {
            project,
            repository,
            arch,
        } => {
            let packages = access.packages(&project, &repository, arch).await?;
            answer::json(200, &json!({ "packages": packages }))
        }
        Operation::Images { project, package } => {
            let images = access.images(&project, &package).await?;
            answer::json(200, &answer::images(&images))
        }
    })
}
