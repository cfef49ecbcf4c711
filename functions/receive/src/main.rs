//! Step `receive`: the file goes from OBS into the staging bucket, as it lies.

mod intake;
mod pieces;
mod receive;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<receive::Receive>().await
}
