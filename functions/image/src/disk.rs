//! The disk as a whole: what its first bytes tell, and what its size must be.

use crate::{
    SECTOR,
    format::{Compression, FormatError, check_raw},
    partition::{Scheme, Table, TableError},
};

/// A disk that cannot become a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    #[error("{0}")]
    Format(#[from] FormatError),
    #[error("{0}")]
    Table(#[from] TableError),
    #[error("the image is empty")]
    Empty,
    #[error(
        "the disk is not a whole number of 512-byte sectors: {bytes} bytes; build the image again"
    )]
    NotSectors { bytes: u64 },
    #[error(
        "the partition table speaks of {needs} bytes, the disk has only {bytes}: it is cut off; build the image again"
    )]
    Short { needs: u64, bytes: u64 },
    #[error(
        "the disk has {bytes} bytes, more than the {} TiB that an EBS volume has at most; make it smaller",
        MAX_VOLUME >> 40
    )]
    TooLarge { bytes: u64 },
}

/// Bytes of the largest EBS volume (EBS user guide, "Amazon EBS volume types").
pub const MAX_VOLUME: u64 = 64 << 40;

/// Checks by its head ([`crate::HEAD_LEN`]) that an image is a raw disk, and reads its partition table.
///
/// The name counts only where nothing else tells: a file called `.xz` that is not xz data and has no partition table is
/// more likely damaged than a disk.
///
/// # Errors
/// [`DiskError::Format`] for what is no raw disk, [`DiskError::Table`] for a damaged partition table.
pub fn inspect(file_name: &str, compression: Compression, head: &[u8]) -> Result<Table, DiskError> {
    check_raw(compression, head)?;
    let table = Table::read(head)?;
    let promised = Compression::promised_by(file_name);
    if compression == Compression::Plain && promised != compression && table.scheme == Scheme::None
    {
        return Err(FormatError::NotAsNamed { promised }.into());
    }
    Ok(table)
}

/// Checks the size of a disk of `bytes` whose partition table needs `needs` (0 without a table).
///
/// # Errors
/// [`DiskError::Empty`], [`DiskError::NotSectors`] or [`DiskError::Short`].
pub fn check_size(bytes: u64, needs: u64) -> Result<(), DiskError> {
    if bytes == 0 {
        return Err(DiskError::Empty);
    }
    if !bytes.is_multiple_of(SECTOR) {
        return Err(DiskError::NotSectors { bytes });
    }
    if bytes < needs {
        return Err(DiskError::Short { needs, bytes });
    }
    Ok(())
}

/// Checks that a disk of `bytes` fits into a volume.
///
/// # Errors
/// [`DiskError::TooLarge`].
pub fn check_volume(bytes: u64) -> Result<(), DiskError> {
    match bytes > MAX_VOLUME {
        true => Err(DiskError::TooLarge { bytes }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_checked_in_the_order_in_which_it_makes_sense() {
        assert_eq!(check_size(0, 0), Err(DiskError::Empty));
        assert_eq!(
            check_size(513, 1024),
            Err(DiskError::NotSectors { bytes: 513 })
        );
        assert_eq!(
            check_size(512, 1024),
            Err(DiskError::Short {
                needs: 1024,
                bytes: 512
            })
        );
        assert_eq!(check_size(1024, 1024), Ok(()));
        assert_eq!(check_size(512, 0), Ok(()));
    }

    #[test]
    fn a_disk_has_to_fit_into_a_volume() {
        assert_eq!(check_volume(64 << 40), Ok(()));
        assert_eq!(
            check_volume((64 << 40) + 512).unwrap_err().to_string(),
            "the disk has 70368744178176 bytes, more than the 64 TiB that an EBS volume has at most; make it smaller"
        );
    }

    #[test]
    fn a_name_counts_only_when_nothing_else_does() {
        let mut mbr = vec![0; 512];
        mbr[450] = 0x83;
        mbr[454..462].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
        mbr[510..].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(
            inspect("a.raw.xz", Compression::Plain, &mbr).unwrap().needs,
            4096 * 512
        );
        assert_eq!(
            inspect("a.raw.xz", Compression::Plain, &[1; 512]),
            Err(DiskError::Format(FormatError::NotAsNamed {
                promised: Compression::Xz
            }))
        );
        for (name, compression) in [
            ("a.raw.xz", Compression::Xz),
            ("a.raw.xz", Compression::Gzip),
            ("a.raw", Compression::Plain),
        ] {
            assert_eq!(
                inspect(name, compression, &[1; 512]).unwrap().scheme,
                Scheme::None
            );
        }
    }
}
