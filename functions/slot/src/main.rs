//! Step `slot`: the job waits until it may upload. The function only puts it in the queue; the workflow waits, at no cost,
//! until whoever hands out slots tells it by its token.

mod slot;

use cloudupload::{
    aws::Patience,
    dispatch::Dispatcher,
    function::{self, Tools},
    workflow::WaitForSlot,
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use slot::Queueing;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let queueing = Queueing {
        dispatcher: Dispatcher::from_env(&tools)?,
        tools,
    };
    function::serve(async |event: LambdaEvent<WaitForSlot>| queueing.run(event.payload).await).await
}
