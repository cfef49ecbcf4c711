use std::ops::Range;

use super::ApiError;

/// A part of a log, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    pub start: LogStart,
    /// The byte behind the last one. If it is missing or beyond the log's end: the log's end.
    pub end: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStart {
    /// So many bytes behind the log's begin.
    FromBegin(usize),
    /// So many bytes before the log's end, or the begin of a shorter log.
    FromEnd(usize),
}

impl LogRange {
    /// This part of a log of `size` bytes.
    pub fn of(&self, size: usize) -> Result<Range<usize>, ApiError> {
        let start = match self.start {
            LogStart::FromBegin(start) if start > size => {
                return Err(ApiError::StartOutOfRange(start));
            }
            LogStart::FromBegin(start) => start,
            LogStart::FromEnd(bytes) => size.saturating_sub(bytes),
        };
        let end = self.end.map_or(size, |end| end.clamp(start, size));
        Ok(start..end)
    }
}
