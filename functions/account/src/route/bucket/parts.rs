//! The parts of the object in the bucket: their numbers and sizes.
//!
//! Limits of S3 (User Guide, "Amazon S3 multipart upload limits"): part numbers from 1 to 10,000, in the order of the
//! object's bytes; 5 MiB at least for every part but the object's last. Numbers have no gaps (User Guide, "Checking object
//! integrity", of uploads with checksums).

use std::num::NonZeroU32;

use image::{plan::USUAL_SLICES, slice::Slice};
use serde::{Deserialize, Serialize};

use crate::{messages::RouteSlice, route::SliceTarget};

const MIB: u64 = 1 << 20;

/// S3's largest part number.
pub(super) const MAX_PARTS: u16 = 10_000;
/// S3's smallest part, but for the last of an object.
const MIN_PART: u64 = 5 * MIB;
/// The usual size of a part: memory is needed for as many as are in flight.
const USUAL_PART: u64 = 8 * MIB;
/// Parts grow to this size for a large disk, and no further, so that memory still has a bound.
const LARGEST_PART: u64 = 32 * MIB;
/// The largest disk whose length is not known before it is decoded.
pub(super) const MAX_UNMEASURED: u64 = MAX_PARTS as u64 * USUAL_PART;

/// The parts that a slice becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The number of the first; the others follow.
    pub first_part: u16,
    /// Bytes of each but the slice's last, which may have fewer.
    pub part_size: NonZeroU32,
}

/// A disk that has too many bytes for an object in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk has {bytes} bytes, more than the {most} that can be transferred; make it smaller"
)]
pub struct TooLarge {
    bytes: u64,
    most: u64,
}

/// Gives every slice its parts: as equal as can be, so that the last one of a slice is never a small remainder.
pub(super) fn number(slices: Vec<Slice>) -> Result<Vec<RouteSlice>, TooLarge> {
    let ends = slices.iter().filter_map(|slice| slice.image.as_ref());
    let bytes = ends.map(|image| image.end).max().unwrap_or_default();
    let usual = usual_size(bytes, slices.len() as u64)?;
    let mut next_part = 1;
    let numbered = slices.into_iter().map(|slice| {
        let first_part = next_part;
        let part_size = match &slice.image {
            None => part_size(usual),
            Some(image) => {
                let len = image.end - image.start;
                let parts = len.div_ceil(usual).min(len / MIN_PART).max(1);
                next_part += parts as u16;
                part_size(len.div_ceil(parts))
            }
        };
        RouteSlice {
            slice,
            target: SliceTarget::Parts(Parts {
                first_part,
                part_size,
            }),
        }
    });
    Ok(numbered.collect())
}

/// The size to aim at for the parts of a disk of `bytes` in so many slices.
fn usual_size(bytes: u64, slices: u64) -> Result<u64, TooLarge> {
    let slices = slices.max(USUAL_SLICES);
    let most = largest_disk(slices);
    if bytes > most {
        return Err(TooLarge { bytes, most });
    }
    let smallest = bytes.div_ceil(shared_parts(slices));
    Ok(smallest.next_multiple_of(MIB).max(USUAL_PART))
}

/// Part numbers to share out: each slice may need one more than its share.
const fn shared_parts(slices: u64) -> u64 {
    MAX_PARTS as u64 - slices
}

/// The largest disk in so many slices that fits into an object with parts of [`LARGEST_PART`].
const fn largest_disk(slices: u64) -> u64 {
    shared_parts(slices) * LARGEST_PART
}

fn part_size(bytes: u64) -> NonZeroU32 {
    u32::try_from(bytes)
        .ok()
        .and_then(NonZeroU32::new)
        .expect("parts are at least one byte and at most twice as long as the largest")
}

#[cfg(test)]
mod tests {
    use image::{
        format::Compression,
        plan,
        slice::{Coding, End},
    };
    use proptest::prelude::*;

    use super::*;

    /// The largest disk in slices of the usual number.
    const MAX_DISK: u64 = largest_disk(USUAL_SLICES);

    fn slices(lengths: &[u64]) -> Vec<Slice> {
        let mut start = 0;
        let slices = (0..).zip(lengths).map(|(index, len)| {
            let image = start..start + len;
            start += len;
            Slice {
                index,
                staged: image.clone(),
                coding: Coding::Whole(Compression::Plain),
                image: Some(image),
                end: None,
            }
        });
        let mut slices: Vec<Slice> = slices.collect();
        if let Some(last) = slices.last_mut() {
            last.end = Some(End { needs: 0 });
        }
        slices
    }

    fn parts_of(numbered: &RouteSlice) -> Parts {
        match numbered.target {
            SliceTarget::Parts(parts) => parts,
            SliceTarget::Blocks(_) => panic!("{numbered:?}"),
        }
    }

    /// What S3 demands of every upload.
    fn check_parts(numbered: &[RouteSlice]) {
        let mut next_part = 1;
        for (i, slice) in numbered.iter().enumerate() {
            let (parts, slice) = (parts_of(slice), &slice.slice);
            let last_slice = i + 1 == numbered.len();
            assert_eq!(parts.first_part, next_part);
            let image = slice.image.clone().unwrap();
            let (size, len) = (u64::from(parts.part_size.get()), image.end - image.start);
            let count = len.div_ceil(size);
            let rest = len - (count - 1) * size;
            assert!(rest >= MIN_PART || last_slice);
            if count > 1 {
                assert!(size >= MIN_PART);
                // A VHD footer leaves something of the last part.
                assert!(rest > 512);
            }
            assert!(size <= LARGEST_PART);
            next_part += count as u16;
        }
        assert!(next_part - 1 <= MAX_PARTS);
    }

    /// The same of the usual number of slices, and what their message demands.
    fn check(numbered: &[RouteSlice]) {
        check_parts(numbered);
        let json = serde_json::to_string(numbered).unwrap();
        assert!(json.len() < 16 << 10, "{}", json.len());
        assert_eq!(
            serde_json::from_str::<Vec<RouteSlice>>(&json).unwrap(),
            numbered
        );
    }

    #[test]
    fn a_small_disk_has_parts_that_s3_takes() {
        for (len, parts) in [
            (512, 1),
            (3 * MIB, 1),
            (8 * MIB, 1),
            (8 * MIB + 512, 1),
            (10 * MIB, 2),
            (100 * MIB, 13),
        ] {
            let numbered = number(slices(&[len])).unwrap();
            check(&numbered);
            let size = parts_of(&numbered[0]).part_size.get();
            assert_eq!(len.div_ceil(size.into()), parts);
        }
    }

    #[test]
    fn parts_grow_only_for_a_disk_that_needs_it() {
        let size = |len: u64| {
            let numbered = number(plan::plain(len, 0).unwrap()).unwrap();
            check(&numbered);
            u64::from(parts_of(&numbered[0]).part_size.get())
        };
        assert_eq!(size(77 << 30), USUAL_PART);
        assert!((8 * MIB + 1..=9 * MIB).contains(&size(80 << 30)));
        assert!((31 * MIB..=LARGEST_PART).contains(&size(MAX_DISK)));
        let bytes = MAX_DISK + 512;
        assert_eq!(
            number(slices(&[bytes])),
            Err(TooLarge {
                bytes,
                most: MAX_DISK
            })
        );
    }

    #[test]
    fn the_most_slices_of_a_plan_leave_parts_for_each() {
        let slices = |len: u64| slices(&vec![len; plan::MAX_SLICES as usize]);
        let most = largest_disk(plan::MAX_SLICES);
        check_parts(&number(slices(most / plan::MAX_SLICES)).unwrap());
        let bytes = (most / plan::MAX_SLICES + 1) * plan::MAX_SLICES;
        assert_eq!(
            number(slices(bytes / plan::MAX_SLICES)),
            Err(TooLarge { bytes, most })
        );
    }

    #[test]
    fn a_disk_of_unknown_length_has_parts_of_the_usual_size() {
        let numbered = number(plan::serial(Compression::Gzip, 1000, 512)).unwrap();
        assert_eq!(numbered.len(), 1);
        let parts = parts_of(&numbered[0]);
        assert_eq!((parts.first_part, parts.part_size.get()), (1, 8 << 20));
    }

    proptest! {
        #[test]
        fn any_slices_have_parts_that_s3_takes(
            sectors in prop::collection::vec((64 * MIB / 512)..(10u64 << 30) / 512, 1..=32),
        ) {
            let lengths: Vec<u64> = sectors.iter().map(|sectors| sectors * 512).collect();
            if lengths.iter().sum::<u64>() <= MAX_DISK {
                check(&number(slices(&lengths)).unwrap());
            }
        }

        #[test]
        fn any_plain_disk_has_parts_that_s3_takes(
            sectors in prop_oneof![1..=MAX_DISK / 512, 1..=(4u64 << 30) / 512],
        ) {
            check(&number(plan::plain(sectors * 512, 0).unwrap()).unwrap());
        }
    }
}
