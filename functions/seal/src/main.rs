//! Step `seal`: closes the target of the job's route, from which EC2 makes a snapshot.

mod seal;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<seal::Seal>().await
}
