//! Parameters, read as OBS reads them (`src/backend/BSDispatch.pm` and `BSVerify.pm`): an unknown parameter is refused,
//! and so is a second value for one that takes a single value. Errors are in OBS's words.

use std::{collections::BTreeSet, fmt::Display, str::FromStr};

use percent_encoding::percent_decode;

use super::problem::Problem;

/// Names and values, in the order in which they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string or a form. A name without a `=` has the value `1`: it is switched on.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "1")))
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| Ok((decode(name)?, decode(value)?)))
            .collect::<Result<_, Problem>>()
            .map(Self)
    }

    /// Refuses parameters that are in neither list, and a second value for one that is in `single`.
    pub fn allow(&self, single: &[&str], multiple: &[&str]) -> Result<(), Problem> {
        let mut seen = BTreeSet::new();
        let mut unknown = BTreeSet::new();
        for (name, _) in &self.0 {
            let name = name.as_str();
            if single.contains(&name) {
                if !seen.insert(name) {
                    return Err(Problem::bad_request(format!(
                        "parameter '{name}' set multiple times"
                    )));
                }
            } else if !multiple.contains(&name) {
                unknown.insert(format!("'{name}'"));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<String> = unknown.into_iter().collect();
        Err(Problem::bad_request(format!(
            "unknown parameter {}",
            unknown.join(", ")
        )))
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn optional<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.get(name)
            .map(|value| {
                value
                    .parse()
                    .map_err(|error: T::Err| Problem::bad_request(error))
            })
            .transpose()
    }

    pub fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Problem> {
        self.optional(name)?
            .ok_or_else(|| Problem::bad_request(format!("parameter '{name}' is missing")))
    }

    /// A switch: `0` or `1`. A missing one is off.
    pub fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Problem::bad_request("not boolean")),
        }
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let text = text.replace('+', " ");
    if let Some(bad) = bad_escape(&text) {
        return Err(Problem::with_status(
            400,
            format!("query string has a bad percent-encoding: '{bad}'"),
        ));
    }
    percent_decode(text.as_bytes())
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| Problem::with_status(400, "query string is not utf-8"))
}

/// The first `%` without two hex digits behind it, with the two characters that are there instead.
fn bad_escape(text: &str) -> Option<String> {
    text.match_indices('%')
        .map(|(at, _)| text[at..].chars().take(3).collect::<String>())
        .find(|escape| !(escape.len() == 3 && escape[1..].bytes().all(|b| b.is_ascii_hexdigit())))
}

/// The same text, if it consists of decimal digits: OBS takes nothing else for a number.
pub fn digits(text: &str) -> Result<&str, Problem> {
    if text.is_empty() {
        Err(Problem::bad_request("number is empty"))
    } else if text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(Problem::not_a_number(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        let problem = result.unwrap_err();
        assert_eq!(problem.status, 400);
        problem.summary
    }

    #[test]
    fn a_query_string_is_decoded() {
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Ok(Parameters(pairs.collect()))
        };
        assert_eq!(Parameters::parse(""), pairs(&[]));
        assert_eq!(
            Parameters::parse("project=a%3Ab&x=1+2%2B&y=&z&&=q&%C3%BC=%25a=b"),
            pairs(&[
                ("project", "a:b"),
                ("x", "1 2+"),
                ("y", ""),
                ("z", "1"),
                ("ü", "%a=b")
            ])
        );
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        assert_eq!(
            refused(Parameters::parse("a=%zz")),
            "query string has a bad percent-encoding: '%zz'"
        );
        assert_eq!(
            refused(Parameters::parse("a=%2")),
            "query string has a bad percent-encoding: '%2'"
        );
        assert_eq!(
            refused(Parameters::parse("a=%äöü")),
            "query string has a bad percent-encoding: '%äö'"
        );
        assert_eq!(
            refused(Parameters::parse("a%FF=1")),
            "query string is not utf-8"
        );
    }

    #[test]
    fn parameters_are_known_and_given_once() {
        let parameters = Parameters::parse("name=1&name=2&start=3&foo=4&bar=5&foo=6").unwrap();
        assert_eq!(
            refused(parameters.allow(&["start"], &["name"])),
            "unknown parameter 'bar', 'foo'"
        );
        assert_eq!(
            refused(parameters.allow(&["start", "name"], &[])),
            "parameter 'name' set multiple times"
        );
        assert_eq!(
            parameters.allow(&["start", "bar"], &["name", "foo"]),
            Ok(())
        );
        assert_eq!(parameters.all("name").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn values_are_checked() {
        let parameters = Parameters::parse("n=7&t=abc&on&off=0").unwrap();
        assert_eq!(parameters.required::<u8>("n"), Ok(7));
        assert_eq!(parameters.optional::<u8>("m"), Ok(None));
        assert_eq!(
            refused(parameters.required::<u8>("m")),
            "parameter 'm' is missing"
        );
        assert_eq!(
            refused(parameters.required::<u8>("t")),
            "invalid digit found in string"
        );
        assert_eq!(
            ["on", "off", "m"].map(|name| parameters.switch(name)),
            [Ok(true), Ok(false), Ok(false)]
        );
        assert_eq!(refused(parameters.switch("t")), "not boolean");
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(digits("0123"), Ok("0123"));
        assert_eq!(refused(digits("abc")), "not a number: 'abc'");
        assert_eq!(refused(digits("-1")), "not a number: '-1'");
        assert_eq!(refused(digits("+1")), "not a number: '+1'");
        assert_eq!(refused(digits("")), "number is empty");
    }
}
