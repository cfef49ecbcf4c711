//! Which part of a log is asked for.

use std::{ops::Range, str::FromStr};

use crate::{
    answer::Problem,
    query::{Parameters, digits},
};

/// What a request for a log asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// `nostream`: to have what there is, instead of waiting for more.
    pub at_once: bool,
    /// `view=entry`: to be told of the log's size instead.
    pub only_entry: bool,
    start: Start,
    /// The byte behind the last one wanted.
    end: Option<usize>,
}

/// Where to begin, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    FromBegin(usize),
    FromEnd(usize),
}

impl LogQuery {
    pub fn of(parameters: &Parameters) -> Result<Self, Problem> {
        parameters.allow(&["nostream", "start", "end", "view"], &[])?;
        Ok(Self {
            at_once: parameters.switch("nostream")?,
            start: parameters
                .get("start")
                .map_or(Ok(Start::FromBegin(0)), |start| {
                    match start.strip_prefix('-') {
                        Some(digits) if !digits.is_empty() => offset(digits)
                            .map(Start::FromEnd)
                            .map_err(|_| not_a_number(start)),
                        _ => offset(start).map(Start::FromBegin),
                    }
                })?,
            end: parameters.get("end").map(offset).transpose()?,
            only_entry: match parameters.get("view") {
                None | Some("") => false,
                Some("entry") => true,
                Some(view) => return Err(Problem::bad(format!("unknown view '{view}'"))),
            },
        })
    }

    /// The part of a log of so many bytes that is wanted.
    pub fn range(&self, size: usize) -> Result<Range<usize>, Problem> {
        let start = match self.start {
            Start::FromBegin(start) if start > size => {
                return Err(Problem::bad(format!("start out of range: {start}")));
            }
            Start::FromBegin(start) => start,
            Start::FromEnd(bytes) => size.saturating_sub(bytes),
        };
        let end = self.end.map_or(size, |end| end.clamp(start, size));
        Ok(start..end)
    }
}

fn offset(text: &str) -> Result<usize, Problem> {
    // More digits than fit are still a number, past the end of any log.
    Ok(usize::from_str(digits(text)?).unwrap_or(usize::MAX))
}

fn not_a_number(text: &str) -> Problem {
    Problem::bad(format!("not a number: '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(query: &str) -> Result<LogQuery, String> {
        LogQuery::of(&Parameters::parse(query).unwrap()).map_err(|problem| problem.summary)
    }

    #[test]
    fn offsets_are_those_of_the_contract() {
        let range = |text, size| {
            query(text)
                .unwrap()
                .range(size)
                .map_err(|problem| problem.summary)
        };
        for (text, part) in [
            ("", 0..116),
            ("start=0", 0..116),
            ("start=16", 16..116),
            ("start=116", 116..116),
            ("start=-16", 100..116),
            ("start=-5000", 0..116),
            ("start=-0", 116..116),
            ("end=50", 0..50),
            ("end=5000", 0..116),
            ("start=16&end=50", 16..50),
            ("start=50&end=16", 50..50),
            ("start=-16&end=110", 100..110),
            ("end=99999999999999999999999", 0..116),
        ] {
            assert_eq!(range(text, 116), Ok(part), "{text}");
        }
        assert_eq!(
            range("start=5000", 116),
            Err("start out of range: 5000".to_owned())
        );
        assert_eq!(range("start=1", 0), Err("start out of range: 1".to_owned()));
        assert_eq!(range("", 0), Ok(0..0));
    }

    #[test]
    fn what_is_no_part_of_a_log_is_refused() {
        for (text, reason) in [
            ("start=abc", "not a number: 'abc'"),
            ("start=-", "not a number: '-'"),
            ("start=-1x", "not a number: '-1x'"),
            ("start=", "number is empty"),
            ("end=-1", "not a number: '-1'"),
            ("nostream=yes", "not boolean"),
            ("view=list", "unknown view 'list'"),
            ("last=1", "unknown parameter 'last'"),
            ("start=1&start=2", "parameter 'start' set multiple times"),
        ] {
            assert_eq!(query(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn following_is_what_happens_unless_it_is_switched_off() {
        assert!(!query("").unwrap().at_once);
        assert!(!query("nostream=0").unwrap().at_once);
        assert!(query("nostream=1&start=0").unwrap().at_once);
        assert!(query("nostream").unwrap().at_once);
        assert!(query("view=entry").unwrap().only_entry);
    }
}
