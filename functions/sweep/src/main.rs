//! The sweeper: ends what nothing else ends. It runs on a schedule, and when an execution ended other than well.

mod sweep;
mod verdict;

use cloudupload::{
    aws::Patience,
    dispatch::Dispatcher,
    function::{self, Tools},
    machine::UploadMachine,
    settings::setting,
};
use lambda_runtime::{Error, LambdaEvent, tracing};
use sweep::{Event, Sweeping};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let tools = Tools::from_env(Patience::Step).await?;
    let states = aws_sdk_sfn::Client::new(&tools.config);
    let sweeping = Sweeping {
        machine: UploadMachine::new(states, setting("UPLOAD_MACHINE_ARN")?),
        dispatcher: Dispatcher::from_env(&tools)?,
        jobs: tools.jobs,
    };
    function::serve(async |event: LambdaEvent<Event>| sweeping.run(event.payload).await).await
}
