//! What a staged file is, found out with a few small reads: whether it is a disk that can be brought into a snapshot, how
//! large that disk is, and in which slices it is transferred. `receive` asks that no unfit image waits for a slot, `prepare`
//! needs the slices.

#[cfg(test)]
mod tests;

use cloudupload::{
    aws::Failure,
    meter::Meter,
    staging::{StagedFile, Staging},
};
use image::{
    decode::{DecodeError, Decoder},
    disk::{self, DiskError},
    format::Compression,
    partition::Table,
    plan::{self, TooSlow},
    size::{self, GZIP_LEN_LEN, ZSTD_HEADER_LEN},
    slice::Slice,
    xz::{FOOTER_LEN, HEADER_LEN, Layout, Tail, XzError},
};

/// Bytes of the file's start that are read: enough for the header of any compression.
const START_LEN: usize = ZSTD_HEADER_LEN;
const _: () = assert!(START_LEN >= HEADER_LEN);

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{0}")]
    Aws(#[from] Failure),
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Xz(#[from] XzError),
    #[error("{0}")]
    TooSlow(#[from] TooSlow),
}

/// What the file is, and its slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    pub compression: Compression,
    pub table: Table,
    pub slices: Vec<Slice>,
    /// Bytes of a volume for the disk ([`size::volume`]). The disk turns out to have more if the file does not tell its
    /// length.
    pub volume_bytes: u64,
}

/// Inspects a staged file of `size` bytes, called `name` in OBS.
pub async fn inspect(
    staging: &Staging,
    file: &StagedFile,
    name: &str,
    size: u64,
) -> Result<Findings, InspectError> {
    let staged = Staged {
        staging,
        file,
        size,
    };
    let start = staging.read(file, 0..size.min(START_LEN as u64)).await?;
    let compression = Compression::of(&start);
    let stream = staging.stream(file.clone(), 0..size, &Meter::new());
    let head = Decoder::whole(compression, stream).head().await?;
    let table = disk::inspect(name, compression, &head)?;
    let (slices, len) = staged.plan(compression, &start, table.needs).await?;
    let volume_bytes = size::volume(len, table.needs);
    disk::check_volume(volume_bytes)?;
    plan::check_time(&slices, len.max(table.needs))?;
    Ok(Findings {
        compression,
        table,
        slices,
        volume_bytes,
    })
}

/// The file, as far as its ends are read.
struct Staged<'a> {
    staging: &'a Staging,
    file: &'a StagedFile,
    size: u64,
}

impl Staged<'_> {
    /// The slices of the image, and its length, as far as that is known.
    async fn plan(
        &self,
        compression: Compression,
        start: &[u8],
        needs: u64,
    ) -> Result<(Vec<Slice>, u64), InspectError> {
        let serial = || plan::serial(compression, self.size, needs);
        Ok(match compression {
            Compression::Plain => (plan::plain(self.size, needs)?, self.size),
            Compression::Xz => match self.xz_layout(start).await? {
                Layout::Blocks(index) => {
                    let len = index.image_len();
                    (plan::xz(&index, needs)?, len)
                }
                Layout::Serial => (serial(), needs),
            },
            Compression::Gzip => {
                let last: Option<[u8; GZIP_LEN_LEN]> = self.last().await?;
                let len = last.map(|last| size::gzip(last, needs));
                (serial(), len.unwrap_or(needs))
            }
            Compression::Zstd => (serial(), size::zstd(start)),
        })
    }

    async fn xz_layout(&self, start: &[u8]) -> Result<Layout, InspectError> {
        let footer: Option<[u8; FOOTER_LEN]> = self.last().await?;
        let (Some(header), Some(footer)) = (start.first_chunk(), footer) else {
            return Err(XzError::CutOff { len: self.size }.into());
        };
        match Tail::read(header, &footer, self.size)? {
            Tail::Index(at) => {
                let index = self.staging.read(self.file, at.range.clone()).await?;
                Ok(at.parse(&index)?)
            }
            Tail::Serial => Ok(Layout::Serial),
        }
    }

    /// The last bytes of the file, if it has so many.
    async fn last<const N: usize>(&self) -> Result<Option<[u8; N]>, Failure> {
        let from = self.size.saturating_sub(N as u64);
        let read = self.staging.read(self.file, from..self.size).await?;
        Ok(read.last_chunk().copied())
    }
}
