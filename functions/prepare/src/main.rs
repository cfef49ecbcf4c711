//! Step `prepare`: whatever can fail early fails here, before a byte goes to the user's account.

mod prepare;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<prepare::Prepare>().await
}
