//! Step `register`: the snapshot becomes an AMI.

mod register;

use cloudupload::{
    aws::Patience,
    function::{self, Tools},
    settings::setting,
    workflow::Step,
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
    function::serve(async |event: LambdaEvent<Step>| registering.run(event.payload.job).await).await
}
