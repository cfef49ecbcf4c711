//! The relay as it is installed, between a source server and a cloud that are this test's. Nothing else has to run.

mod away;
mod cloud;
mod ends;
mod images;
mod passing;
mod relay;
mod source_server;
