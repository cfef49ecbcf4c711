//! The outside of a function, for unit tests: one address that is AWS and OBS, and one closure that answers for both.
//!
//! ```
//! use fake_endpoint::{Answer, Endpoint};
//! use serde_json::json;
//!
//! let endpoint = Endpoint::new(|call| match call.name.as_str() {
//!     "GetItem" => Answer::json(&json!({})),
//!     _ => call.refusal(403, "AccessDenied", "not authorized"),
//! });
//! let config = endpoint.config(); // for the clients of the code under test
//! assert_eq!(endpoint.names(), [""; 0]);
//! ```
//!
//! Calls have the names that `cloudupload::aws::Failure` and IAM give them. A closure that panics fails its test, so
//! that it may assert what a call has to be.

mod answer;
mod call;
pub mod dynamodb;
pub mod ec2;
mod endpoint;
pub mod s3;

pub use answer::Answer;
pub use call::Call;
pub use endpoint::Endpoint;
