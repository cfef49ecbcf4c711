//! The HTTP API: OBS's `/cloudupload`, and `/v1` for the users of this service, behind an API Gateway HTTP API.
//!
//! Two layers: `api` is what the API does, in types; above it, `obs_protocol` is how OBS speaks (paths, parameters, XML, status
//! codes), and `json_protocol` how users do. Between them, `gate` lets callers in, and `caller` is who calls. `http` leads a
//! request through all of these.

mod api;
mod caller;
mod gate;
mod http;
pub mod json_protocol;
pub mod obs_protocol;
#[cfg(test)]
mod sample_event;
#[cfg(test)]
mod wire_tests;

use std::sync::Arc;

use lambda_http::{
    Error, LambdaEvent, aws_lambda_events::apigw::ApiGatewayV2httpRequest, lambda_runtime,
    service_fn, tracing,
};

use api::Api;
use cloudupload::{aws::CallBudget, environment::Environment};
use gate::Gate;

/// The events are taken as they come, not as `lambda_http::Request`: its conversion panics at a query string that cannot
/// be part of a URI, and our callers are owed an error in XML.
///
/// # Errors
/// When a setting is missing or wrong, or the Lambda runtime gives up.
pub async fn serve() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let environment = Environment::from_env(CallBudget::Request).await?;
    let gate = Gate::from_env(&environment)?;
    let api = Arc::new(Api::new(environment, gate)?);
    lambda_runtime::run(service_fn(
        async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            Ok::<_, Error>(http::answer(Arc::clone(&api), event.payload).await)
        },
    ))
    .await
}
