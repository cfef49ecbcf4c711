//! Step `register`: the snapshot becomes an AMI.

mod register;

use cloudupload::{
    aws::Patience,
    settings::setting,
    workflow::{self, Step, Tools},
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use register::Registering;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let registering = Registering {
        tools: Tools::from_env(Patience::Step).await?,
        deployment: setting("DEPLOYMENT")?,
    };
    workflow::serve(async |event: LambdaEvent<Step>| registering.run(event.payload.job).await).await
}
