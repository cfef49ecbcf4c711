//! The JSON in requests.

use std::{fmt::Display, time::Duration};

use cloudupload::{
    multipart::Crc32,
    names::{Arch, FileName, Package, Project, Repository},
    target::RoleArn,
    user::{TokenName, UserName},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Number, Value};

use crate::{
    api::{MOST_URLS, NewFile, OwnUpload, TokenWish},
    obs_protocol::{problem::Problem, request::Request},
};

/// The most days that a token can be good for, unless it is good for ever: a hundred years.
const MAX_DAYS: u64 = 36_500;

/// The body of a request.
///
/// It has to be called JSON: a page of another site can have a browser send anything else without asking first (Fetch
/// standard, "CORS-safelisted request-header").
pub fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    if !request.is_json() {
        return Err(Problem::with_status(
            415,
            "the body must be JSON: send it with Content-Type: application/json",
        ));
    }
    let wrong = |reason: &dyn Display| {
        Problem::bad_request(format!("the body is not as it must be: {reason}"))
    };
    // Else the values of an array would be those of the keys, in their order.
    if request.body.trim_ascii_start().starts_with(b"[") {
        return Err(wrong(&"it must be a JSON object, and not an array"));
    }
    serde_json::from_slice(&request.body).map_err(|error| wrong(&error))
}

/// A user to make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub name: UserName,
}

/// A token to make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    name: TokenName,
    #[serde(default)]
    expires_in_days: Option<Number>,
}

impl TryFrom<NewToken> for TokenWish {
    type Error = Problem;

    fn try_from(body: NewToken) -> Result<Self, Problem> {
        let lifetime = match body.expires_in_days {
            None => None,
            Some(number) => match whole(&number) {
                Some(days @ 1..=MAX_DAYS) => Some(Duration::from_secs(days * 24 * 3600)),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "expires_in_days {number} is out of range: give 1 to {MAX_DAYS}, or leave it out"
                    )));
                }
            },
        };
        Ok(Self {
            name: body.name,
            lifetime,
        })
    }
}

/// The number, if it is a whole one. JSON has `7.0` for 7, too.
fn whole(number: &Number) -> Option<u64> {
    let float = || number.as_f64().filter(|float| float.fract() == 0.0);
    let in_range = |float: &f64| (0.0..=f64::from(u32::MAX)).contains(float);
    number
        .as_u64()
        .or_else(|| float().filter(in_range).map(|float| float as u64))
}

/// A role to connect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    pub arn: RoleArn,
    pub region: String,
}

/// An upload. What else is in the body is for its target.
#[derive(Deserialize)]
pub struct NewJob {
    project: Project,
    repository: Repository,
    arch: String,
    package: Package,
    #[serde(default)]
    filename: Option<FileName>,
    #[serde(default)]
    push: Option<NewPush>,
    #[serde(flatten)]
    wishes: Map<String, Value>,
}

/// A file that will be pushed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPush {
    size: Number,
}

impl TryFrom<NewJob> for OwnUpload {
    type Error = Problem;

    fn try_from(body: NewJob) -> Result<Self, Problem> {
        let arch: Arch = body.arch.parse().map_err(Problem::bad_request)?;
        let file = match body.push {
            None => NewFile::OfObs(body.filename),
            Some(NewPush { size }) => NewFile::Pushed {
                name: body.filename.ok_or_else(|| {
                    Problem::bad_request("filename is missing: a file that is pushed needs one")
                })?,
                size: bytes("size", &size)?,
            },
        };
        Ok(Self {
            project: body.project,
            repository: body.repository,
            arch,
            package: body.package,
            file,
            wishes: body.wishes,
        })
    }
}

/// Parts of a pushed file whose URLs are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedParts {
    numbers: Vec<Number>,
    #[serde(default)]
    sent: Option<Number>,
}

impl WantedParts {
    /// The numbers, and the bytes of the file that were put so far.
    pub fn read(self) -> Result<(Vec<u32>, Option<u64>), Problem> {
        if self.numbers.len() > MOST_URLS {
            return Err(Problem::bad_request(format!(
                "{} numbers are too many: ask for up to {MOST_URLS} parts at a time",
                self.numbers.len()
            )));
        }
        let part = |number: &Number| {
            let part = whole(number).and_then(|part| u32::try_from(part).ok());
            part.ok_or_else(|| Problem::bad_request(format!("{number} is no part's number")))
        };
        let numbers = self.numbers.iter().map(part).collect::<Result<_, _>>()?;
        let sent = self.sent.map(|sent| bytes("sent", &sent)).transpose()?;
        Ok((numbers, sent))
    }
}

fn bytes(key: &str, number: &Number) -> Result<u64, Problem> {
    whole(number)
        .ok_or_else(|| Problem::bad_request(format!("{key} {number} is no number of bytes")))
}

/// Why a file is not pushed to its end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortedPush {
    reason: String,
}

/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

impl AbortedPush {
    pub fn read(self) -> Result<String, Problem> {
        let is_line = !self.reason.chars().any(char::is_control);
        match self.reason.chars().count() {
            1..=LONGEST_REASON if is_line => Ok(self.reason),
            _ => Err(Problem::bad_request(format!(
                "reason must be a line of 1 to {LONGEST_REASON} characters"
            ))),
        }
    }
}

/// What is said of a pushed file that is complete.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushedFile {
    pub crc32: Crc32,
}
