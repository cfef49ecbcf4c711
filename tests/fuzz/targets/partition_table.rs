//! The partition table of a disk. The input is the disk's first bytes.

#![no_main]

use fuzz::{mend, seeds};
use image::{
    SECTOR,
    disk::check_size,
    partition::{Scheme, Table},
};
use libfuzzer_sys::fuzz_target;

const SEEDS: fn() -> [Vec<u8>; 5] = || {
    [
        seeds::mbr(&[(0x83, 2048, 1 << 20), (0xEF, 1, 2047)]),
        seeds::mbr(&[]),
        seeds::gpt(1),
        seeds::gpt(4),
        seeds::gpt(128),
    ]
};

fuzz_target!(init: seeds::write(SEEDS()), |data: &[u8]| {
    check(data);
    let mut head = data.to_vec();
    mend::gpt(&mut head);
    check(&head);
});

fn check(head: &[u8]) {
    let Ok(table) = Table::read(head) else {
        return;
    };
    assert!(!table.to_string().is_empty());
    assert!(table.needs.is_multiple_of(SECTOR));
    // A disk of just that size has room for all.
    assert!(table.needs == 0 || check_size(table.needs, table.needs).is_ok());
    match table.scheme {
        Scheme::None => assert!(table.partitions == 0 && table.needs == 0 && !table.efi_system),
        Scheme::Mbr => {
            assert!((1..=4).contains(&table.partitions));
            assert!(table.needs <= 2 * u64::from(u32::MAX) * SECTOR);
        }
        Scheme::Gpt => {
            assert!(table.partitions <= head.len() / 128);
            let backup = u64::from_le_bytes(std::array::from_fn(|i| head[512 + 32 + i]));
            assert!(table.needs / SECTOR > backup);
        }
    }
}
