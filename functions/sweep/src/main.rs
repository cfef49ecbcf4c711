//! The sweeper: ends what nothing else ends. It runs on a schedule, and when an execution ended other than well.

mod sweep;
mod verdict;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::function::serve::<sweep::Sweep>().await
}
