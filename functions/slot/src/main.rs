//! Step `slot`: the job waits until it may upload. The function only puts it in the queue; the workflow waits, at no cost,
//! until a dispatcher tells it by its task token.

mod slot;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    cloudupload::step::serve::<slot::Slot>().await
}
