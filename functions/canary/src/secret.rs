//! The secret with which OBS calls the API.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use cloudupload::aws::Failure;

/// The secret, which shows itself in no log: there is neither `Debug` nor `Display`.
pub struct Secret(String);

impl Secret {
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Where the secret is, in Secrets Manager.
pub struct FrontendSecret {
    client: Client,
    arn: String,
}

impl FrontendSecret {
    pub fn new(config: &SdkConfig, arn: String) -> Self {
        Self {
            client: Client::new(config),
            arn,
        }
    }

    /// The current version. It is read by each run, as it may have been replaced since the last one.
    pub async fn read(&self) -> Result<Secret, Failure> {
        const CALL: &str = "secretsmanager:GetSecretValue";
        let answer = self.client.get_secret_value().secret_id(&self.arn).send();
        let answer = answer
            .await
            .map_err(Failure::of("secretsmanager:GetSecretValue"))?;
        let text = answer.secret_string;
        text.map(Secret)
            .ok_or_else(|| Failure::unexpected(CALL, "the secret is no text"))
    }
}
