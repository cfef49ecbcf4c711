//! Step `register`: the snapshot becomes an AMI.

mod register;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<register::Register>().await
}
