//! Step `transfer`: one slice of the staged file, decompressed, into the user's bucket.

mod transfer;

use std::time::Duration;

use cloudupload::{
    aws::{self, Patience},
    function::{self, Tools, stop_before_end},
    settings::{parsed, setting},
    staging::Staging,
    workflow::Transfer,
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use transfer::Transferring;

/// What is left of an invocation's time when it gives up, to say so.
const RESERVE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let s3 = aws::s3(&tools.config);
    let transferring = Transferring {
        staging: Staging::new(s3, setting("STAGING_BUCKET")?, parsed("SERVICE_ACCOUNT")?),
        deployment: setting("DEPLOYMENT")?,
        tools,
    };
    function::serve(async |event: LambdaEvent<Transfer>| {
        let stop = stop_before_end(&event.context, RESERVE);
        transferring.run(event.payload, stop).await
    })
    .await
}
