//! One file of the build results.

use bytes::Bytes;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED},
};

use super::{ObsError, connection_to, without_credentials};

/// A file that is being read.
#[derive(Debug)]
pub struct Download {
    response: Response,
    url: Url,
    /// The byte of the file at which this begins.
    pub from: u64,
    /// The byte after the last that this has.
    pub end: u64,
    /// Bytes of the whole file.
    pub size: u64,
    /// Names this version of the file, if OBS gives it an ETag or a modification time.
    pub version: Option<String>,
}

impl Download {
    pub(super) fn of(response: Response, url: &Url) -> Result<Self, ObsError> {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let length = if response.status() == StatusCode::PARTIAL_CONTENT {
            header(CONTENT_RANGE).and_then(parse_content_range)
        } else {
            header(CONTENT_LENGTH).and_then(|length| {
                let length = length.parse().ok()?;
                Some((0, length, length))
            })
        };
        let (from, end, size) = length.ok_or_else(|| ObsError::Unexpected {
            expected: "a file of known length",
            url: without_credentials(url),
            reason: format!("{} with {:?}", response.status(), response.headers()),
        })?;
        Ok(Self {
            from,
            end,
            size,
            version: header(ETAG).or(header(LAST_MODIFIED)).map(str::to_owned),
            url: url.clone(),
            response,
        })
    }

    /// The next bytes, or nothing at the end. A connection that breaks, or is silent for 30 s, is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ObsError> {
        self.response
            .chunk()
            .await
            .map_err(connection_to(&self.url))
    }
}

/// The first byte, the byte after the last and the whole size of `bytes 100-199/200`.
fn parse_content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, last) = range.split_once('-')?;
    let end = last.parse::<u64>().ok()?.checked_add(1)?;
    let (from, size) = (from.parse().ok()?, size.parse().ok()?);
    (from < end && end <= size).then_some((from, end, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(
            parse_content_range("bytes 100-199/200"),
            Some((100, 200, 200))
        );
        assert_eq!(parse_content_range("bytes 4-7/10"), Some((4, 8, 10)));
        for value in [
            "",
            "bytes */200",
            "bytes 0-0/*",
            "bytes 1/2",
            "lines 1-2/3",
            "bytes a-b/c",
            "bytes 1-18446744073709551615/3",
            "bytes 5-4/10",
            "bytes 4-10/10",
        ] {
            assert_eq!(parse_content_range(value), None, "{value}");
        }
    }
}
