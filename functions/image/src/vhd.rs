//! The footer of a fixed VHD: a raw disk followed by one sector that describes it.
//!
//! Source: Microsoft, "Virtual Hard Disk Image Format Specification", "Hard Disk Footer Format". All numbers are
//! big-endian.

/// Bytes of a VHD footer.
pub const FOOTER_LEN: usize = 512;

const COOKIE: &[u8] = b"conectix";
const CURRENT_SIZE: usize = 48;
const DISK_TYPE: usize = 60;
const CHECKSUM: usize = 64;

/// What the last sector of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footer {
    /// Part of the disk.
    None,
    /// The footer of a fixed VHD; the disk is what lies before it.
    Fixed,
}

/// A last sector that starts as a VHD footer does, but is not the sound footer of a fixed VHD. It is refused because
/// either guess may be wrong: taken for a footer, it may cost the disk a sector; taken for a part of the disk, it comes
/// after the backup partition table, which has to be the last thing on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VhdError {
    #[error(
        "the VHD footer at the image's end is damaged: its checksum is {found:#010x}, the sum of \
         its bytes is {sum:#010x}; build the image again"
    )]
    Checksum { found: u32, sum: u32 },
    #[error(
        "the image is a VHD of disk type {0}, only 2 (fixed) is supported; with kiwi, use \
         format=\"vhd-fixed\" or no format at all"
    )]
    Type(u32),
    #[error(
        "the VHD footer speaks of a disk of {footer} bytes, but {before} bytes lie before it; the image \
         is cut off or damaged, build it again"
    )]
    Size { footer: u64, before: u64 },
}

/// Tells whether the last sector of an image of `image_len` bytes is a VHD footer.
///
/// # Errors
/// [`VhdError`] for a sector that starts with the footer's cookie without being a sound footer of a fixed VHD.
pub fn footer(last: &[u8; FOOTER_LEN], image_len: u64) -> Result<Footer, VhdError> {
    if !last.starts_with(COOKIE) {
        return Ok(Footer::None);
    }
    let found = u32::from_be_bytes(field(last, CHECKSUM));
    // The one's complement of the sum of all bytes, those of the checksum itself left out.
    let sum = !last
        .iter()
        .enumerate()
        .filter(|(at, _)| !(CHECKSUM..CHECKSUM + 4).contains(at))
        .map(|(_, &byte)| u32::from(byte))
        .sum::<u32>();
    if found != sum {
        return Err(VhdError::Checksum { found, sum });
    }
    let kind = u32::from_be_bytes(field(last, DISK_TYPE));
    if kind != 2 {
        return Err(VhdError::Type(kind));
    }
    let size = u64::from_be_bytes(field(last, CURRENT_SIZE));
    let before = image_len.saturating_sub(FOOTER_LEN as u64);
    if size != before {
        return Err(VhdError::Size {
            footer: size,
            before,
        });
    }
    Ok(Footer::Fixed)
}

fn field<const N: usize>(footer: &[u8; FOOTER_LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| footer[at + i])
}

/// A sound footer for a disk of this size.
#[cfg(test)]
pub(crate) fn test_footer(disk_len: u64, kind: u32) -> [u8; FOOTER_LEN] {
    let mut footer = [0; FOOTER_LEN];
    footer[..8].copy_from_slice(COOKIE);
    footer[11] = 2;
    footer[13] = 1;
    footer[16..24].fill(0xFF);
    footer[28..36].copy_from_slice(b"qem2\0\x05\0\x03");
    footer[40..48].copy_from_slice(&disk_len.to_be_bytes());
    footer[48..56].copy_from_slice(&disk_len.to_be_bytes());
    footer[60..64].copy_from_slice(&kind.to_be_bytes());
    let sum = !footer.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    footer[64..68].copy_from_slice(&sum.to_be_bytes());
    footer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_sector_belongs_to_the_disk() {
        assert_eq!(footer(&[0; 512], 1 << 20), Ok(Footer::None));
        assert_eq!(footer(&[0xFF; 512], 512), Ok(Footer::None));
    }

    #[test]
    fn dynamic_and_differencing_are_refused() {
        for kind in [0, 3, 4] {
            assert_eq!(
                footer(&test_footer(4096, kind), 4096 + 512),
                Err(VhdError::Type(kind))
            );
        }
    }

    #[test]
    fn a_size_that_does_not_fit_is_refused() {
        assert_eq!(
            footer(&test_footer(8192, 2), 4096 + 512),
            Err(VhdError::Size {
                footer: 8192,
                before: 4096
            })
        );
        assert_eq!(footer(&test_footer(0, 2), 512), Ok(Footer::Fixed));
    }

    proptest! {
        #[test]
        fn a_sound_footer_is_found(disk_len in 0..1u64 << 50) {
            prop_assert_eq!(footer(&test_footer(disk_len, 2), disk_len + 512), Ok(Footer::Fixed));
        }

        #[test]
        fn any_flipped_bit_is_found(at in 0..512usize, bit in 0..8u8) {
            let mut last = test_footer(1 << 30, 2);
            last[at] ^= 1u8 << bit;
            let verdict = footer(&last, (1 << 30) + 512);
            if at < COOKIE.len() {
                prop_assert_eq!(verdict, Ok(Footer::None));
            } else {
                prop_assert!(verdict.is_err());
            }
        }

        #[test]
        fn any_sector_is_judged_without_panic(tail in prop::collection::vec(any::<u8>(), 504), len: u64) {
            let mut last = [0; 512];
            last[..8].copy_from_slice(COOKIE);
            last[8..].copy_from_slice(&tail);
            prop_assert!(footer(&last, len).is_err());
        }
    }
}
