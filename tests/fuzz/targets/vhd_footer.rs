//! The footer of a VHD. The input is the last sector of an image, and the image's length.

#![no_main]

use fuzz::{mend, seeds};
use image::vhd::{self, Footer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: seeds::write([2, 3].map(|kind| sample(1 << 30, kind))), |data: &[u8]| {
    let (Some(sector), Some(len)) = (data.first_chunk(), data.get(512..520)) else {
        return;
    };
    let len = u64::from_le_bytes(std::array::from_fn(|i| len[i]));
    check(sector, len);
    let mut mended = *sector;
    mended[..8].copy_from_slice(b"conectix");
    mend::vhd(&mut mended);
    check(&mended, len);
});

/// What is taken off a disk has to be a footer by all that the specification says.
fn check(sector: &[u8; 512], image_len: u64) {
    let cookie = sector.starts_with(b"conectix");
    match vhd::footer(sector, image_len) {
        Ok(Footer::None) => assert!(!cookie),
        Ok(Footer::Fixed) => {
            assert!(cookie);
            assert_eq!(sector[60..64], [0, 0, 0, 2]);
            assert_eq!(sector[48..56], image_len.saturating_sub(512).to_be_bytes());
            let mut mended = *sector;
            mend::vhd(&mut mended);
            assert_eq!(*sector, mended);
        }
        Err(error) => assert!(cookie && !error.to_string().is_empty()),
    }
}

/// A footer as QEMU writes it, and the image's length.
fn sample(disk_len: u64, kind: u8) -> Vec<u8> {
    let mut footer = [0; 512];
    footer[..16].copy_from_slice(b"conectix\0\0\0\x02\0\x01\0\0");
    footer[16..24].fill(0xFF);
    footer[28..36].copy_from_slice(b"qem2\0\x05\0\x03");
    footer[40..48].copy_from_slice(&disk_len.to_be_bytes());
    footer[48..56].copy_from_slice(&disk_len.to_be_bytes());
    footer[63] = kind;
    mend::vhd(&mut footer);
    [&footer[..], &(disk_len + 512).to_le_bytes()].concat()
}
