//! Step `push`: the job waits until its file was pushed. The function only notes the task token; the workflow waits, at no
//! cost, until the API hears from the job's creator that the file is complete.

mod push;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<push::Push>().await
}
