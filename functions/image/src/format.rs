//! Formats by their magic bytes. A file's name is only a hint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a staged object is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not compressed at all, or by something that [`check_raw`] refuses.
    Plain,
    Xz,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression of data that starts like this.
    ///
    /// The magic numbers are those of xz-file-format.txt 2.1.1.1, RFC 1952 2.3.1 (with deflate, the only method there
    /// is), and RFC 8878 3.1.1 and 3.1.2 (pzstd puts a skippable frame in front).
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x1F, 0x8B, 8, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The compression that a file's name promises.
    pub fn promised_by(file_name: &str) -> Self {
        match file_name.rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("xz") => Self::Xz,
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

impl Compression {
    /// The name as it is written in records and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "uncompressed",
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// An image that is not a raw disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error(
        "the image is a {0}, not a raw disk; with kiwi, <type image=\"oem\"> without a format attribute \
         makes a raw disk"
    )]
    VirtualDisk(&'static str),
    #[error(
        "the image is {0}, not a disk; with kiwi, <type image=\"oem\"> without a format attribute makes \
         a raw disk"
    )]
    NotADisk(&'static str),
    #[error("the image is packed as {0}, which is not supported; use xz, gzip or zstd")]
    Packed(&'static str),
    #[error(
        "the image is compressed twice: inside the {outer} data is {inner} data; compress it once"
    )]
    Twice {
        outer: Compression,
        inner: Compression,
    },
    #[error(
        "the file is named as {promised} data but is not, and no partition table is found in it; build the image again"
    )]
    NotAsNamed { promised: Compression },
}

/// Where the magic bytes of a foreign format are, and what it is.
///
/// Sources: QEMU docs/interop/qcow2.txt and qed_spec.txt; "Virtual Disk Format 5.0" (VMware); "VHDX Format
/// Specification" and "Virtual Hard Disk Image Format Specification" (Microsoft; a dynamic VHD begins with a copy of
/// its footer); VirtualBox's VDICore.h; QEMU docs/interop/parallels.txt; POSIX pax (ustar); ECMA-119 8.1; the others'
/// own file formats.
const FOREIGN: &[(usize, &[u8], FormatError)] = &[
    (0, b"QFI\xFB", FormatError::VirtualDisk("qcow2 file")),
    (0, b"QED\0", FormatError::VirtualDisk("QED file")),
    (0, b"KDMV", FormatError::VirtualDisk("VMDK file")),
    (0, b"COWD", FormatError::VirtualDisk("VMDK file")),
    (
        0,
        b"# Disk DescriptorFile",
        FormatError::VirtualDisk("VMDK descriptor without its data"),
    ),
    (0, b"vhdxfile", FormatError::VirtualDisk("VHDX file")),
    (
        0,
        b"conectix",
        FormatError::VirtualDisk("dynamic VHD (only a fixed one is supported)"),
    ),
    (
        0x40,
        b"\x7F\x10\xDA\xBE",
        FormatError::VirtualDisk("VDI file"),
    ),
    (
        0,
        b"WithoutFreeSpace",
        FormatError::VirtualDisk("Parallels disk"),
    ),
    (
        0,
        b"WithouFreSpacExt",
        FormatError::VirtualDisk("Parallels disk"),
    ),
    (
        257,
        b"ustar",
        FormatError::NotADisk("a tar archive (or an OVA)"),
    ),
    (
        0x8001,
        b"CD001",
        FormatError::NotADisk("an ISO 9660 CD image"),
    ),
    (0, b"\x7FELF", FormatError::NotADisk("an ELF program")),
    (
        0,
        b"\xED\xAB\xEE\xDB",
        FormatError::NotADisk("an RPM package"),
    ),
    (0, b"070701", FormatError::NotADisk("a cpio archive")),
    (0, b"BZh", FormatError::Packed("bzip2")),
    (0, b"\x04\x22\x4D\x18", FormatError::Packed("lz4")),
    (0, b"LZIP", FormatError::Packed("lzip")),
    (0, b"\x89LZO\0\r\n\x1A\n", FormatError::Packed("lzop")),
    (
        0,
        b"\x5D\0\0\x80\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        FormatError::Packed("lzma"),
    ),
    (0, b"7z\xBC\xAF\x27\x1C", FormatError::Packed("7z")),
    (0, b"PK\x03\x04", FormatError::Packed("zip")),
];

/// Checks by its head ([`crate::HEAD_LEN`]) that an image is a raw disk. Raw disks have no magic bytes of their own, so
/// this refuses the formats that do.
///
/// # Errors
/// [`FormatError`], which says what the image is and how to build it instead.
pub fn check_raw(outer: Compression, head: &[u8]) -> Result<(), FormatError> {
    let inner = Compression::of(head);
    if inner != Compression::Plain {
        return Err(FormatError::Twice { outer, inner });
    }
    if let Some((_, _, error)) = FOREIGN
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
    {
        return Err(*error);
    }
    if is_markup(head) {
        return Err(FormatError::NotADisk(
            "an HTML or XML page, an error message perhaps",
        ));
    }
    Ok(())
}

/// Whether this starts like `<html`, `<!DOCTYPE`, `<?xml` or `<status`, and goes on as text.
fn is_markup(head: &[u8]) -> bool {
    let start = &head[..head.len().min(64)];
    let text = start
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(start)
        .trim_ascii_start();
    matches!(text, [b'<', b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z', ..])
        && text
            .iter()
            .all(|&byte| byte >= b' ' || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compression_is_told_by_magic_bytes() {
        for (start, compression) in [
            (&b"\xFD7zXZ\0\0\x04"[..], Compression::Xz),
            (b"\x1F\x8B\x08\0\0\0", Compression::Gzip),
            (b"\x28\xB5\x2F\xFD\x04\0", Compression::Zstd),
            (b"\x50\x2A\x4D\x18\x04\0", Compression::Zstd),
            (b"\xFD7zXZ", Compression::Plain),
            (b"\x1F\x8B\x07", Compression::Plain),
            (b"\xEB\x63\x90\0\0\0", Compression::Plain),
            (b"", Compression::Plain),
        ] {
            assert_eq!(Compression::of(start), compression, "{start:?}");
        }
    }

    #[test]
    fn a_name_promises_a_compression() {
        assert_eq!(
            Compression::promised_by("a.x86_64-1.0.raw.xz"),
            Compression::Xz
        );
        assert_eq!(Compression::promised_by("a.vhdfixed.gz"), Compression::Gzip);
        assert_eq!(Compression::promised_by("a.raw.zst"), Compression::Zstd);
        assert_eq!(Compression::promised_by("a.raw"), Compression::Plain);
        assert_eq!(Compression::promised_by("xz"), Compression::Plain);
    }

    #[test]
    fn compression_is_one_word_in_json() {
        for compression in [
            Compression::Plain,
            Compression::Xz,
            Compression::Gzip,
            Compression::Zstd,
        ] {
            let json = serde_json::to_value(compression).unwrap();
            assert_eq!(json, compression.as_str());
        }
        assert_eq!(
            serde_json::from_str::<Compression>(r#""zstd""#).unwrap(),
            Compression::Zstd
        );
    }

    #[test]
    fn every_foreign_format_is_refused_by_name() {
        for (at, magic, error) in FOREIGN {
            let mut head = vec![0; 1 << 16];
            head[*at..at + magic.len()].copy_from_slice(magic);
            assert_eq!(check_raw(Compression::Xz, &head), Err(*error));
            // A head that ends in the middle of the magic bytes is not taken for it.
            assert_eq!(
                check_raw(Compression::Xz, &head[..at + magic.len() - 1]),
                Ok(())
            );
        }
    }

    #[test]
    fn pages_are_refused_and_disks_are_not() {
        for page in [
            "<!DOCTYPE html>\n<html>",
            "\u{FEFF}<?xml version='1.0'?>",
            "\n <status code=\"404\">",
            "<HTML>\u{e4}",
        ] {
            let error = check_raw(Compression::Plain, page.as_bytes()).unwrap_err();
            assert!(
                error.to_string().contains("HTML or XML page"),
                "{page}: {error}"
            );
        }
        for disk in [&b""[..], &[0; 4096], b"<", b"<<< not a page", b"<a\0\0\0"] {
            assert_eq!(check_raw(Compression::Plain, disk), Ok(()));
        }
    }

    #[test]
    fn compressed_twice_is_refused() {
        assert_eq!(
            check_raw(Compression::Xz, b"\x1F\x8B\x08\0")
                .unwrap_err()
                .to_string(),
            "the image is compressed twice: inside the xz data is gzip data; compress it once"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(head: Vec<u8>) {
            let _ = check_raw(Compression::of(&head), &head);
        }
    }
}
