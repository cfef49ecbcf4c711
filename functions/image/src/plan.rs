//! The plan of a transfer: slices of the image, each carried by one call of `transfer`, and the numbers of the parts
//! they become.
//!
//! Limits of S3 (User Guide, "Amazon S3 multipart upload limits"): part numbers from 1 to 10,000, in the order of the
//! object's bytes; 5 MiB at least for every part but the object's last.

use std::{num::NonZeroU32, ops::Range};

use serde::{Deserialize, Serialize};

use super::{
    disk::{DiskError, check_size},
    format::Compression,
    xz,
};

const MIB: u64 = 1 << 20;

/// S3's largest part number.
pub const MAX_PARTS: u16 = 10_000;
/// S3's smallest part, but for the last of an object.
pub const MIN_PART: u64 = 5 * MIB;
/// Parts of this size are aimed at: memory is needed for as many as are under way.
const AIM_PART: u64 = 8 * MIB;
/// Parts grow to this size for a large disk, and no further, so that memory still has a bound.
const LARGEST_AIM: u64 = 32 * MIB;
/// A slice shorter than this is not worth a function of its own.
const AIM_SLICE: u64 = 512 * MIB;
/// Slices at most: they are carried side by side, and listed in the workflow's input (256 KiB).
const MAX_SLICES: u64 = 32;

/// The largest image that can be planned: parts of 32 MiB, with one in reserve for what each slice rounds up.
pub const MAX_IMAGE: u64 = (MAX_PARTS as u64 - MAX_SLICES) * LARGEST_AIM;
/// The largest image whose length is not known before it is decoded.
pub const MAX_UNMEASURED: u64 = MAX_PARTS as u64 * AIM_PART;

/// What one call of `transfer` carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Counted from 0.
    pub index: u32,
    /// The bytes of the staged object to read.
    pub staged: Range<u64>,
    pub coding: Coding,
    /// The bytes of the image that they decode to. Without it, the slice is the whole image, of a length that only
    /// decoding tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Range<u64>>,
    /// The number of the slice's first part; the others follow.
    pub first_part: u16,
    /// Bytes of each part but the slice's last, which may have fewer (or, of an unmeasured image, up to 512 more).
    pub part_size: NonZeroU32,
    /// Set in the last slice, which ends the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// How the staged bytes of a slice are decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// As they are, by [`super::decode::Decoder::whole`].
    Whole(Compression),
    /// With a frame around them, by [`super::decode::Decoder::run`].
    XzRun(xz::Run),
}

/// What is checked where the disk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Bytes that the disk needs for its partition table; 0 if it has none.
    pub needs: u64,
}

/// Plans an uncompressed image of `len` bytes, whose partition table needs `needs`.
///
/// # Errors
/// [`DiskError`] for a size that cannot be a disk's, or that is larger than [`MAX_IMAGE`].
pub fn plain(len: u64, needs: u64) -> Result<Vec<Slice>, DiskError> {
    let part_aim = part_aim(len, needs)?;
    // Slices of whole parts, so that all parts but the last have one size.
    let slice_aim = slice_aim(len).next_multiple_of(part_aim);
    let ends = (1..=len.div_ceil(slice_aim)).map(|n| (n * slice_aim).min(len));
    let mut start = 0;
    let slices = cut(ends, slice_aim).into_iter().map(|(_, end)| {
        let range = start..end;
        start = end;
        (range.clone(), Coding::Whole(Compression::Plain), range)
    });
    Ok(number(slices, part_aim, needs))
}

/// Plans an xz file with an index: runs of blocks, so that each can be decoded by itself.
///
/// # Errors
/// As [`plain`].
pub fn xz(index: &xz::Index, needs: u64) -> Result<Vec<Slice>, DiskError> {
    let len = index.image_len();
    let part_aim = part_aim(len, needs)?;
    let mut first = 0;
    let slices = cut(index.ends(), slice_aim(len))
        .into_iter()
        .map(|(block, _)| {
            let (staged, image, run) = index.run(first..block + 1);
            first = block + 1;
            (staged, Coding::XzRun(run), image)
        });
    Ok(number(slices, part_aim, needs))
}

/// Plans a file that can only be decoded from its start to its end: one slice.
pub fn serial(compression: Compression, staged_len: u64, needs: u64) -> Vec<Slice> {
    vec![Slice {
        index: 0,
        staged: 0..staged_len,
        coding: Coding::Whole(compression),
        image: None,
        first_part: 1,
        part_size: part_size(AIM_PART),
        end: Some(End { needs }),
    }]
}

/// The size to aim at for the parts of an image of `len` bytes. Whether there is a VHD footer in it is not known yet;
/// being one sector, it changes nothing here.
fn part_aim(len: u64, needs: u64) -> Result<u64, DiskError> {
    check_size(len, needs)?;
    if len > MAX_IMAGE {
        return Err(DiskError::TooLarge {
            bytes: len,
            limit: MAX_IMAGE,
        });
    }
    let smallest = len.div_ceil(u64::from(MAX_PARTS) - MAX_SLICES);
    Ok(smallest.next_multiple_of(MIB).max(AIM_PART))
}

fn slice_aim(len: u64) -> u64 {
    len.div_ceil((len / AIM_SLICE).clamp(1, MAX_SLICES))
}

/// Chooses where to cut, of the places (the image's end is the last) where it can be cut: at the first one that makes a
/// slice of `aim`, unless what is left would be no part by itself. Tells the number and the offset of each place.
fn cut(places: impl Iterator<Item = u64>, aim: u64) -> Vec<(usize, u64)> {
    let mut cuts: Vec<(usize, u64)> = Vec::new();
    let mut last = (0, 0);
    for place in places.enumerate() {
        last = place;
        if place.1 - cuts.last().map_or(0, |cut| cut.1) >= aim {
            cuts.push(place);
        }
    }
    let rest = last.1 - cuts.last().map_or(0, |cut| cut.1);
    match cuts.last_mut() {
        Some(cut) if rest < MIN_PART => *cut = last,
        _ => cuts.push(last),
    }
    cuts
}

/// Cuts each slice into parts as equal as can be. The last one of a slice is then never a small remainder: what S3
/// asks of it holds, and a VHD footer does not leave it empty.
fn number(
    slices: impl Iterator<Item = (Range<u64>, Coding, Range<u64>)>,
    part_aim: u64,
    needs: u64,
) -> Vec<Slice> {
    let mut next_part = 1;
    let mut slices = (0..)
        .zip(slices)
        .map(|(index, (staged, coding, image))| {
            let len = image.end - image.start;
            let parts = len.div_ceil(part_aim).min(len / MIN_PART).max(1);
            let first_part = next_part;
            next_part += parts as u16;
            Slice {
                index,
                staged,
                coding,
                image: Some(image),
                first_part,
                part_size: part_size(len.div_ceil(parts)),
                end: None,
            }
        })
        .collect::<Vec<_>>();
    if let Some(last) = slices.last_mut() {
        last.end = Some(End { needs });
    }
    slices
}

fn part_size(bytes: u64) -> NonZeroU32 {
    u32::try_from(bytes)
        .ok()
        .and_then(NonZeroU32::new)
        .expect("parts are at least one byte and at most twice as long as the largest aim")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What has to hold of every plan.
    fn check(slices: &[Slice], len: u64) {
        assert!(!slices.is_empty() && slices.len() as u64 <= MAX_SLICES);
        let (mut image_end, mut next_part) = (0, 1);
        for (i, slice) in slices.iter().enumerate() {
            let last = i + 1 == slices.len();
            let image = slice.image.clone().unwrap();
            assert_eq!(slice.index as usize, i);
            assert_eq!(image.start, image_end);
            assert_eq!(slice.first_part, next_part);
            assert_eq!(slice.end, last.then_some(End { needs: 0 }));
            let (size, len) = (u64::from(slice.part_size.get()), image.end - image.start);
            let parts = len.div_ceil(size);
            let rest = len - (parts - 1) * size;
            if !last {
                assert!(len >= AIM_SLICE && rest >= MIN_PART);
            }
            if parts > 1 {
                assert!(size >= MIN_PART);
                // A VHD footer leaves something of the last part.
                assert!(rest > 512);
            }
            assert!(size <= LARGEST_AIM);
            image_end = image.end;
            next_part += parts as u16;
        }
        assert_eq!(image_end, len);
        assert!(next_part - 1 <= MAX_PARTS);
        let json = serde_json::to_string(slices).unwrap();
        assert!(json.len() < 16 << 10, "{}", json.len());
        assert_eq!(serde_json::from_str::<Vec<Slice>>(&json).unwrap(), slices);
    }

    fn check_plain(len: u64) -> Vec<Slice> {
        let slices = plain(len, 0).unwrap();
        check(&slices, len);
        for slice in &slices {
            assert_eq!(Some(&slice.staged), slice.image.as_ref());
            assert_eq!(slice.coding, Coding::Whole(Compression::Plain));
        }
        slices
    }

    fn check_xz(sizes: &[(u64, u64)]) -> Vec<Slice> {
        let index = xz::tests::made_up(sizes);
        let slices = xz(&index, 0).unwrap();
        check(&slices, index.image_len());
        let (mut staged, mut blocks, mut record) = (12, 0, None);
        for slice in &slices {
            let Coding::XzRun(run) = &slice.coding else {
                panic!("not xz")
            };
            assert_eq!(slice.staged.start, staged);
            assert_eq!(run.records.start, record.unwrap_or(run.records.start));
            staged = slice.staged.end;
            blocks += run.blocks;
            record = Some(run.records.end);
        }
        assert_eq!(blocks, sizes.len() as u64);
        assert_eq!(
            staged,
            12 + sizes
                .iter()
                .map(|size| size.0.next_multiple_of(4))
                .sum::<u64>()
        );
        slices
    }

    #[test]
    fn a_small_disk_is_one_slice() {
        for (len, parts) in [
            (512, 1),
            (3 * MIB, 1),
            (8 * MIB, 1),
            (8 * MIB + 512, 1),
            (10 * MIB, 2),
            (100 * MIB, 13),
        ] {
            let slices = check_plain(len);
            assert_eq!(slices.len(), 1);
            assert_eq!(len.div_ceil(slices[0].part_size.get().into()), parts);
        }
    }

    #[test]
    fn ten_gibibytes_of_xz_are_twenty_slices_of_whole_parts() {
        // As `xz -T0` makes them: blocks of 24 MiB.
        let mut sizes = vec![(7_000_001, 24 * MIB); 10 * 1024 / 24];
        sizes.push((5_000_000, 16 * MIB));
        let slices = check_xz(&sizes);
        assert_eq!(slices.len(), 20);
        assert_eq!(u64::from(slices[0].part_size.get()), AIM_PART);
        assert_eq!(
            serde_json::to_value(&slices[19]).unwrap(),
            serde_json::json!({
                "index": 19,
                "staged": {"start": 2_926_001_684u64, "end": 2_987_001_716u64},
                "coding": {"xz_run": {
                    "check": "crc64",
                    "blocks": 9,
                    "records": {"start": 2_987_005_063u64, "end": 2_987_005_135u64},
                }},
                "image": {"start": 10_519_314_432u64, "end": 10_737_418_240u64},
                "first_part": 1255,
                "part_size": 8_388_608,
                "end": {"needs": 0},
            })
        );
    }

    #[test]
    fn parts_grow_only_for_a_disk_that_needs_it() {
        assert_eq!(
            u64::from(check_plain(77 << 30)[0].part_size.get()),
            AIM_PART
        );
        assert_eq!(u64::from(check_plain(80 << 30)[0].part_size.get()), 9 * MIB);
        let largest = check_plain(MAX_IMAGE);
        assert_eq!(u64::from(largest[0].part_size.get()), LARGEST_AIM);
        assert_eq!(largest.len(), 32);
        assert_eq!(
            plain(MAX_IMAGE + 512, 0),
            Err(DiskError::TooLarge {
                bytes: MAX_IMAGE + 512,
                limit: MAX_IMAGE
            })
        );
    }

    #[test]
    fn what_cannot_be_a_disk_is_not_planned() {
        assert_eq!(plain(0, 0), Err(DiskError::Empty));
        assert_eq!(plain(1000, 0), Err(DiskError::NotSectors { bytes: 1000 }));
        assert_eq!(
            plain(1024, 2048),
            Err(DiskError::Short {
                needs: 2048,
                bytes: 1024
            })
        );
        assert_eq!(xz(&xz::tests::made_up(&[]), 0), Err(DiskError::Empty));
    }

    #[test]
    fn one_huge_block_is_one_slice() {
        assert_eq!(check_xz(&[(1 << 33, 40 << 30)]).len(), 1);
    }

    #[test]
    fn a_small_rest_is_not_left_alone() {
        // A footer that lies in a block of its own.
        assert_eq!(check_xz(&[(1 << 29, 1 << 30), (100, 512)]).len(), 1);
        assert_eq!(
            check_xz(&[(1 << 29, 1 << 30), (1 << 29, 1 << 30), (100, 512)]).len(),
            2
        );
        assert_eq!(check_xz(&[(100, 512), (1 << 29, 1 << 30)]).len(), 1);
        assert_eq!(check_plain((1 << 30) + 512).len(), 2);
    }

    #[test]
    fn what_cannot_be_cut_is_one_slice_of_unknown_length() {
        let slices = serial(Compression::Gzip, 1000, 512);
        assert_eq!(slices.len(), 1);
        assert_eq!(
            (slices[0].first_part, slices[0].part_size.get()),
            (1, 8 << 20)
        );
        assert_eq!(
            serde_json::to_value(&slices[0]).unwrap(),
            serde_json::json!({
                "index": 0,
                "staged": {"start": 0, "end": 1000},
                "coding": {"whole": "gzip"},
                "first_part": 1,
                "part_size": 8_388_608,
                "end": {"needs": 512},
            })
        );
    }

    proptest! {
        #[test]
        fn any_plain_disk_is_planned(sectors in prop_oneof![1..=MAX_IMAGE / 512, 1..=(4u64 << 30) / 512]) {
            check_plain(sectors * 512);
        }

        #[test]
        fn any_xz_file_is_planned(
            sizes in prop::collection::vec(
                (5..1u64 << 40, prop_oneof![0..2 * MIB, 0..64 * MIB, 0..3u64 << 30]),
                1..100,
            ),
        ) {
            let mut sizes = sizes;
            let len = sizes.iter().map(|size| size.1).sum::<u64>();
            // A whole number of sectors.
            sizes.push((20, 512 - len % 512));
            check_xz(&sizes);
        }

        #[test]
        fn many_small_blocks_are_planned(block in 1..120_000u64, blocks in 1..5000usize) {
            check_xz(&vec![(block / 3 + 5, block * 512); blocks]);
        }
    }
}
