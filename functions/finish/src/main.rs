//! Step `finish`: the job becomes final, and what was made for it and is not its AMI is removed.

mod clean_up;
mod finish;
mod took;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::function::serve::<finish::Finish>().await
}
