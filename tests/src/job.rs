use std::{fmt, num::ParseIntError, str::FromStr};

/// A job's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(u32);

impl JobId {
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The name of the job's own execution.
    pub fn execution(self) -> String {
        format!("job-{self}")
    }
}

impl FromStr for JobId {
    type Err = ParseIntError;

    fn from_str(number: &str) -> Result<Self, Self::Err> {
        number.parse().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job as the API returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    id: JobId,
    xml: String,
}

impl Job {
    /// The job in an answer of the API. Panics if there is none.
    pub(crate) fn from_xml(xml: String) -> Self {
        let id = xml
            .split_once("<clouduploadjob name=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .and_then(|(id, _)| id.parse().ok());
        match id {
            Some(id) => Self { id, xml },
            None => panic!("no job: {xml}"),
        }
    }

    pub fn id(&self) -> JobId {
        self.id
    }

    /// The text of a child, or the empty string if there is none.
    pub fn field(&self, name: &str) -> &str {
        element_text(&self.xml, name)
    }

    pub fn state(&self) -> &str {
        self.field("state")
    }

    pub fn details(&self) -> &str {
        self.field("details")
    }

    pub fn is_final(&self) -> bool {
        ["succeeded", "failed"].contains(&self.state())
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.xml)
    }
}

/// The text of the first element of that name, or the empty string if there is none.
pub(crate) fn element_text<'a>(xml: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close))
        .map_or("", |(text, _)| text)
}
