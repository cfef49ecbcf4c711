//! Settings from the environment, read once at start.

use std::env;

/// A setting that is not there or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    #[error(
        "the environment variable {0} is not set: deploy with infra/template.yaml, which sets it"
    )]
    Missing(&'static str),
    #[error("the environment variable {name} is not usable: {reason}")]
    Unusable { name: &'static str, reason: String },
}

/// The setting called `name`; an empty one counts as missing.
pub fn setting(name: &'static str) -> Result<String, SettingError> {
    optional(name).ok_or(SettingError::Missing(name))
}

/// The setting called `name`, which may be missing.
pub fn optional(name: &'static str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The setting called `name`, of a type that checks it.
pub fn parsed<T>(name: &'static str) -> Result<T, SettingError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    setting(name)?
        .parse()
        .map_err(|reason: T::Err| SettingError::Unusable {
            name,
            reason: reason.to_string(),
        })
}
