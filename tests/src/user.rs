//! Users of this service, and the administrator who makes them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{JobId, Stack, Trust, unique};

/// What a role needs for an upload by the route `direct`, and for its removal.
pub const DIRECT: [&str; 9] = [
    "ec2:DescribeImages",
    "ec2:DescribeSnapshots",
    "ec2:RegisterImage",
    "ec2:CreateTags",
    "ec2:DeregisterImage",
    "ec2:DeleteSnapshot",
    "ebs:StartSnapshot",
    "ebs:PutSnapshotBlock",
    "ebs:CompleteSnapshot",
];

/// Makes users, and removes them.
pub struct Administrator {
    pub stack: Stack,
    caller: String,
}

/// A user with a token.
pub struct User {
    pub name: String,
    /// As it was made, with its secret.
    pub token: Value,
    /// The stack, as this user has it.
    pub stack: Stack,
}

impl Administrator {
    pub async fn new() -> Self {
        const SECRET: &str = "0ff1ce";
        let caller = format!("administrator-{}", unique());
        Stack::new().await.add_administrator(&caller, SECRET).await;
        Self {
            stack: Stack::for_caller(Some((&caller, SECRET))).await,
            caller,
        }
    }

    pub async fn user(&self, name: &str) -> User {
        let name = format!("{name}-{}", unique());
        let body = json!({ "name": name });
        self.stack
            .expect(StatusCode::CREATED, Method::POST, "/v1/users", Some(body))
            .await;
        let token = self.token(&name, json!({"name": "laptop"})).await;
        let secret = token["token"].as_str().expect("a new token is shown");
        User {
            stack: Stack::for_token(secret).await,
            name,
            token,
        }
    }

    pub async fn token(&self, user: &str, body: Value) -> Value {
        let path = format!("/v1/users/{user}/tokens");
        self.stack
            .expect(StatusCode::CREATED, Method::POST, &path, Some(body))
            .await
    }

    pub async fn remove(&self, user: &User) {
        let path = format!("/v1/users/{}", user.name);
        self.stack
            .expect(StatusCode::NO_CONTENT, Method::DELETE, &path, None)
            .await;
    }

    pub async fn done(self) {
        self.stack.remove_caller(&self.caller).await;
    }
}

impl User {
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.stack.ask(Method::GET, path, None).await
    }

    pub async fn found(&self, path: &str) -> Value {
        self.stack
            .expect(StatusCode::OK, Method::GET, path, None)
            .await
    }

    pub async fn external_id(&self) -> String {
        let setup = self.found("/v1/me/role").await;
        setup["external_id"]
            .as_str()
            .expect("a role has an external ID")
            .to_owned()
    }

    pub async fn connect(&self, arn: &str) -> (StatusCode, Value) {
        let body = json!({"arn": arn, "region": self.stack.region});
        self.stack.ask(Method::PUT, "/v1/me/role", Some(body)).await
    }

    /// Makes a role with all that an upload needs, and connects it.
    pub async fn set_up(&self) -> String {
        let external_id = self.external_id().await;
        let trust = Trust::ExternalId(&external_id);
        let arn = self.stack.make_role(&self.name, trust, &DIRECT).await;
        let (status, setup) = self.connect(&arn).await;
        assert_eq!(status, StatusCode::OK, "{setup}");
        assert_eq!(
            (&setup["arn"], &setup["usable"]),
            (&json!(arn), &json!(true))
        );
        let direct = json!({"route": "direct", "verdict": "allowed"});
        assert_eq!(setup["report"]["routes"][0], direct, "{setup}");
        arn
    }

    pub async fn upload(&self, project: &str, package: &str) -> (StatusCode, Value) {
        let body = json!({
            "project": project, "repository": "images", "arch": "x86_64", "package": package,
            "ami_name": format!("{package} {}", unique()), "tags": {"Team": "images"},
        });
        self.stack.ask(Method::POST, "/v1/jobs", Some(body)).await
    }
}

/// The number of a job in the JSON of the API.
pub fn job_id(job: &Value) -> JobId {
    let number = job["id"]
        .as_u64()
        .unwrap_or_else(|| panic!("no job: {job}"));
    JobId::new(number.try_into().expect("a number of a job"))
}

/// What the API says of an error.
pub fn detail(problem: &Value) -> &str {
    problem["detail"]
        .as_str()
        .unwrap_or_else(|| panic!("no problem: {problem}"))
}
