//! Step `preflight`: whatever can be tried in the user's account before the file is fetched from OBS.

mod preflight;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<preflight::Preflight>().await
}
