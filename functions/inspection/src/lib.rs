//! What the staged file is, found out with a few small reads.

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
    plan,
    slice::Slice,
    xz::{FOOTER_LEN, HEADER_LEN, Layout, Tail, XzError},
};

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
}

/// What the file is, and its slices.
pub struct Findings {
    pub compression: Compression,
    pub table: Table,
    pub slices: Vec<Slice>,
}

/// Inspects a staged file of `size` bytes, called `name` in OBS.
pub async fn inspect(
    staging: &Staging,
    file: &StagedFile,
    name: &str,
    size: u64,
) -> Result<Findings, InspectError> {
    let start = staging.read(file, 0..size.min(HEADER_LEN as u64)).await?;
    let compression = Compression::of(&start);
    let stream = staging.stream(file.clone(), 0..size, &Meter::new());
    let head = Decoder::whole(compression, stream).head().await?;
    let table = disk::inspect(name, compression, &head)?;
    let slices = match compression {
        Compression::Plain => plan::plain(size, table.needs)?,
        Compression::Xz => match xz_layout(staging, file, &start, size).await? {
            Layout::Blocks(index) => plan::xz(&index, table.needs)?,
            Layout::Serial => plan::serial(compression, size, table.needs),
        },
        Compression::Gzip | Compression::Zstd => plan::serial(compression, size, table.needs),
    };
    Ok(Findings {
        compression,
        table,
        slices,
    })
}

async fn xz_layout(
    staging: &Staging,
    file: &StagedFile,
    start: &[u8],
    size: u64,
) -> Result<Layout, InspectError> {
    let end = staging
        .read(file, size.saturating_sub(FOOTER_LEN as u64)..size)
        .await?;
    let (Some(header), Some(footer)) = (start.first_chunk(), end.last_chunk()) else {
        return Err(XzError::CutOff { len: size }.into());
    };
    match Tail::read(header, footer, size)? {
        Tail::Index(at) => Ok(at.parse(&staging.read(file, at.range.clone()).await?)?),
        Tail::Serial => Ok(Layout::Serial),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use cloudupload::error::is_transient;

    use super::*;

    #[test]
    fn a_read_that_broke_is_worth_another_try_and_a_damaged_file_is_not() {
        let failure = || Failure::unexpected("s3:GetObject", "the connection broke");
        let staged = DecodeError::Staged(io::Error::other(failure()));
        assert!(is_transient(&InspectError::from(staged)));
        assert!(is_transient(&InspectError::from(failure())));
        assert!(!is_transient(&InspectError::from(XzError::CutOff {
            len: 7
        })));
    }
}
