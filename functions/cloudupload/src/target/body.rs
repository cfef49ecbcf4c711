//! The JSON body of a create call, as it was sent. OBS's frontend sends what its users type, so a boolean and a number
//! may come as a string.

use std::str::FromStr;

use serde_json::{Map, Value};

const EXAMPLE: &str =
    r#"{"arn": "arn:aws:iam::123456789012:role/obs", "external_id": "...", "region": "us-east-1"}"#;

/// Why a body, or a field of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadBody {
    #[error("the body is empty: it must be JSON such as {EXAMPLE}")]
    Empty,
    #[error("the body is not JSON ({0}): it must be JSON such as {EXAMPLE}")]
    NotJson(#[source] serde_json::Error),
    #[error("the body must be a JSON object such as {EXAMPLE}")]
    NotAnObject,
    #[error("{0} is missing: the body must be JSON such as {EXAMPLE}")]
    Missing(&'static str),
    #[error("{0} must be a string")]
    NotAString(&'static str),
    #[error("{0} must be true or false")]
    NotABoolean(&'static str),
    #[error("{0} must be a whole number")]
    NotANumber(&'static str),
}

/// A body that is a JSON object. `null` and an empty string count as absent where a key may be absent.
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) fn from_json(json: &[u8]) -> Result<Self, BadBody> {
        if json.trim_ascii().is_empty() {
            return Err(BadBody::Empty);
        }
        match serde_json::from_slice(json).map_err(BadBody::NotJson)? {
            Value::Object(body) => Ok(Self(body)),
            _ => Err(BadBody::NotAnObject),
        }
    }

    /// What another reader has left of an object.
    pub(super) fn of(rest: Map<String, Value>) -> Self {
        Self(rest)
    }

    /// The value of a key, if it is there.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The text of a key that has to be there.
    pub(super) fn required(&self, key: &'static str) -> Result<&str, BadBody> {
        match self.value(key) {
            None => Err(BadBody::Missing(key)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(BadBody::NotAString(key)),
        }
    }

    /// The text of a key that may be absent.
    pub(super) fn optional(&self, key: &'static str) -> Result<Option<&str>, BadBody> {
        match self.required(key) {
            Err(BadBody::Missing(_)) | Ok("") => Ok(None),
            found => found.map(Some),
        }
    }

    /// The text of a key, as the type that it stands for.
    pub(super) fn parsed<T, E>(&self, key: &'static str) -> Result<Option<T>, E>
    where
        T: FromStr,
        E: From<BadBody> + From<T::Err>,
    {
        Ok(self.optional(key)?.map(str::parse::<T>).transpose()?)
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, BadBody> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) => match text.as_str() {
                "" => Ok(None),
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(BadBody::NotABoolean(key)),
            },
            Some(_) => Err(BadBody::NotABoolean(key)),
        }
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<u64>, BadBody> {
        let number = match self.value(key) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            // `parse` takes a sign too.
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        number.map(Some).ok_or(BadBody::NotANumber(key))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: &Value) -> Body {
        Body::from_json(json!({ "key": value }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_boolean_may_be_a_string() {
        for (value, boolean) in [
            (json!(true), Some(true)),
            (json!("true"), Some(true)),
            (json!(false), Some(false)),
            (json!("false"), Some(false)),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(body(&value).boolean("key").unwrap(), boolean, "{value}");
        }
        for value in [json!(1), json!("True"), json!("yes"), json!([true])] {
            let error = body(&value).boolean("key").unwrap_err();
            assert_eq!(error.to_string(), "key must be true or false", "{value}");
        }
        assert_eq!(body(&json!(true)).boolean("other").unwrap(), None);
    }

    #[test]
    fn a_number_may_be_a_string() {
        for (value, number) in [
            (json!(20), Some(20)),
            (json!("20"), Some(20)),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(body(&value).number("key").unwrap(), number, "{value}");
        }
        for value in [
            json!(-1),
            json!(1.5),
            json!("+1"),
            json!(" 1"),
            json!("18446744073709551616"),
            json!(true),
        ] {
            let error = body(&value).number("key").unwrap_err();
            assert_eq!(error.to_string(), "key must be a whole number", "{value}");
        }
    }
}
