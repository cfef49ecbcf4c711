//! Step `prepare`: whatever can fail early fails here, before a byte goes to the user's account.

mod inspect;
mod prepare;

use cloudupload::{
    aws::{self, Patience},
    function::{self, Tools},
    settings::{parsed, setting},
    slots::Slots,
    staging::Staging,
    workflow::Step,
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use prepare::Preparing;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let s3 = aws::s3(&tools.config);
    let preparing = Preparing {
        slots: Slots::new(tools.jobs.clone(), setting("SLOTS_TABLE")?),
        staging: Staging::new(s3, setting("STAGING_BUCKET")?, parsed("SERVICE_ACCOUNT")?),
        deployment: setting("DEPLOYMENT")?,
        tools,
    };
    function::serve(async |event: LambdaEvent<Step>| preparing.run(event.payload.job).await).await
}
