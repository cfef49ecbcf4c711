//! Step `transfer`: one slice of the staged file, decompressed, into the user's bucket.

mod transfer;

use cloudupload::{
    aws::{self, Patience},
    settings::{parsed, setting},
    staging::Staging,
    workflow::{self, Tools, Transfer},
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use transfer::Transferring;

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
    workflow::serve(async |event: LambdaEvent<Transfer>| transferring.run(event.payload).await)
        .await
}
