//! Step `receive`: the file goes from OBS into the staging bucket, as it lies.

mod intake;
mod receive;

use std::time::{Duration, SystemTime};

use cloudupload::{
    aws::{self, Patience},
    obs::Obs,
    settings::{parsed, setting},
    staging::Staging,
    workflow::{self, Step, Tools},
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use receive::Receive;
use tokio::time::Instant;

/// What is left of an invocation's time when it stops reading, to put away what it has.
const RESERVE: Duration = Duration::from_secs(90);

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let s3 = aws::s3(&tools.config);
    let receive = Receive {
        staging: Staging::new(s3, setting("STAGING_BUCKET")?, parsed("SERVICE_ACCOUNT")?),
        obs: Obs::new(&setting("OBS_URL")?)?,
        tools,
    };
    workflow::serve(async |event: LambdaEvent<Step>| {
        let left = event.context.deadline().duration_since(SystemTime::now());
        let stop = Instant::now() + left.unwrap_or_default().saturating_sub(RESERVE);
        receive.run(event.payload.job, stop).await
    })
    .await
}
