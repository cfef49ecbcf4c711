//! Step `seal`: the parts in the user's bucket become one object, and EC2 begins to import it.

mod seal;

use cloudupload::{
    aws::Patience,
    function::{self, Tools},
    settings::setting,
    workflow::Seal,
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use seal::Sealing;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let sealing = Sealing {
        tools: Tools::from_env(Patience::Step).await?,
        deployment: setting("DEPLOYMENT")?,
    };
    function::serve(async |event: LambdaEvent<Seal>| sealing.run(event.payload).await).await
}
