//! A file read over several connections: pieces that come in any order and are handed out in theirs.
//!
//! A piece whose connection breaks keeps what it has, and only the rest is asked for again. At most as many pieces as there
//! are connections are in memory, whether they are still on their way or wait for one before them.

use std::{
    collections::BTreeMap,
    fmt,
    num::ParseIntError,
    ops::{Range, RangeInclusive},
    str::FromStr,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use cloudupload::{
    job::UploadRequest,
    obs::{Download, Obs, ObsError},
    retry::{self, Attempts},
};
use tokio::task::JoinSet;

use crate::receive::BREAKS;

/// Bytes of a piece.
pub const PIECE: u64 = 8 << 20;

/// The number of connections over which a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections(usize);

impl Connections {
    pub const ONE: Self = Self(1);
    const VALID: RangeInclusive<usize> = 1..=16;
}

/// Text that is no number of connections.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConnections {
    #[error("{0}")]
    NoNumber(#[from] ParseIntError),
    #[error("{0} is not from {min} to {max}", min = Connections::VALID.start(), max = Connections::VALID.end())]
    OutOfRange(usize),
}

impl FromStr for Connections {
    type Err = BadConnections;

    fn from_str(text: &str) -> Result<Self, BadConnections> {
        let number = text.parse()?;
        match Self::VALID.contains(&number) {
            true => Ok(Self(number)),
            false => Err(BadConnections::OutOfRange(number)),
        }
    }
}

/// A file that is read in pieces.
pub struct Pieces {
    obs: Obs,
    request: UploadRequest,
    /// The file's version, which every piece has to be of.
    version: String,
    connections: Connections,
    /// The byte after the last that was handed out.
    due: u64,
    /// The byte after the last that was asked for.
    asked: u64,
    running: JoinSet<Attempt>,
    /// The pieces that are complete and not yet due, by their first byte.
    complete: BTreeMap<u64, Bytes>,
}

/// A piece on its way.
#[derive(Debug)]
pub struct Piece {
    bytes: Range<u64>,
    got: BytesMut,
    attempts: Attempts,
}

/// What came of an attempt at a piece.
struct Attempt {
    piece: Piece,
    result: Result<(), PieceError>,
}

/// Why an attempt did not complete its piece.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    #[error("{0}")]
    Obs(#[from] ObsError),
    /// The connection was closed in order, but too early.
    #[error("OBS sent only {sent} of {asked} bytes of a part of {name}")]
    Short { sent: u64, asked: u64, name: String },
    #[error("OBS sent another version of {0} over another connection")]
    OtherVersion(String),
    #[error("OBS sent other bytes of {0} than those that it was asked for")]
    OtherBytes(String),
}

impl PieceError {
    /// Whether the file cannot be read in pieces, though it may be read from its start to its end.
    pub fn is_no_piece(&self) -> bool {
        matches!(self, Self::OtherVersion(_) | Self::OtherBytes(_))
    }
}

/// What [`Pieces::next`] gives.
pub enum Next {
    /// The next bytes of the file.
    Bytes(Bytes),
    /// A piece broke. [`Pieces::try_again`] goes on with it.
    Broken(Piece, PieceError),
}

impl Pieces {
    /// Reads the file from where `download` begins, which is its first piece, and of this version.
    pub fn begin(
        obs: &Obs,
        request: &UploadRequest,
        download: Download,
        version: String,
        connections: Connections,
    ) -> Self {
        let mut pieces = Self {
            obs: obs.clone(),
            request: request.clone(),
            version,
            connections,
            due: download.from,
            asked: download.end,
            running: JoinSet::new(),
            complete: BTreeMap::new(),
        };
        let piece = Piece::new(download.from..download.end);
        pieces.spawn(piece, Duration::ZERO, Some(download));
        pieces
    }

    /// The next bytes of the file, or a piece that broke. `None` at the file's end.
    pub async fn next(&mut self) -> Option<Next> {
        while self.running.len() + self.complete.len() < self.connections.0
            && self.asked < self.request.size
        {
            let end = self.request.size.min(self.asked + PIECE);
            self.spawn(Piece::new(self.asked..end), Duration::ZERO, None);
            self.asked = end;
        }
        loop {
            if let Some(bytes) = self.complete.remove(&self.due) {
                self.due += bytes.len() as u64;
                return Some(Next::Bytes(bytes));
            }
            let Attempt { piece, result } = match self.running.join_next().await? {
                Ok(attempt) => attempt,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            match result {
                Ok(()) => drop(self.complete.insert(piece.bytes.start, piece.got.freeze())),
                Err(error) => return Some(Next::Broken(piece, error)),
            }
        }
    }

    /// Goes on with a piece that broke, after a pause.
    pub fn try_again(&mut self, piece: Piece, pause: Duration) {
        self.spawn(piece, pause, None);
    }

    /// Begins an attempt at what is left of a piece; `open` is its connection, if there is one already.
    fn spawn(&mut self, mut piece: Piece, pause: Duration, open: Option<Download>) {
        let (obs, request) = (self.obs.clone(), self.request.clone());
        let version = self.version.clone();
        self.running.spawn(async move {
            retry::pause(pause).await;
            let result = piece.pull(&obs, &request, &version, open).await;
            Attempt { piece, result }
        });
    }
}

impl Piece {
    fn new(bytes: Range<u64>) -> Self {
        Self {
            got: BytesMut::with_capacity((bytes.end - bytes.start) as usize),
            attempts: BREAKS.start(),
            bytes,
        }
    }

    /// Counts an attempt that failed, and gives the pause before the next, if there is one left.
    pub fn fail(&mut self) -> Option<Duration> {
        self.attempts.fail()
    }

    /// Bytes that are missing.
    fn rest(&self) -> Range<u64> {
        self.bytes.start + self.got.len() as u64..self.bytes.end
    }

    /// Reads what is missing.
    async fn pull(
        &mut self,
        obs: &Obs,
        request: &UploadRequest,
        version: &str,
        open: Option<Download>,
    ) -> Result<(), PieceError> {
        let name = || request.filename.to_string();
        let rest = self.rest();
        let mut download = match open {
            Some(download) => download,
            None => obs.download_part(request, rest.clone()).await?,
        };
        if download.version.as_deref() != Some(version) || download.size != request.size {
            return Err(PieceError::OtherVersion(name()));
        }
        if download.from != rest.start || download.end != rest.end {
            return Err(PieceError::OtherBytes(name()));
        }
        while let Some(chunk) = download.chunk().await? {
            if self.rest().start + chunk.len() as u64 > rest.end {
                return Err(PieceError::OtherBytes(name()));
            }
            self.got.extend_from_slice(&chunk);
            self.attempts.reset();
        }
        match self.rest() {
            left if left.is_empty() => Ok(()),
            left => Err(PieceError::Short {
                sent: left.start - rest.start,
                asked: rest.end - rest.start,
                name: name(),
            }),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.rest().start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_connections_is_checked() {
        let refused = |text: &str| text.parse::<Connections>().unwrap_err().to_string();
        assert_eq!("1".parse(), Ok(Connections::ONE));
        assert_eq!("16".parse(), Ok(Connections(16)));
        assert_eq!(refused("0"), "0 is not from 1 to 16");
        assert_eq!(refused("17"), "17 is not from 1 to 16");
        assert_eq!(refused("four"), "invalid digit found in string");
    }

    #[test]
    fn the_template_sets_a_number_within_the_bounds() {
        let template = include_str!("../../../infra/template.yaml");
        let (_, parameter) = template.split_once("  ReceiveConnections:\n").unwrap();
        let value = |name: &str| {
            let mut lines = parameter.lines();
            let line = lines.find_map(|line| line.trim().strip_prefix(name));
            line.unwrap().parse::<Connections>().unwrap()
        };
        assert_eq!(value("Default: "), Connections(4));
        assert_eq!(
            value("MinValue: "),
            Connections(*Connections::VALID.start())
        );
        assert_eq!(value("MaxValue: "), Connections(*Connections::VALID.end()));
    }
}
