//! How many bytes an image has, as well as that can be known before it is decoded: decoding may find more.

use crate::vhd::FOOTER_LEN;

/// Bytes at the start of a staged object that have the header of a zstd frame: magic number and 14 bytes (RFC 8878, 3.1.1.1).
pub const ZSTD_HEADER_LEN: usize = 18;
/// Bytes at the end of a staged object that have the length of a gzip member.
pub const GZIP_LEN_LEN: usize = 4;

const GIB: u64 = 1 << 30;

/// Bytes of a volume for a disk, of which an image has `len` bytes and the partition table needs `needs`. A sector beyond
/// whole GiB, in which sizes of volumes are counted, is taken for the footer of a fixed VHD unless the table needs it: it
/// may be left behind, and would cost a GiB.
pub fn volume(len: u64, needs: u64) -> u64 {
    let footer = FOOTER_LEN as u64;
    let disk = if len % GIB == footer {
        len - footer
    } else {
        len
    };
    disk.max(needs)
}

/// Least bytes of an image compressed with gzip, by the last four bytes of the file: its length modulo 2^32 (RFC 1952, 2.3.1), of
/// at least `needs`. Wrong for a file of several members, of which they tell only the last one's.
pub fn gzip(last: [u8; GZIP_LEN_LEN], needs: u64) -> u64 {
    let modulo = u64::from(u32::from_le_bytes(last));
    let more = modulo.wrapping_sub(needs) & u64::from(u32::MAX);
    needs.saturating_add(more)
}

/// Least bytes of an image compressed with zstd, by the start of the file: what its first frame's header says (RFC 8878,
/// 3.1.1.1), 0 if it says nothing. There may be more frames.
pub fn zstd(start: &[u8]) -> u64 {
    frame_content_size(start).unwrap_or(0)
}

fn frame_content_size(start: &[u8]) -> Option<u64> {
    let (descriptor, rest) = start.strip_prefix(b"\x28\xB5\x2F\xFD")?.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = rest.get(window + dictionary..)?;
    match (descriptor >> 6, single_segment) {
        (0, false) => None,
        (0, true) => size.first().map(|&size| size.into()),
        (1, _) => Some(u64::from(u16::from_le_bytes(*size.first_chunk()?)) + 256),
        (2, _) => Some(u32::from_le_bytes(*size.first_chunk()?).into()),
        _ => Some(u64::from_le_bytes(*size.first_chunk()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_volume_is_as_large_as_image_and_table_need() {
        for (len, needs, expected) in [
            (10 * GIB, 0, 10 * GIB),
            (10 * GIB, 11 * GIB, 11 * GIB),
            // A fixed VHD.
            (10 * GIB + 512, 0, 10 * GIB),
            (10 * GIB + 512, 10 * GIB, 10 * GIB),
            // A disk whose last sector is the backup of its GPT.
            (10 * GIB + 512, 10 * GIB + 512, 10 * GIB + 512),
            (10 * GIB + 1024, 0, 10 * GIB + 1024),
        ] {
            assert_eq!(volume(len, needs), expected);
        }
    }

    #[test]
    fn the_length_of_a_gzip_file_is_the_first_that_fits() {
        for (len, needs, expected) in [
            (1000u64, 0, 1000),
            (1000, 1000, 1000),
            (1000, 1001, (1 << 32) + 1000),
            (10 * GIB, 10 * GIB, 10 * GIB),
            (10 * GIB + 512, 10 * GIB, 10 * GIB + 512),
            (10 * GIB, 10 * GIB - 4096, 10 * GIB),
            (0, 10 * GIB, 12 * GIB),
        ] {
            let last = (len as u32).to_le_bytes();
            assert_eq!(gzip(last, needs), expected);
        }
    }

    #[test]
    fn the_header_of_a_zstd_frame_tells_its_length() {
        // `zstd -c` (1.5.4) of files of 7, 300 and 100,000 bytes, of 5 GiB of zeros; of 7 bytes from a pipe.
        for (start, len) in [
            (&b"\x28\xB5\x2F\xFD\x24\x07\x39\0\0"[..], 7),
            (b"\x28\xB5\x2F\xFD\x64\x2C\0\x4D", 300),
            (b"\x28\xB5\x2F\xFD\xA4\xA0\x86\x01\0\x55", 100_000),
            (b"\x28\xB5\x2F\xFD\xC4\x58\0\0\0\x40\x01\0\0\0", 5 * GIB),
            (b"\x28\xB5\x2F\xFD\x04\x58\x39\0\0", 0),
            (b"\x50\x2A\x4D\x18\x04\0\0\0size", 0),
            (b"\x28\xB5\x2F\xFD\xC4\x58", 0),
            (b"", 0),
        ] {
            assert_eq!(zstd(start), len, "{start:x?}");
        }
    }

    proptest! {
        #[test]
        fn a_gzip_file_is_measured_if_its_table_needs_all_but_4_gib(len in 0..1u64 << 45, less in 0..1u64 << 32) {
            let needs = len.saturating_sub(less);
            prop_assert_eq!(gzip((len as u32).to_le_bytes(), needs), len);
        }

        #[test]
        fn any_start_of_a_zstd_file_is_read_without_panic(rest in prop::collection::vec(any::<u8>(), 0..16)) {
            let _ = zstd(&[&b"\x28\xB5\x2F\xFD"[..], &rest].concat());
        }
    }
}
