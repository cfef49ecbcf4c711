//! The relay as it is installed, between a source server and a cloud that are this test's. Nothing else has to run.

// Clippy takes for tests only the functions that are.
#![expect(clippy::unwrap_used)]

mod away;
mod cloud;
mod ends;
mod images;
mod passing;
mod relay;
mod source_server;
