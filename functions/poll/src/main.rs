//! Step `check`: asks EC2 how far the import is.

mod check;

use check::Checking;
use cloudupload::{
    aws::Patience,
    function::{self, Tools},
    settings::setting,
    workflow::Step,
};
use lambda_runtime::{Error, LambdaEvent, tracing};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let checking = Checking {
        tools: Tools::from_env(Patience::Step).await?,
        deployment: setting("DEPLOYMENT")?,
    };
    function::serve(async |event: LambdaEvent<Step>| checking.run(event.payload.job).await).await
}
