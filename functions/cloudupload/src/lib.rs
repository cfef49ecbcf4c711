//! What the functions of the cloud uploader share. Pure rooms on the ground (`job`, `names`, `target`, `xml`: no AWS,
//! no clock, no network), one room above them for each outside thing, and on top `workflow` and `function`: what the steps say
//! to each other, and what all of them work with.

pub mod aws;
pub mod backoff;
pub mod clock;
pub mod dispatch;
pub mod function;
pub mod job;
pub mod jobs;
pub mod journal;
pub mod machine;
pub mod multipart;
pub mod names;
pub mod obs;
pub mod reporter;
pub mod settings;
pub mod slots;
pub mod staging;
pub mod target;
pub mod workflow;
pub mod xml;
