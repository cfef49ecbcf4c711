//! Step `transfer`: one slice of the staged file, decoded, into the target of the job's route.

mod transfer;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<transfer::Transfer>().await
}
