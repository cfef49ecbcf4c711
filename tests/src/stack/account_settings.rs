//! What the emulator makes of the user's account while a test wants it (`infra/local/emulator/control.py`).

use reqwest::Method;
use serde_json::Value;

use super::Stack;
use crate::{environment::env_var, last_request};

/// Settings of the user's account. All uploads into it feel them, until this is dropped, also when a test panics.
#[must_use]
pub struct AccountSettings {
    url: String,
}

impl Stack {
    /// Replaces all settings of the user's account.
    pub async fn set_account(&self, settings: Value) -> AccountSettings {
        let url = format!(
            "{}/_emulator/accounts/{}",
            env_var("AWS_ENDPOINT_URL"),
            env_var("USER_ACCOUNT")
        );
        let request = self.http.request(Method::PUT, &url);
        let answer = request.body(settings.to_string()).send().await;
        let answer = answer.expect("the emulator answers");
        let status = answer.status();
        let text = answer.text().await.expect("the emulator answers in text");
        assert!(status.is_success(), "{url}: {status}: {text}");
        AccountSettings { url }
    }
}

impl Drop for AccountSettings {
    fn drop(&mut self) {
        if let Err(error) = last_request::send("PUT", &self.url, "{}") {
            eprintln!("the settings of the user's account stay: {error}");
        }
    }
}
