//! Who calls the API.

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::Stack;
use crate::environment::env_var;

impl Stack {
    /// The stack, for a caller of this name and secret; for one who has none.
    pub async fn for_caller(credentials: Option<(&str, &str)>) -> Self {
        let mut stack = Self::new().await;
        let mut url = reqwest::Url::parse(&stack.url).expect("CLOUDUPLOAD_URL is a URL");
        let (name, secret) = credentials.unwrap_or_default();
        let set = url.set_username(name);
        set.and(url.set_password(Some(secret).filter(|secret| !secret.is_empty())))
            .expect("CLOUDUPLOAD_URL has a host");
        stack.url = url.as_str().trim_end_matches('/').to_owned();
        stack
    }

    /// Makes a caller who has the rights of one of OBS's users.
    pub async fn add_caller(&self, name: &str, secret: &str, user: &str) {
        let user = AttributeValue::S(user.to_owned());
        let rights = AttributeValue::M([("one_user".to_owned(), user)].into());
        self.put_caller(name, secret, rights).await;
    }

    /// Makes a caller who may make and remove users.
    pub async fn add_administrator(&self, name: &str, secret: &str) {
        let rights = AttributeValue::S("administer_users".to_owned());
        self.put_caller(name, secret, rights).await;
    }

    async fn put_caller(&self, name: &str, secret: &str, rights: AttributeValue) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let hash = hex::encode(Sha256::digest(secret));
        self.dynamodb
            .put_item()
            .table_name(env_var("CALLERS_TABLE"))
            .item("name", text(name))
            .item("rights", rights)
            .item("secrets", AttributeValue::L(vec![text(&hash)]))
            .send()
            .await
            .expect("DynamoDB takes the caller");
    }

    pub async fn remove_caller(&self, name: &str) {
        self.dynamodb
            .delete_item()
            .table_name(env_var("CALLERS_TABLE"))
            .key("name", AttributeValue::S(name.to_owned()))
            .send()
            .await
            .expect("DynamoDB deletes the caller");
    }
}
