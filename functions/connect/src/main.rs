//! Tries a role that a user of this service wants to connect. `api` invokes it, as `api` may assume no role.

mod connect;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::function::serve::<connect::Connect>().await
}
