//! The HTTP API: OBS's `/cloudupload`, behind an API Gateway HTTP API.

mod answer;
mod api;
mod log;
mod query;
mod request;
mod route;
#[cfg(test)]
mod wire_tests;
mod xml;

use std::sync::Arc;

use api::Api;
use lambda_http::{
    Error, LambdaEvent, aws_lambda_events::apigw::ApiGatewayV2httpRequest, lambda_runtime,
    service_fn, tracing,
};

/// The events are taken as they come, not as `lambda_http::Request`: its conversion panics at a query string that is not
/// a URI's, and our callers are owed an error in XML.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let api = Arc::new(Api::from_env().await?);
    lambda_runtime::run(service_fn(
        async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            Ok::<_, Error>(api::answer(Arc::clone(&api), event.payload).await)
        },
    ))
    .await
}
