//! Removes the image that a job has made: its AMI and the snapshot under it. `api` invokes it, as `api` may assume no role.

mod deregister;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::function::serve::<deregister::Deregister>().await
}
