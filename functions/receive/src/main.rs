//! Step `receive`: the file goes from OBS into the staging bucket, as it lies.

mod intake;
mod receive;

use std::time::Duration;

use cloudupload::{
    aws::{self, Patience},
    function::{self, Tools, stop_before_end},
    obs::Obs,
    settings::{parsed, setting},
    staging::Staging,
    workflow::Step,
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use receive::Receiving;

/// What is left of an invocation's time when it stops reading, to put away what it has.
const RESERVE: Duration = Duration::from_secs(90);

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let s3 = aws::s3(&tools.config);
    let receiving = Receiving {
        staging: Staging::new(s3, setting("STAGING_BUCKET")?, parsed("SERVICE_ACCOUNT")?),
        obs: Obs::new(&setting("OBS_URL")?)?,
        tools,
    };
    function::serve(async |event: LambdaEvent<Step>| {
        let stop = stop_before_end(&event.context, RESERVE);
        receiving.run(event.payload.job, stop).await
    })
    .await
}
