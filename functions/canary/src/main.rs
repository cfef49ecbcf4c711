//! The canary: once a day, it uploads a small image into an account of the operators' as OBS's frontend would, and removes
//! the AMI again. It tries API Gateway, the secret of OBS, OBS, the workflow and EC2 in one.

mod canary;
mod frontend;
mod image;
mod removal;
mod secret;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::function::serve::<canary::Canary>().await
}
