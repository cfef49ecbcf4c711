//! The parameters of a request for a log.

use super::{
    parameters::{Parameters, digits},
    problem::Problem,
};
use crate::api::{LogRange, LogStart};

/// What a request for a log asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogQuery {
    Part {
        range: LogRange,
        /// Whether to wait for more, which `nostream` switches off.
        follow: bool,
    },
    /// `view=entry`: size and date.
    Info,
}

impl LogQuery {
    pub fn of(parameters: &Parameters) -> Result<Self, Problem> {
        parameters.allow(&["nostream", "start", "end", "view"], &[])?;
        let follow = !parameters.switch("nostream")?;
        let begin = LogStart::FromBegin(0);
        let range = LogRange {
            start: parameters.get("start").map_or(Ok(begin), start)?,
            end: parameters.get("end").map(offset).transpose()?,
        };
        match parameters.get("view") {
            None | Some("") => Ok(LogQuery::Part { range, follow }),
            Some("entry") => Ok(LogQuery::Info),
            Some(view) => Err(Problem::bad_request(format!("unknown view '{view}'"))),
        }
    }
}

/// A negative number counts from the log's end.
fn start(text: &str) -> Result<LogStart, Problem> {
    match text.strip_prefix('-') {
        Some(digits) if !digits.is_empty() => offset(digits)
            .map(LogStart::FromEnd)
            .map_err(|_| Problem::not_a_number(text)),
        _ => offset(text).map(LogStart::FromBegin),
    }
}

/// More digits than fit are still a number, past the end of any log.
fn offset(text: &str) -> Result<usize, Problem> {
    Ok(digits(text)?.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(query: &str) -> Result<LogQuery, String> {
        LogQuery::of(&Parameters::parse(query).unwrap()).map_err(|problem| problem.summary)
    }

    #[test]
    fn offsets_are_those_of_the_contract() {
        let range = |text, size| match query(text).unwrap() {
            LogQuery::Part { range, .. } => range.of(size).map_err(|error| error.to_string()),
            LogQuery::Info => panic!("{text} is for a part"),
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
        let follows = |text| match query(text).unwrap() {
            LogQuery::Part { follow, .. } => Some(follow),
            LogQuery::Info => None,
        };
        assert_eq!(follows(""), Some(true));
        assert_eq!(follows("nostream=0"), Some(true));
        assert_eq!(follows("nostream=1&start=0"), Some(false));
        assert_eq!(follows("nostream"), Some(false));
        assert_eq!(query("view=entry"), Ok(LogQuery::Info));
    }
}
