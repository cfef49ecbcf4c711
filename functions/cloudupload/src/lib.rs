//! What the functions of the cloud uploader share.
//!
//! Pure rooms on the ground (no AWS, no network): `caller`, `cost`, `image_removal`, `job`, `names`, `target`, `trial`, `user`. One room for each outside thing stands on them:
//! `store` (DynamoDB), `event_bus` (EventBridge), `machine` (Step Functions), `journal` (CloudWatch Logs), `obs`, `staging`, `multipart` (S3), `invocation` (Lambda). On top,
//! `error` says how steps fail, `messages` has what workflow and steps say to each other, `dispatch` hands out slots, and
//! `function` and `step` have the one shape of both.

pub mod aws;
pub mod caller;
pub mod clock;
pub mod cost;
pub mod dispatch;
pub mod environment;
pub mod error;
pub mod event_bus;
pub mod function;
pub mod image_removal;
pub mod invocation;
pub mod job;
pub mod journal;
pub mod machine;
pub mod messages;
pub mod meter;
pub mod metrics;
pub mod multipart;
pub mod names;
pub mod obs;
pub mod random;
pub mod retry;
pub mod settings;
pub mod staging;
pub mod step;
pub mod store;
pub mod target;
pub mod trial;
pub mod usage;
pub mod user;
