//! The partition table at the start of a disk: what is on the disk, and how long it has to be.
//!
//! Sources: UEFI Specification 2.10, chapter 5 (GPT and MBR disk layout). A logical sector has 512 bytes, as on every
//! EBS volume.

use std::fmt;

use crate::SECTOR;

/// The kind of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// No table: the whole disk is a file system, or nothing that is known here.
    None,
    Mbr,
    Gpt,
}

/// What the partition table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub scheme: Scheme,
    /// Partitions in use. An extended MBR partition counts as one.
    pub partitions: usize,
    /// Whether one of them is an EFI system partition.
    pub efi_system: bool,
    /// Whether there is code in the first sector that a BIOS would run.
    pub boot_code: bool,
    /// Bytes that a disk needs to hold all of this, the backup table included.
    pub needs: u64,
}

/// A GPT that is damaged or not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("the disk's GPT is damaged: {0}; build the image again")]
    Damaged(&'static str),
    #[error(
        "the disk's GPT is made for sectors of 4096 bytes, disks on EC2 have 512; with kiwi, leave out target_blocksize"
    )]
    Sectors4096,
    #[error(
        "the disk's GPT keeps its entries up to byte {end}, beyond the first {seen}: not supported"
    )]
    OutOfReach { end: u64, seen: usize },
}

const MBR_BOOT_CODE: usize = 440;
const MBR_ENTRIES: usize = 446;
const MBR_ENTRY_LEN: usize = 16;
const MBR_SIGNATURE: usize = 510;
const MBR_GPT_PROTECTIVE: u8 = 0xEE;
const MBR_EFI_SYSTEM: u8 = 0xEF;

const GPT_SIGNATURE: &[u8] = b"EFI PART";
/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as it lies on the disk.
const GPT_EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B,
];

impl Table {
    /// Reads the table from the head of an image ([`crate::HEAD_LEN`]).
    ///
    /// # Errors
    /// [`TableError`] for a GPT whose checksums or numbers do not hold, or which is made for another sector size.
    pub fn read(head: &[u8]) -> Result<Self, TableError> {
        let boots = head.get(MBR_SIGNATURE..MBR_SIGNATURE + 2) == Some(&[0x55, 0xAA]);
        let none = Self {
            scheme: Scheme::None,
            partitions: 0,
            efi_system: false,
            boot_code: boots && head[..MBR_BOOT_CODE].iter().any(|&byte| byte != 0),
            needs: 0,
        };
        if !boots {
            return Ok(none);
        }
        let entries = &head[MBR_ENTRIES..MBR_SIGNATURE];
        let (entries, _) = entries.as_chunks::<MBR_ENTRY_LEN>();
        // The boot sector of a file system has the signature too, but code or text where the entries would be.
        if entries.iter().any(|entry| entry[0] & 0x7F != 0) {
            return Ok(none);
        }
        if entries.iter().any(|entry| entry[4] == MBR_GPT_PROTECTIVE) {
            return gpt(head, none);
        }
        let used = || {
            entries
                .iter()
                .filter(|entry| entry[4] != 0 && u32_at(&entry[..], 12) != 0)
        };
        Ok(match used().count() {
            0 => none,
            partitions => Self {
                scheme: Scheme::Mbr,
                partitions,
                efi_system: used().any(|entry| entry[4] == MBR_EFI_SYSTEM),
                needs: used()
                    .map(|entry| {
                        u64::from(u32_at(&entry[..], 8)) + u64::from(u32_at(&entry[..], 12))
                    })
                    .max()
                    .map_or(0, |sectors| sectors * SECTOR),
                ..none
            },
        })
    }
}

/// For the journal: `GPT, 3 partitions, with an EFI system partition, with BIOS boot code`.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::None => f.write_str("no partition table")?,
            Scheme::Mbr => write!(f, "MBR, {}", count(self.partitions))?,
            Scheme::Gpt => write!(f, "GPT, {}", count(self.partitions))?,
        }
        if self.efi_system {
            f.write_str(", with an EFI system partition")?;
        }
        if self.boot_code {
            f.write_str(", with BIOS boot code")?;
        }
        Ok(())
    }
}

fn count(partitions: usize) -> String {
    match partitions {
        1 => "1 partition".to_owned(),
        n => format!("{n} partitions"),
    }
}

fn gpt(head: &[u8], start: Table) -> Result<Table, TableError> {
    let header = head
        .get(SECTOR as usize..2 * SECTOR as usize)
        .unwrap_or_default();
    if !header.starts_with(GPT_SIGNATURE) {
        return Err(
            if head
                .get(4096..)
                .is_some_and(|rest| rest.starts_with(GPT_SIGNATURE))
            {
                TableError::Sectors4096
            } else {
                TableError::Damaged("the MBR announces a GPT, but there is no header of one")
            },
        );
    }
    let header_len = u32_at(header, 12) as usize;
    if !(92..=header.len()).contains(&header_len) {
        return Err(TableError::Damaged("its header has an impossible length"));
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[..16]);
    crc.update(&[0; 4]);
    crc.update(&header[20..header_len]);
    if crc.finalize() != u32_at(header, 16) {
        return Err(TableError::Damaged("its header's checksum does not match"));
    }
    if u64_at(header, 24) != 1 {
        return Err(TableError::Damaged("its header is meant for another place"));
    }

    let entry_len = u32_at(header, 84) as usize;
    if entry_len < 128 || !entry_len.is_multiple_of(8) {
        return Err(TableError::Damaged("its entries have an impossible length"));
    }
    let entries_from = u64_at(header, 72).saturating_mul(SECTOR);
    let entries_to = (entry_len as u64)
        .saturating_mul(u32_at(header, 80).into())
        .saturating_add(entries_from);
    let in_head = |at: u64| usize::try_from(at).ok().filter(|&at| at <= head.len());
    let (Some(from), Some(to)) = (in_head(entries_from), in_head(entries_to)) else {
        return Err(TableError::OutOfReach {
            end: entries_to,
            seen: head.len(),
        });
    };
    let entries = &head[from..to];
    if crc32fast::hash(entries) != u32_at(header, 88) {
        return Err(TableError::Damaged("its entries' checksum does not match"));
    }

    let used = || {
        entries
            .chunks_exact(entry_len)
            .filter(|entry| entry[..16] != [0; 16])
    };
    if used().any(|entry| u64_at(entry, 32) > u64_at(entry, 40)) {
        return Err(TableError::Damaged("a partition ends before it begins"));
    }
    let (backup, last_usable) = (u64_at(header, 32), u64_at(header, 48));
    let last = used()
        .map(|entry| u64_at(entry, 40))
        .fold(backup.max(last_usable), u64::max);
    let needs = last
        .checked_add(1)
        .and_then(|sectors| sectors.checked_mul(SECTOR));
    Ok(Table {
        scheme: Scheme::Gpt,
        partitions: used().count(),
        efi_system: used().any(|entry| entry[..16] == GPT_EFI_SYSTEM),
        needs: needs.ok_or(TableError::Damaged("it speaks of a disk beyond all size"))?,
        ..start
    })
}

/// Little-endian numbers; the callers have made sure that the bytes are there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HEAD_LEN;
    use proptest::prelude::*;

    const LINUX: [u8; 16] = [0xAF; 16];

    fn mbr(entries: &[(u8, u32, u32)]) -> Vec<u8> {
        let mut head = vec![0; HEAD_LEN];
        for (i, (kind, start, sectors)) in entries.iter().enumerate() {
            let entry = &mut head[MBR_ENTRIES + 16 * i..][..16];
            entry[4] = *kind;
            entry[8..12].copy_from_slice(&start.to_le_bytes());
            entry[12..16].copy_from_slice(&sectors.to_le_bytes());
        }
        head[510..512].copy_from_slice(&[0x55, 0xAA]);
        head
    }

    /// A disk of this many sectors with these partitions (type, first and last sector).
    fn gpt_disk(sectors: u64, partitions: &[([u8; 16], u64, u64)]) -> Vec<u8> {
        let mut head = mbr(&[(0xEE, 1, u32::MAX)]);
        for (i, (kind, first, last)) in partitions.iter().enumerate() {
            let entry = &mut head[1024 + 128 * i..][..128];
            entry[..16].copy_from_slice(kind);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        let header = &mut head[512..1024];
        header[..8].copy_from_slice(GPT_SIGNATURE);
        header[10] = 1;
        header[12] = 92;
        header[24] = 1;
        header[32..40].copy_from_slice(&(sectors - 1).to_le_bytes());
        header[40] = 34;
        header[48..56].copy_from_slice(&(sectors - 34).to_le_bytes());
        header[72] = 2;
        header[80] = 128;
        header[84] = 128;
        seal(&mut head);
        head
    }

    fn seal(head: &mut [u8]) {
        let crc = crc32fast::hash(&head[1024..1024 + 128 * 128]);
        head[512 + 88..512 + 92].copy_from_slice(&crc.to_le_bytes());
        head[512 + 16..512 + 20].fill(0);
        let crc = crc32fast::hash(&head[512..512 + 92]);
        head[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
    }

    #[test]
    fn a_gpt_tells_the_disk_size_and_how_it_boots() {
        let mut head = gpt_disk(
            1 << 21,
            &[(GPT_EFI_SYSTEM, 2048, 4095), (LINUX, 4096, (1 << 21) - 35)],
        );
        let table = Table::read(&head).unwrap();
        assert_eq!(table.needs, 1 << 30);
        assert!(table.efi_system && !table.boot_code);
        assert_eq!(
            table.to_string(),
            "GPT, 2 partitions, with an EFI system partition"
        );

        head[0] = 0xEB;
        let table = Table::read(&head).unwrap();
        assert!(table.efi_system && table.boot_code);
        assert!(table.to_string().ends_with(", with BIOS boot code"));

        let table = Table::read(&gpt_disk(1 << 21, &[(LINUX, 2048, 4095)])).unwrap();
        assert!(!table.efi_system && !table.boot_code);
    }

    #[test]
    fn a_partition_behind_the_backup_counts() {
        let table = Table::read(&gpt_disk(4096, &[(LINUX, 2048, 9999)])).unwrap();
        assert_eq!(table.needs, 10_000 * 512);
    }

    #[test]
    fn the_layout_of_sfdisk_is_understood() {
        // The first sectors as `sfdisk` of util-linux 2.38 wrote them for a disk of 64 MiB with one EFI system
        // partition: what is not zero in them.
        let mut head = vec![0; HEAD_LEN];
        for (at, hex) in [
            (446, "00000200eeffffff01000000ffff0100"),
            (510, "55aa"),
            (
                512,
                "4546492050415254000001005c000000ba1f5b890000000001000000000000",
            ),
            (
                543,
                "00ffff0100000000000008000000000000deff0100000000000e1f2a6d00000040800000000000",
            ),
            (582, "000102000000000000008000000080000000b05bbac1"),
            (
                1024,
                "28732ac11ff8d211ba4b00a0c93ec93bce936dc8ac8a4b3e9d50a7897b157be1",
            ),
            (1056, "0008000000000000ff87000000000000"),
        ] {
            for (i, pair) in hex.as_bytes().chunks(2).enumerate() {
                head[at + i] = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            }
        }
        let table = Table::read(&head).unwrap();
        assert_eq!(
            table,
            Table {
                scheme: Scheme::Gpt,
                partitions: 1,
                efi_system: true,
                boot_code: false,
                needs: 64 << 20
            }
        );
    }

    #[test]
    fn an_mbr_ends_where_its_last_partition_ends() {
        let table = Table::read(&mbr(&[(0x83, 8192, 100_000), (0xEF, 2048, 4096)])).unwrap();
        assert_eq!(table.scheme, Scheme::Mbr);
        assert_eq!(table.needs, 108_192 * 512);
        assert!(table.efi_system && !table.boot_code);
        assert_eq!(
            Table::read(&mbr(&[(0x83, u32::MAX, u32::MAX)]))
                .unwrap()
                .needs,
            2 * u64::from(u32::MAX) * 512
        );
    }

    #[test]
    fn a_disk_without_a_table_is_told_as_such() {
        let mut file_system = mbr(&[]);
        file_system[..3].copy_from_slice(b"\xEB\x58\x90");
        file_system[446..510].fill(b'x');
        for (head, boot_code) in [
            (&[][..], false),
            (&[0x55; 511], false),
            (&vec![0; HEAD_LEN], false),
            (&mbr(&[]), false),
            (&file_system, true),
        ] {
            let table = Table::read(head).unwrap();
            assert_eq!(
                (table.scheme, table.needs, table.boot_code),
                (Scheme::None, 0, boot_code)
            );
            assert!(table.to_string().starts_with("no partition table"));
        }
    }

    #[test]
    fn a_gpt_for_large_sectors_is_named() {
        let mut head = mbr(&[(0xEE, 1, 1000)]);
        head[4096..4104].copy_from_slice(GPT_SIGNATURE);
        assert_eq!(Table::read(&head), Err(TableError::Sectors4096));
    }

    #[test]
    fn impossible_numbers_are_refused_even_when_sealed() {
        let partition = (LINUX, 2048, 4095);
        for (at, value, error) in [
            (
                512 + 24,
                2,
                TableError::Damaged("its header is meant for another place"),
            ),
            (
                512 + 84,
                100,
                TableError::Damaged("its entries have an impossible length"),
            ),
            (
                1024 + 40,
                7,
                TableError::Damaged("a partition ends before it begins"),
            ),
            (
                512 + 48,
                u64::MAX,
                TableError::Damaged("it speaks of a disk beyond all size"),
            ),
            (
                512 + 72,
                1 << 40,
                TableError::OutOfReach {
                    end: (1 << 49) + 128 * 128,
                    seen: HEAD_LEN,
                },
            ),
        ] {
            let mut head = gpt_disk(1 << 21, &[partition]);
            let len = if at == 512 + 84 { 4 } else { 8 };
            head[at..at + len].copy_from_slice(&u64::to_le_bytes(value)[..len]);
            seal(&mut head);
            assert_eq!(Table::read(&head), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_a_gpt_is_found(
            at in 512..512 + 92usize,
            entry in 1024..1024 + 128 * 128usize,
            bit in 0..8u8,
        ) {
            for at in [at, entry] {
                let mut head = gpt_disk(1 << 21, &[(LINUX, 2048, 4095)]);
                head[at] ^= 1u8 << bit;
                prop_assert!(Table::read(&head).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut head in prop::collection::vec(any::<u8>(), 0..2048), kind: u8) {
            let _ = Table::read(&head);
            if head.len() >= 512 {
                for at in [446, 462, 478, 494] {
                    head[at] = 0;
                }
                head[450] = kind;
                head[510..512].copy_from_slice(&[0x55, 0xAA]);
                let _ = Table::read(&head);
            }
            if head.len() >= 1024 {
                head[450] = 0xEE;
                head[512..520].copy_from_slice(GPT_SIGNATURE);
                head[524..528].copy_from_slice(&[92, 0, 0, 0]);
                head[528..532].fill(0);
                let crc = crc32fast::hash(&head[512..604]);
                head[528..532].copy_from_slice(&crc.to_le_bytes());
                let _ = Table::read(&head);
            }
        }
    }
}
