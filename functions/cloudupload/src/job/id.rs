//! A job's number, and the names that follow from it.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

/// A job's number: counted up from 1, never reused, below 2^31 because the OBS frontend keeps it in a signed 32-bit
/// column (`cloud_user_upload_jobs.job_id` in its schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(u32);

/// Why a number is no job id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadJobId {
    #[error("not a number: '{text}'")]
    NotANumber { text: String, source: ParseIntError },
    #[error("no job can have the number {0}: job numbers go from 1 to {max}", max = JobId::MAX)]
    OutOfRange(u64),
}

impl JobId {
    pub const MAX: u32 = i32::MAX as u32;

    pub fn new(number: u64) -> Result<Self, BadJobId> {
        u32::try_from(number)
            .ok()
            .filter(|n| (1..=Self::MAX).contains(n))
            .map(Self)
            .ok_or(BadJobId::OutOfRange(number))
    }

    pub fn number(self) -> u32 {
        self.0
    }

    /// The name under which the job's execution and its log stream run.
    pub fn execution_name(self) -> String {
        format!("job-{self}")
    }

    /// The job that an execution belongs to, by the execution's name: `job-17`, or `job-17-finish-…`.
    pub fn of_execution(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("job-")?;
        let number = rest.split_once('-').map_or(rest, |(number, _)| number);
        number.parse().ok()
    }
}

impl TryFrom<String> for JobId {
    type Error = BadJobId;

    fn try_from(text: String) -> Result<Self, BadJobId> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> String {
        id.to_string()
    }
}

impl FromStr for JobId {
    type Err = BadJobId;

    fn from_str(text: &str) -> Result<Self, BadJobId> {
        let number = text.parse().map_err(|source| BadJobId::NotANumber {
            text: text.to_owned(),
            source,
        })?;
        Self::new(number)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job's number as a number, where DynamoDB is to keep jobs in their order.
pub(crate) mod as_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::JobId;

    pub(crate) fn serialize<S: Serializer>(job: &JobId, to: S) -> Result<S::Ok, S::Error> {
        job.number().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<JobId, D::Error> {
        JobId::new(u64::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_job_id_if_obs_can_keep_it() {
        assert_eq!("17".parse(), Ok(JobId(17)));
        assert_eq!("2147483647".parse(), Ok(JobId(JobId::MAX)));
        for text in ["0", "2147483648"] {
            assert!(
                matches!(text.parse::<JobId>(), Err(BadJobId::OutOfRange(_))),
                "{text}"
            );
        }
        assert_eq!(
            "abc".parse::<JobId>().unwrap_err().to_string(),
            "not a number: 'abc'"
        );
    }

    #[test]
    fn an_execution_names_its_job() {
        for name in ["job-17", "job-17-finish-1795445844"] {
            assert_eq!(JobId::of_execution(name), Some(JobId(17)), "{name}");
        }
        for name in ["17", "job-", "job-x", "job--finish-1"] {
            assert_eq!(JobId::of_execution(name), None, "{name}");
        }
    }
}
