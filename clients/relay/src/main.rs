//! Stands beside an Open Build Service that the cloud uploader cannot reach: the source server takes it for its own
//! `clouduploadserver`. Images go on to the cloud uploader as they come in; everything else is passed through.

mod api;
mod causes;
mod job;
mod part;
mod patience;
mod push;
mod server;
mod settings;
mod under_way;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match server::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("obs-cloudupload-relay: {error}");
            ExitCode::FAILURE
        }
    }
}
