//! Step `poll`: looks how far the snapshot is.

mod poll;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<poll::Poll>().await
}
