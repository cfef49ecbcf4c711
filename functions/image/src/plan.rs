//! How an image is cut into slices: by the work of decoding them, so that all end at about the same time.

use std::ops::Range;

use crate::{
    disk::{DiskError, check_size},
    format::Compression,
    slice::{Coding, End, Slice},
    xz::{self, Edge},
};

const MIB: u64 = 1 << 20;

/// Bytes aimed at for a slice that is not compressed.
const AIM_SLICE: u64 = 512 * MIB;
/// Bytes of the image in a slice, at least, if there are several: less is not worth a function of its own.
pub const MIN_SLICE: u64 = 64 * MIB;
/// Slices at most: they are listed in the workflow's input, which may have 256 KiB.
pub const MAX_SLICES: u64 = 32;
/// Slices that the workflow carries at a time: `MaxConcurrency` in `infra/upload.asl.json`.
pub const SIDE_BY_SIDE: u64 = 8;

/// Work of decoding one byte of xz data; that of writing one byte of the image is 1. Measured with [`crate::decode`] on
/// x86_64: 2.5 ns for a byte of zeros, 24 to 27 ns more for each staged byte of /usr/lib (xz -0, -6, -9). Data that xz
/// could not compress is stored, and takes less.
const STAGED_WORK: u128 = 10;
/// Work aimed at for a slice of xz blocks: that of [`AIM_SLICE`] bytes compressed 3:1.
const AIM_WORK: u128 = AIM_SLICE as u128 * (STAGED_WORK + 3) / 3;

/// Plans an uncompressed image of `len` bytes, whose partition table needs `needs`: slices of one size, within
/// a MiB.
///
/// # Errors
/// [`DiskError`] for a size that cannot be a disk's.
pub fn plain(len: u64, needs: u64) -> Result<Vec<Slice>, DiskError> {
    check_size(len, needs)?;
    let count = slice_count(len / AIM_SLICE);
    let border = |n| match n {
        n if n == count => len,
        n => len / count * n / MIB * MIB,
    };
    let slices = (0..count).map(|n| {
        let range = border(n)..border(n + 1);
        (range.clone(), Coding::Whole(Compression::Plain), range)
    });
    Ok(list(slices, needs))
}

/// Plans an xz file with an index: runs of blocks, so that each can be decoded by itself.
///
/// # Errors
/// As [`plain`].
pub fn xz(index: &xz::Index, needs: u64) -> Result<Vec<Slice>, DiskError> {
    check_size(index.image_len(), needs)?;
    let slices = cut(index.edges()).into_iter().map(|blocks| {
        let (staged, image, run) = index.run(blocks);
        (staged, Coding::XzRun(run), image)
    });
    Ok(list(slices, needs))
}

/// Plans a file that can only be decoded from its start to its end: one slice.
pub fn serial(compression: Compression, staged_len: u64, needs: u64) -> Vec<Slice> {
    vec![Slice {
        index: 0,
        staged: 0..staged_len,
        coding: Coding::Whole(compression),
        image: None,
        end: Some(End { needs }),
    }]
}

/// How many slices to make of an image that is large enough for `fitting` of them. Beyond what goes side by side, full
/// rounds: a ninth slice would keep the disk waiting while nothing runs beside it.
fn slice_count(fitting: u64) -> u64 {
    match fitting.clamp(1, MAX_SLICES) {
        count @ ..=SIDE_BY_SIDE => count,
        count => (count + SIDE_BY_SIDE / 2) / SIDE_BY_SIDE * SIDE_BY_SIDE,
    }
}

/// Cuts the blocks between these edges into slices: for each equal share of the work, at the edge nearest to the
/// share's end, unless a slice would become shorter than [`MIN_SLICE`].
fn cut(edges: &[Edge]) -> Vec<Range<usize>> {
    let last = edges.len() - 1;
    let total = work(&edges[last]);
    let count = slice_count(u64::try_from(total / AIM_WORK).unwrap_or(u64::MAX));
    let mut cuts = vec![0];
    let mut start = 0;
    for n in 1..count {
        let ideal = total * u128::from(n) / u128::from(count);
        let after = edges.partition_point(|edge| work(edge) < ideal);
        let before = after - 1;
        let nearest = if ideal - work(&edges[before]) < work(&edges[after]) - ideal {
            before
        } else {
            after
        };
        let place = edges[nearest].image;
        if place - start >= MIN_SLICE && edges[last].image - place >= MIN_SLICE {
            cuts.push(nearest);
            start = place;
        }
    }
    cuts.push(last);
    cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// The work of decoding all blocks before this edge.
fn work(edge: &Edge) -> u128 {
    u128::from(edge.staged - xz::HEADER_LEN as u64) * STAGED_WORK + u128::from(edge.image)
}

fn list(slices: impl Iterator<Item = (Range<u64>, Coding, Range<u64>)>, needs: u64) -> Vec<Slice> {
    let mut slices = (0..)
        .zip(slices)
        .map(|(index, (staged, coding, image))| Slice {
            index,
            staged,
            coding,
            image: Some(image),
            end: None,
        })
        .collect::<Vec<_>>();
    if let Some(last) = slices.last_mut() {
        last.end = Some(End { needs });
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What has to hold of every plan.
    fn check(slices: &[Slice], len: u64) {
        assert!(!slices.is_empty() && slices.len() as u64 <= MAX_SLICES);
        let mut image_end = 0;
        for (i, slice) in slices.iter().enumerate() {
            let last = i + 1 == slices.len();
            let image = slice.image.clone().unwrap();
            assert_eq!(slice.index as usize, i);
            assert_eq!(image.start, image_end);
            assert_eq!(slice.end, last.then_some(End { needs: 0 }));
            assert!(slices.len() == 1 || image.end - image.start >= MIN_SLICE);
            image_end = image.end;
        }
        assert_eq!(image_end, len);
        let json = serde_json::to_string(slices).unwrap();
        assert!(json.len() < 16 << 10, "{}", json.len());
        assert_eq!(serde_json::from_str::<Vec<Slice>>(&json).unwrap(), slices);
    }

    fn check_plain(len: u64) -> Vec<Slice> {
        let slices = plain(len, 0).unwrap();
        check(&slices, len);
        let sizes = lens(&slices);
        for (slice, size) in slices.iter().zip(&sizes) {
            assert_eq!(Some(&slice.staged), slice.image.as_ref());
            assert_eq!(slice.coding, Coding::Whole(Compression::Plain));
            assert!(slice.end.is_some() || slice.staged.end.is_multiple_of(MIB));
            assert!(sizes[0].abs_diff(*size) < 2 * MIB);
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
        check_balance(&slices, sizes);
        slices
    }

    /// No slice has more work than the mean and one block; where cuts were left out because of [`MIN_SLICE`], blocks
    /// that are too short for a slice come on top, at either end.
    fn check_balance(slices: &[Slice], sizes: &[(u64, u64)]) {
        let works = sizes.iter().map(block_work).collect::<Vec<_>>();
        let total = works.iter().sum::<u128>();
        let count = slice_count((total / AIM_WORK) as u64);
        assert!(slices.len() as u64 <= count);
        let forced = match slices.len() as u64 == count {
            true => 0,
            false => 2 * most_work_below_minimum(sizes),
        };
        let bound = total / u128::from(count) + works.iter().max().unwrap() + forced + 1;
        for work in slice_works(slices) {
            assert!(work <= bound, "{work} > {bound}");
        }
    }

    fn block_work(size: &(u64, u64)) -> u128 {
        u128::from(size.0.next_multiple_of(4)) * STAGED_WORK + u128::from(size.1)
    }

    /// The most work of neighbouring blocks that are shorter than a slice together.
    fn most_work_below_minimum(sizes: &[(u64, u64)]) -> u128 {
        let (mut from, mut image, mut work, mut most) = (0, 0, 0, 0);
        for size in sizes {
            image += size.1;
            work += block_work(size);
            while image >= MIN_SLICE {
                image -= sizes[from].1;
                work -= block_work(&sizes[from]);
                from += 1;
            }
            most = most.max(work);
        }
        most
    }

    fn lens(slices: &[Slice]) -> Vec<u64> {
        let images = slices.iter().filter_map(|slice| slice.image.as_ref());
        images.map(|image| image.end - image.start).collect()
    }

    fn slice_works(slices: &[Slice]) -> Vec<u128> {
        let staged = slices
            .iter()
            .map(|slice| slice.staged.end - slice.staged.start);
        staged
            .zip(lens(slices))
            .map(|size| block_work(&size))
            .collect()
    }

    #[test]
    fn a_small_disk_is_one_slice() {
        for len in [512, 3 * MIB, 8 * MIB + 512, 100 * MIB, 1023 * MIB] {
            assert_eq!(check_plain(len).len(), 1);
        }
    }

    #[test]
    fn more_than_go_side_by_side_are_full_rounds() {
        for (gib, slices) in [
            (1, 2),
            (3, 6),
            (4, 8),
            (5, 8),
            (6, 16),
            (9, 16),
            (10, 24),
            (14, 32),
            (300, 32),
        ] {
            assert_eq!(check_plain(gib << 30).len(), slices, "{gib} GiB");
        }
    }

    /// An image of `mib` MiB as `xz -T0` compresses it, 3:1: blocks of 24 MiB.
    fn by_threads(mib: u64) -> Vec<(u64, u64)> {
        let mut sizes = vec![(8 * MIB, 24 * MIB); mib as usize / 24];
        let rest = mib % 24 * MIB;
        sizes.extend((rest > 0).then_some((rest.div_ceil(3), rest)));
        sizes
    }

    #[test]
    fn xz_at_three_to_one_is_cut_like_what_is_not_compressed() {
        for (gib, slices) in [(1, 2), (3, 6), (4, 8), (10, 24)] {
            assert_eq!(check_xz(&by_threads(gib << 10)).len(), slices, "{gib} GiB");
        }
        assert_eq!(
            serde_json::to_value(&check_xz(&by_threads(4 << 10))[7]).unwrap(),
            serde_json::json!({
                "index": 7,
                "staged": {"start": 1_249_902_604u64, "end": 1_431_655_780u64},
                "coding": {"xz_run": {
                    "check": "crc64",
                    "blocks": 22,
                    "records": {"start": 1_431_656_975u64, "end": 1_431_657_151u64},
                }},
                "image": {"start": 3_749_707_776u64, "end": 4_294_967_296u64},
                "end": {"needs": 0},
            })
        );
    }

    #[test]
    fn what_is_empty_is_cheap_and_cut_into_long_slices() {
        let blocks = |gib: usize| gib * 1024 / 24 / 2;
        for (gib, count) in [(10, 16), (20, 24), (40, 32)] {
            // As `xz -T0` compresses zeros, then files.
            let zeros = vec![(3_768, 24 * MIB); blocks(gib)];
            let files = vec![(8 * MIB, 24 * MIB); blocks(gib)];
            let mut sizes = [zeros, files].concat();
            sizes.push((20, 512));
            let slices = check_xz(&sizes);
            assert_eq!(slices.len(), count);
            let works = slice_works(&slices);
            let mean = works.iter().sum::<u128>() / count as u128;
            for work in works {
                assert!(work.abs_diff(mean) * 100 <= mean * 5, "{work}, {mean}");
            }
            // Cut by length, the slices of files would have four times the work of the others.
            let lens = lens(&slices);
            assert!(lens[0] > 3 * lens[count - 1]);
        }
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
        let sizes = [(1 << 20, 1 << 30), (1 << 33, 40 << 30), (1 << 20, 1 << 30)];
        assert_eq!(check_xz(&sizes).len(), 3);
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
            serde_json::to_value(&slices[0]).unwrap(),
            serde_json::json!({
                "index": 0,
                "staged": {"start": 0, "end": 1000},
                "coding": {"whole": "gzip"},
                "end": {"needs": 512},
            })
        );
    }

    proptest! {
        #[test]
        fn any_plain_disk_is_planned(sectors in prop_oneof![1..=(1u64 << 40) / 512, 1..=(4u64 << 30) / 512]) {
            check_plain(sectors * 512);
        }

        #[test]
        fn any_usual_xz_file_is_planned(
            blocks in prop::collection::vec((0..=100u64, 1..=24u64), 1..1000),
            scale in 1..10u64,
        ) {
            let size = |(percent, mib): (u64, u64)| (scale * mib * MIB * percent / 100 + 20, scale * mib * MIB);
            check_xz(&blocks.into_iter().map(size).collect::<Vec<_>>());
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
