//! The secret of OBS's frontend, in Secrets Manager.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use cloudupload::{
    aws::{self, Failure},
    caller::SecretHash,
};
use tokio::sync::Mutex;

/// The time for which a secret is used without another look at Secrets Manager.
const KEPT: Duration = Duration::from_secs(300);

/// The age from which the kept secret is read again when a caller sends another one: it may have been rotated. A stranger
/// who guesses secrets causes one look in this time.
const REFUSED_AFTER: Duration = Duration::from_secs(10);

/// The secret.
pub struct FrontendSecret {
    client: Client,
    arn: String,
    kept: Mutex<Option<Kept>>,
}

/// What Secrets Manager said last.
struct Kept {
    read: Instant,
    secrets: Vec<SecretHash>,
}

impl FrontendSecret {
    pub fn new(client: Client, arn: String) -> Self {
        Self {
            client,
            arn,
            kept: Mutex::default(),
        }
    }

    /// Whether this is the secret, or was until the last rotation.
    pub async fn is(&self, secret: &SecretHash) -> Result<bool, Failure> {
        self.is_at(Instant::now(), secret).await
    }

    async fn is_at(&self, now: Instant, secret: &SecretHash) -> Result<bool, Failure> {
        let mut kept = self.kept.lock().await;
        for longest in [KEPT, REFUSED_AFTER] {
            let fresh = match kept.take() {
                Some(kept) if now.duration_since(kept.read) < longest => kept,
                _ => self.read(now).await?,
            };
            let is = fresh.secrets.iter().any(|own| own.matches(secret));
            *kept = Some(fresh);
            if is {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the versions that count: the current one, and the one before the last rotation (Secrets Manager user guide,
    /// "What's in a Secrets Manager secret?").
    async fn read(&self, now: Instant) -> Result<Kept, Failure> {
        let (current, previous) =
            tokio::try_join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS"))?;
        Ok(Kept {
            read: now,
            secrets: current.into_iter().chain(previous).collect(),
        })
    }

    /// The version at that stage. A secret that was never rotated has no previous one.
    async fn version(&self, stage: &str) -> Result<Option<SecretHash>, Failure> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.arn)
            .version_stage(stage)
            .send()
            .await
            .map_err(Failure::of("secretsmanager:GetSecretValue"));
        let answer = aws::ok_on_codes(&["ResourceNotFoundException"], answer)?;
        let text = answer.and_then(|answer| answer.secret_string);
        // An empty secret is none: nobody shall get in with an empty password.
        let text = text.filter(|text| !text.is_empty());
        Ok(text.map(|text| SecretHash::of(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use fake_endpoint::{Answer, Endpoint};
    use serde_json::json;

    use super::*;

    /// The secret in Secrets Manager: its current version and the one before, if there is one.
    type Versions = Arc<Mutex<(&'static str, Option<&'static str>)>>;

    fn secrets_manager(versions: &Versions) -> (Endpoint, FrontendSecret) {
        let versions = Arc::clone(versions);
        let endpoint = Endpoint::new(move |call| {
            let (current, previous) = *versions.lock().unwrap();
            let version = match call.json()["VersionStage"].as_str() {
                Some("AWSCURRENT") => Some(current),
                Some("AWSPREVIOUS") => previous,
                stage => panic!("{stage:?}"),
            };
            match version {
                Some("away") => refusal("AccessDeniedException"),
                Some(text) => Answer::json(&json!({"SecretString": text})),
                None => refusal("ResourceNotFoundException"),
            }
        });
        let secret = FrontendSecret::new(Client::new(&endpoint.config()), "arn".to_owned());
        (endpoint, secret)
    }

    fn refusal(code: &str) -> Answer {
        Answer::new(400, json!({"__type": code}).to_string())
    }

    fn hash(secret: &str) -> SecretHash {
        SecretHash::of(secret.as_bytes())
    }

    #[tokio::test]
    async fn while_a_secret_is_rotated_both_count() {
        let versions = Versions::new(Mutex::new(("first", None)));
        let (endpoint, secret) = secrets_manager(&versions);
        let start = Instant::now();
        let is = async |seconds, text| {
            let now = start + Duration::from_secs(seconds);
            secret.is_at(now, &hash(text)).await.unwrap()
        };
        assert!(is(0, "first").await);
        *versions.lock().unwrap() = ("second", Some("first"));
        assert!(is(1, "first").await);
        assert!(!is(9, "second").await, "known in ten seconds only");
        assert!(is(10, "second").await);
        assert!(is(10, "first").await);
        *versions.lock().unwrap() = ("third", Some("second"));
        assert!(is(309, "first").await, "kept for five minutes");
        assert!(!is(310, "first").await);
        assert!(is(310, "third").await);
        assert_eq!(endpoint.names().len(), 6, "three looks at two versions");
    }

    #[tokio::test]
    async fn guesses_cost_a_look_in_ten_seconds() {
        let versions = Versions::new(Mutex::new(("first", None)));
        let (endpoint, secret) = secrets_manager(&versions);
        let start = Instant::now();
        for second in 0..30 {
            let now = start + Duration::from_secs(second);
            assert!(!secret.is_at(now, &hash("guess")).await.unwrap());
        }
        assert_eq!(endpoint.names().len(), 6);
    }

    #[tokio::test]
    async fn an_empty_secret_lets_nobody_in() {
        let versions = Versions::new(Mutex::new(("", Some(""))));
        let (_endpoint, secret) = secrets_manager(&versions);
        assert!(!secret.is(&hash("")).await.unwrap());
    }

    #[tokio::test]
    async fn without_secrets_manager_nobody_is_let_in() {
        let versions = Versions::new(Mutex::new(("away", None)));
        let (_endpoint, secret) = secrets_manager(&versions);
        let failure = secret.is(&hash("away")).await.unwrap_err();
        assert!(
            failure
                .to_string()
                .contains("secretsmanager:GetSecretValue"),
            "{failure}"
        );
    }
}
