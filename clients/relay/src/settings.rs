//! What the environment says. The README lists it.

use std::{
    env::{self, VarError},
    fmt, fs, io,
    net::SocketAddr,
    path::PathBuf,
};

use reqwest::Url;

/// Where the source server looks for a cloud upload server, unless BSConfig.pm says otherwise.
const LISTEN: &str = "127.0.0.1:5452";

pub struct Settings {
    pub listen: SocketAddr,
    /// The cloud uploader's address, without a path.
    pub api: Url,
    pub caller: String,
    pub secret: Secret,
    /// A folder for the numbers of the jobs whose images come in.
    pub state: PathBuf,
}

/// A secret. It shows nowhere.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    #[error("{0} is not set: {1}")]
    Missing(&'static str, &'static str),
    #[error("{name} is '{value}', but must be {expected}")]
    Bad {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("the secret cannot be read from {path}: {error}")]
    Secret { path: PathBuf, error: io::Error },
}

impl Settings {
    pub fn from_env() -> Result<Self, SettingError> {
        Ok(Self {
            listen: parsed(
                "RELAY_LISTEN",
                optional("RELAY_LISTEN")?.unwrap_or_else(|| LISTEN.to_owned()),
                "an address such as 127.0.0.1:5452",
            )?,
            api: api(required(
                "RELAY_API",
                "it is the cloud uploader's address, such as https://abc123.execute-api.eu-central-1.amazonaws.com",
            )?)?,
            caller: required(
                "RELAY_CALLER",
                "it is the name of a caller of the cloud uploader",
            )?,
            secret: secret()?,
            state: required(
                "STATE_DIRECTORY",
                "it is a folder for what has to outlive a restart; systemd sets it",
            )?
            .into(),
        })
    }
}

fn api(text: String) -> Result<Url, SettingError> {
    let url: Url = parsed("RELAY_API", text.clone(), "a URL")?;
    let is_local = ["127.0.0.1", "localhost"].contains(&url.host_str().unwrap_or_default());
    match url.scheme() {
        "https" => Ok(url),
        // For tests: a secret goes over no network in the clear.
        "http" if is_local => Ok(url),
        _ => Err(SettingError::Bad {
            name: "RELAY_API",
            value: text,
            expected: "an https URL",
        }),
    }
}

/// The secret lies in a file, so that it is in no process list and in no unit file (systemd.exec(5), "Credentials").
fn secret() -> Result<Secret, SettingError> {
    let path = match (
        optional("RELAY_SECRET_FILE")?,
        optional("CREDENTIALS_DIRECTORY")?,
    ) {
        (Some(file), _) => PathBuf::from(file),
        (None, Some(folder)) => PathBuf::from(folder).join("secret"),
        (None, None) => {
            return Err(SettingError::Missing(
                "RELAY_SECRET_FILE",
                "it is the file with the caller's secret; with systemd, use LoadCredential=secret:…",
            ));
        }
    };
    match fs::read_to_string(&path) {
        Ok(secret) => Ok(Secret(secret.trim().to_owned())),
        Err(error) => Err(SettingError::Secret { path, error }),
    }
}

fn optional(name: &'static str) -> Result<Option<String>, SettingError> {
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        Ok(_) | Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(value)) => Err(SettingError::Bad {
            name,
            value: value.to_string_lossy().into_owned(),
            expected: "UTF-8",
        }),
    }
}

fn required(name: &'static str, what: &'static str) -> Result<String, SettingError> {
    optional(name)?.ok_or(SettingError::Missing(name, what))
}

fn parsed<T: std::str::FromStr>(
    name: &'static str,
    value: String,
    expected: &'static str,
) -> Result<T, SettingError> {
    value.parse().map_err(|_| SettingError::Bad {
        name,
        value,
        expected,
    })
}
