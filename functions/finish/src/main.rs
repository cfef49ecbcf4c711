//! Step `finish`: the job becomes final, and what was made for it and is not its AMI goes away.

mod clean_up;
mod finish;
mod took;

use clean_up::CleanUp;
use cloudupload::{
    aws::{self, Patience},
    dispatch::Dispatcher,
    function::{self, Tools},
    settings::{parsed, setting},
    staging::Staging,
    workflow::Finish,
};
use finish::Finishing;
use lambda_runtime::{Error, LambdaEvent, tracing};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let s3 = aws::s3(&tools.config);
    let clean_up = CleanUp {
        config: tools.config.clone(),
        staging: Staging::new(s3, setting("STAGING_BUCKET")?, parsed("SERVICE_ACCOUNT")?),
        deployment: setting("DEPLOYMENT")?,
    };
    let finishing = Finishing {
        dispatcher: Dispatcher::from_env(&tools)?,
        clean_up,
        tools,
    };
    function::serve(async |event: LambdaEvent<Finish>| finishing.run(event.payload).await).await
}
