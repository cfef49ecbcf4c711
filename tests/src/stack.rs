//! The local stack: a module for each part of it that the tests drive or look into.

mod account;
mod account_settings;
mod api;
mod callers;
mod events;
mod executions;
mod lambda;
mod obs;
mod push;
mod records;
mod roles;
mod slots;
mod stalled_jobs;
mod users;
mod waits;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};

use crate::environment::env_var;

pub use account::snapshots;
pub use account_settings::AccountSettings;
pub use events::Subscription;
pub use obs::{DISK_FILE, Upload};
pub use push::{PartUrl, crc32, put};
pub use roles::Trust;
pub use slots::Queue;

/// The local stack, with clients for both accounts.
pub struct Stack {
    http: reqwest::Client,
    /// The API's base URL.
    url: String,
    /// The user's account, in the region of the uploads.
    pub ec2: aws_sdk_ec2::Client,
    pub s3: aws_sdk_s3::Client,
    /// The service's own account.
    own_s3: aws_sdk_s3::Client,
    /// In the region of the uploads.
    own_ec2: aws_sdk_ec2::Client,
    sfn: aws_sdk_sfn::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    /// The region of the uploads.
    pub region: String,
}

/// For a request to a service without an SDK here. The emulator checks neither signature nor day of an account's root.
fn authorization(service: &str) -> String {
    let scope = format!(
        "{}/19700101/{}/{service}",
        env_var("AWS_ACCESS_KEY_ID"),
        env_var("AWS_REGION")
    );
    format!("AWS4-HMAC-SHA256 Credential={scope}/aws4_request, SignedHeaders=host, Signature=0")
}

impl Stack {
    pub async fn new() -> Self {
        Self::in_region(&env_var("USER_REGION")).await
    }

    /// The stack, for uploads into another region.
    pub async fn in_region(region: &str) -> Self {
        let own = aws_config::load_defaults(BehaviorVersion::latest()).await;
        // The emulator takes an access key of twelve digits for that account's root.
        let root = Credentials::new(env_var("USER_ACCOUNT"), "test", None, None, "tests");
        let user = own
            .to_builder()
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(root))
            .build();
        let own_in_region = own.to_builder().region(Region::new(region.to_owned()));
        let own_in_region = own_in_region.build();
        Self {
            http: reqwest::Client::new(),
            url: env_var("CLOUDUPLOAD_URL"),
            ec2: aws_sdk_ec2::Client::new(&user),
            s3: aws_sdk_s3::Client::new(&user),
            own_s3: aws_sdk_s3::Client::new(&own),
            own_ec2: aws_sdk_ec2::Client::new(&own_in_region),
            sfn: aws_sdk_sfn::Client::new(&own),
            dynamodb: aws_sdk_dynamodb::Client::new(&own),
            region: region.to_owned(),
        }
    }
}
