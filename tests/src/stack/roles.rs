//! Roles in the user's account, as users make them for the uploader.

use serde_json::{Value, json};

use super::Stack;
use crate::environment::env_var;

/// Whom a role trusts.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// The uploader's account with this external ID.
    ExternalId(&'a str),
    /// The uploader's account, whatever the external ID.
    Anybody,
}

impl Stack {
    /// Makes a role that may do these actions, and returns its ARN.
    pub async fn make_role(&self, name: &str, trust: Trust<'_>, actions: &[&str]) -> String {
        let mut trusted = json!({
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", env_var("SERVICE_ACCOUNT"))},
        });
        if let Trust::ExternalId(id) = trust {
            trusted["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
        }
        let trusted = document(trusted);
        self.iam(
            "CreateRole",
            &[("RoleName", name), ("AssumeRolePolicyDocument", &trusted)],
        )
        .await;
        self.allow(name, actions).await;
        format!("arn:aws:iam::{}:role/{name}", env_var("USER_ACCOUNT"))
    }

    /// Lets a role do these actions, and no others any more.
    pub async fn allow(&self, role: &str, actions: &[&str]) {
        let allowed = document(json!({"Effect": "Allow", "Action": actions, "Resource": "*"}));
        let policy = [
            ("RoleName", role),
            ("PolicyName", "uploads"),
            ("PolicyDocument", &allowed),
        ];
        self.iam("PutRolePolicy", &policy).await;
    }

    async fn iam(&self, action: &str, parameters: &[(&str, &str)]) {
        // The emulator checks neither signature nor day of an account's root.
        let scope = format!("{}/19700101/us-east-1/iam", env_var("USER_ACCOUNT"));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={scope}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let fixed = [("Action", action), ("Version", "2010-05-08")];
        let endpoint = env_var("AWS_ENDPOINT_URL");
        let query = reqwest::Url::parse_with_params(&endpoint, fixed.iter().chain(parameters));
        let query = query.expect("AWS_ENDPOINT_URL is a URL");
        let answer = reqwest::Client::new()
            .post(endpoint)
            .header("authorization", authorization)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(query.query().unwrap_or_default().to_owned())
            .send()
            .await
            .expect("IAM answers");
        let status = answer.status();
        let text = answer.text().await.expect("IAM answers in text");
        assert!(status.is_success(), "{action}: {status}: {text}");
    }
}

/// A policy of one statement.
fn document(statement: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
