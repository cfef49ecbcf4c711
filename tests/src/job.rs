use std::fmt;

/// A job as the API answers.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    pub xml: String,
}

impl Job {
    /// The text of a child, or the empty string where it has none.
    pub fn field(&self, name: &str) -> &str {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.xml
            .split_once(&open)
            .and_then(|(_, rest)| rest.split_once(&close))
            .map_or("", |(text, _)| text)
    }

    pub fn id(&self) -> &str {
        self.xml
            .split_once("<clouduploadjob name=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map_or("", |(id, _)| id)
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
