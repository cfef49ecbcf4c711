//! How an image is cut into slices: by the work of decoding them, so that all end at about the same time, and so that each
//! fits into the time of a function.

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
/// Slices of any image that is decoded in [`AIM_TIME`] by so many.
pub const USUAL_SLICES: u64 = 32;
/// Slices at most. The workflow's state holds them together with their results, in at most 256 KiB (Step Functions developer
/// guide, "Service quotas"), and each takes up to [`MESSAGE_LEN`] bytes of that.
pub const MAX_SLICES: u64 = 352;
/// Bytes of the workflow's state for a slice: two slices of up to 350 bytes each, because a route that writes blocks tells
/// each slice what comes after it, and 40 bytes of result.
pub const MESSAGE_LEN: u64 = 740;
/// Slices that the workflow carries at a time: `MaxConcurrency` in `infra/upload.asl.json`.
pub const SIDE_BY_SIDE: u64 = 8;

/// Nanoseconds that a slice of a large image is to take: eleven minutes.
const AIM_TIME: u128 = 660 * SECOND;
/// Nanoseconds that a slice may take: what `Transfer` in `infra/template.yaml` is given (900 s), without what the function
/// keeps to say that its time is up (30 s).
const LONGEST_TIME: u128 = 870 * SECOND;
const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;

/// How large the work is of decoding staged bytes to bytes of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weights {
    staged: u128,
    image: u128,
}

impl Weights {
    fn of(self, staged: u64, image: u64) -> u128 {
        u128::from(staged) * self.staged + u128::from(image) * self.image
    }
}

/// Work of decoding xz data; that of writing one byte of the image is 1. Measured with [`crate::decode`] on x86_64: 2.5 ns
/// for a byte of zeros, 24 to 27 ns more for each staged byte of /usr/lib (xz -0, -6, -9). Data that xz could not compress
/// is stored, and takes less.
const XZ_WORK: Weights = Weights {
    staged: 10,
    image: 1,
};
/// Work aimed at for a slice of xz blocks: that of [`AIM_SLICE`] bytes compressed 3:1.
const AIM_WORK: u128 = AIM_SLICE as u128 * (XZ_WORK.staged + 3 * XZ_WORK.image) / 3;

/// Nanoseconds that a function with one processor and 625 Mbit/s of network (78 MB/s each way) takes, as they are planned
/// with. They lie above what was measured, because a function's processor may be slower:
/// - plain: the network, 12.8 ns for a byte;
/// - xz: 24 to 27 ns for a staged byte here; elsewhere 40 to 50 MB/s of a real file tree (20 to 25 ns for a byte of the
///   image, with three of them in a staged byte), 500 MB/s of zeros (2 ns);
/// - gzip and zstd: decoding is faster than the network (137 and 658 MB/s and more), which has about three bytes of data to
///   write for each that it reads; 300 and 600 MB/s of zeros.
const fn nanoseconds(compression: Compression) -> Weights {
    let (staged, image) = match compression {
        Compression::Plain => (16, 0),
        Compression::Xz => (60, 3),
        Compression::Gzip => (40, 3),
        Compression::Zstd => (40, 2),
    };
    Weights { staged, image }
}

/// Nanoseconds that a slice takes for a byte of the image if zeros are written, too: 800 blocks of 512 KiB a second, shared
/// by [`SIDE_BY_SIDE`] slices, are 52 MB/s each.
const WRITTEN: u128 = 20;

/// [`nanoseconds`] of a slice all of which is written.
fn nanoseconds_written(compression: Compression) -> Weights {
    let usual = nanoseconds(compression);
    Weights {
        image: usual.image.max(WRITTEN),
        ..usual
    }
}

/// Why no plan brings an image through in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooSlow {
    #[error(
        "the {compression} data can only be decompressed in one piece, and that takes about {minutes} minutes, longer than \
         a function may run: compress it in blocks, which are decompressed side by side, with \
         \"{compression} -dc IMAGE | xz -T0 --block-size=24MiB > NEW\""
    )]
    OnePiece {
        compression: Compression,
        minutes: u64,
    },
    #[error(
        "a part of the xz data has to be decompressed in one piece, and that takes about {minutes} minutes, longer than a \
         function may run: compress it in smaller blocks, with \"xz -dc IMAGE | xz -T0 --block-size=24MiB > NEW\""
    )]
    OneBlock { minutes: u64 },
    #[error(
        "even {MAX_SLICES} functions need more than {} minutes each for the image, longer than they may run: make it \
         smaller",
        LONGEST_TIME / MINUTE
    )]
    TooMuch,
    #[error(
        "the snapshot is encrypted, so that zeros have to be written, too, and of a part of the disk that takes about \
         {minutes} minutes, longer than a function may run: make the disk smaller, compress it in blocks with \
         \"xz -T0 --block-size=24MiB\", or upload it unencrypted"
    )]
    Written { minutes: u64 },
}

/// Checks that each slice of a plan can be transferred in the time of a function. `image_len` is how many bytes the image
/// has at least.
///
/// # Errors
/// [`TooSlow`], with what to do instead.
pub fn check_time(slices: &[Slice], image_len: u64) -> Result<(), TooSlow> {
    for slice in slices {
        let time = time_of(slice, image_len, nanoseconds);
        if time <= LONGEST_TIME {
            continue;
        }
        let minutes = minutes(time);
        return Err(match &slice.coding {
            Coding::XzRun(run) if run.blocks == 1 && slices.len() > 1 => {
                TooSlow::OneBlock { minutes }
            }
            Coding::XzRun(run) if run.blocks > 1 => TooSlow::TooMuch,
            Coding::Whole(Compression::Plain) => TooSlow::TooMuch,
            Coding::Whole(compression) => TooSlow::OnePiece {
                compression: *compression,
                minutes,
            },
            Coding::XzRun(_) => TooSlow::OnePiece {
                compression: Compression::Xz,
                minutes,
            },
        });
    }
    Ok(())
}

/// Checks the same of a disk of which zeros are written, too.
///
/// # Errors
/// [`TooSlow::Written`].
pub fn check_time_written(slices: &[Slice], image_len: u64) -> Result<(), TooSlow> {
    let times = slices
        .iter()
        .map(|slice| time_of(slice, image_len, nanoseconds_written));
    match times.max() {
        Some(time) if time > LONGEST_TIME => Err(TooSlow::Written {
            minutes: minutes(time),
        }),
        _ => Ok(()),
    }
}

fn minutes(nanoseconds: u128) -> u64 {
    u64::try_from(nanoseconds.div_ceil(MINUTE)).unwrap_or(u64::MAX)
}

/// Nanoseconds that a slice takes by these weights. One of unknown length has `image_len` bytes at least.
fn time_of(slice: &Slice, image_len: u64, weights: impl Fn(Compression) -> Weights) -> u128 {
    let compression = match &slice.coding {
        Coding::Whole(compression) => *compression,
        Coding::XzRun(_) => Compression::Xz,
    };
    let len = |range: &Range<u64>| range.end.saturating_sub(range.start);
    let image_len = slice.image.as_ref().map_or(image_len, len);
    weights(compression).of(len(&slice.staged), image_len)
}

/// Plans an uncompressed image of `len` bytes, whose partition table needs `needs`: slices of one size, within
/// a MiB.
///
/// # Errors
/// [`DiskError`] for a size that cannot be a disk's.
pub fn plain(len: u64, needs: u64) -> Result<Vec<Slice>, DiskError> {
    check_size(len, needs)?;
    let time = nanoseconds(Compression::Plain).of(len, len);
    let count = usual_count(len / AIM_SLICE).max(count_for(time));
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
    let cuts = cut(index);
    let slices = cuts.windows(2).map(|pair| {
        let (staged, image, run) = index.run_between(pair[0], pair[1]);
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
fn usual_count(fitting: u64) -> u64 {
    match fitting.clamp(1, USUAL_SLICES) {
        count @ ..=SIDE_BY_SIDE => count,
        count => (count + SIDE_BY_SIDE / 2) / SIDE_BY_SIDE * SIDE_BY_SIDE,
    }
}

/// How many slices of [`AIM_TIME`] an image needs that takes so many nanoseconds in all: at most [`MAX_SLICES`], whether
/// that is enough or not.
fn count_for(time: u128) -> u64 {
    match u64::try_from(time.div_ceil(AIM_TIME)).unwrap_or(MAX_SLICES) {
        count @ ..=SIDE_BY_SIDE => count,
        count => count.min(MAX_SLICES).next_multiple_of(SIDE_BY_SIDE),
    }
}

/// How many slices to make of an xz file whose last block ends here, and by which weights to cut them. Slices of equal work
/// do not take equal times on every machine; where that could make one too long, the times that are planned with count.
fn shares(last: Edge) -> (u64, Weights) {
    let total = work(last, XZ_WORK);
    let count = usual_count(u64::try_from(total / AIM_WORK).unwrap_or(u64::MAX));
    let (times, written) = (
        nanoseconds(Compression::Xz),
        nanoseconds_written(Compression::Xz),
    );
    // The longest slices of all: data without a zero, and zeros that are written.
    let share = total / u128::from(count);
    let longest =
        (share / XZ_WORK.staged * times.staged).max(share / XZ_WORK.image * written.image);
    if longest <= AIM_TIME {
        return (count, XZ_WORK);
    }
    // Whether zeros are written is not known yet: the plan is for both, as long as there are slices enough.
    let weights = match work(last, written) <= AIM_TIME * u128::from(MAX_SLICES) {
        true => written,
        false => times,
    };
    (count.max(count_for(work(last, weights))), weights)
}

/// Cuts an xz file into slices, each from one of these edges to the next: for each equal share of the work, at the edge
/// nearest to the share's end, unless a slice would become shorter than [`MIN_SLICE`].
fn cut(index: &xz::Index) -> Vec<Edge> {
    let last = index.last_edge();
    let (count, weights) = shares(last);
    let total = work(last, weights);
    let mut edges = index.edges();
    let mut before = edges.next().unwrap_or(last);
    let mut after = before;
    let mut start = before;
    let mut cuts = vec![start];
    for n in 1..count {
        let ideal = total * u128::from(n) / u128::from(count);
        while work(after, weights) < ideal {
            before = after;
            after = edges.next().unwrap_or(last);
        }
        let nearest = if ideal - work(before, weights) < work(after, weights) - ideal {
            before
        } else {
            after
        };
        if nearest.image - start.image >= MIN_SLICE && last.image - nearest.image >= MIN_SLICE {
            cuts.push(nearest);
            start = nearest;
        }
    }
    cuts.push(last);
    cuts
}

/// The work of decoding all blocks before this edge.
fn work(edge: Edge, weights: Weights) -> u128 {
    weights.of(edge.staged - xz::HEADER_LEN as u64, edge.image)
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

    /// Bytes of a slice in the workflow's state, with room for what a route adds.
    const SLICE_LEN: u64 = 350;

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
        let most = (slices.len() as u64).max(USUAL_SLICES) * SLICE_LEN;
        assert!(json.len() as u64 <= most, "{}", json.len());
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
        check_balance(&slices, sizes, shares(index.last_edge()));
        slices
    }

    /// No slice has more work than the mean and one block; where cuts were left out because of [`MIN_SLICE`], blocks
    /// that are too short for a slice come on top, at either end.
    fn check_balance(slices: &[Slice], sizes: &[(u64, u64)], (count, weights): (u64, Weights)) {
        let works = sizes
            .iter()
            .map(|size| block_work(size, weights))
            .collect::<Vec<_>>();
        let total = works.iter().sum::<u128>();
        assert!(slices.len() as u64 <= count);
        let forced = match slices.len() as u64 == count {
            true => 0,
            false => 2 * most_work_below_minimum(sizes, weights),
        };
        let bound = total / u128::from(count) + works.iter().max().unwrap() + forced + 1;
        for work in slice_works(slices, weights) {
            assert!(work <= bound, "{work} > {bound}");
        }
    }

    fn block_work(size: &(u64, u64), weights: Weights) -> u128 {
        weights.of(size.0.next_multiple_of(4), size.1)
    }

    /// The most work of neighbouring blocks that are shorter than a slice together.
    fn most_work_below_minimum(sizes: &[(u64, u64)], weights: Weights) -> u128 {
        let (mut from, mut image, mut work, mut most) = (0, 0, 0, 0);
        for size in sizes {
            image += size.1;
            work += block_work(size, weights);
            while image >= MIN_SLICE {
                image -= sizes[from].1;
                work -= block_work(&sizes[from], weights);
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

    fn slice_works(slices: &[Slice], weights: Weights) -> Vec<u128> {
        let staged = slices
            .iter()
            .map(|slice| slice.staged.end - slice.staged.start);
        staged
            .zip(lens(slices))
            .map(|size| block_work(&size, weights))
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
            let works = slice_works(&slices, XZ_WORK);
            let mean = works.iter().sum::<u128>() / count as u128;
            for work in works {
                assert!(work.abs_diff(mean) * 100 <= mean * 5, "{work}, {mean}");
            }
            // Cut by length, the slices of files would have four times the work of the others.
            let lens = lens(&slices);
            assert!(lens[0] > 3 * lens[count - 1]);
        }
    }

    const TIB: u64 = 1 << 40;
    const LARGEST: u64 = 64 * TIB;

    /// A disk of `len` bytes with `data` bytes of files at its start, as `xz -T0` compresses them, 3:1, and zeros.
    fn sparse(len: u64, data: u64) -> Vec<(u64, u64)> {
        const BLOCK: u64 = 24 * MIB;
        let count = |bytes: u64| (bytes / BLOCK) as usize;
        let mut sizes = vec![(8 * MIB, BLOCK); count(data)];
        sizes.resize(count(len), (3_768, BLOCK));
        sizes.push((3_768, len % BLOCK));
        sizes
    }

    #[test]
    fn a_disk_of_64_tib_keeps_every_limit() {
        for data in [0, 10 << 30, 100 << 30, 500 << 30, TIB] {
            let sizes = sparse(LARGEST, data);
            assert!(sizes.len() > 2_796_000);
            let slices = check_xz(&sizes);
            assert_eq!(check_time(&slices, LARGEST), Ok(()), "{data}");
            assert!(slices.len() as u64 > USUAL_SLICES);
        }
    }

    #[test]
    fn the_index_of_a_disk_of_64_tib_is_kept_in_few_bytes() {
        // All data, which has the longest sizes.
        let index = xz::tests::made_up(&sparse(LARGEST, LARGEST));
        assert_eq!(index.image_len(), LARGEST);
        assert!(index.memory() < 24 << 20, "{}", index.memory());
    }

    /// The workflow's history has 25,000 events at most, its state 256 KiB (Step Functions developer guide, "Service
    /// quotas").
    #[test]
    fn the_most_slices_keep_the_limits_of_the_workflow() {
        const EVENTS: u64 = 25_000;
        // 27 invocations of `receive` in six hours, and looks at the snapshot for seven days, every ten minutes at last: 14
        // events each at most.
        const EVENTS_ELSEWHERE: u64 = (27 + 1_100) * 14;
        let workflow = include_str!("../../../infra/upload.asl.json");
        let workflow: serde_json::Value = serde_json::from_str(workflow).unwrap();
        let processor = &workflow["States"]["Transfer"]["ItemProcessor"];
        assert_eq!(processor["ProcessorConfig"]["Mode"], "INLINE");
        let states = processor["States"].as_object().unwrap();
        // The iteration starts and succeeds; a task is entered, scheduled, started, succeeds and is exited, and each try
        // that fails is scheduled, started and fails.
        let events: u64 = states
            .values()
            .map(|state| {
                assert_eq!(state["Type"], "Task");
                let retries = state["Retry"].as_array().unwrap();
                let of_all = retries
                    .iter()
                    .find(|retry| retry["ErrorEquals"][0] == "States.ALL");
                5 + 3 * of_all.unwrap()["MaxAttempts"].as_u64().unwrap()
            })
            .sum();
        assert!(MAX_SLICES * (2 + events) + EVENTS_ELSEWHERE <= EVENTS);
        const { assert!(MAX_SLICES * MESSAGE_LEN <= 256 << 10) };
        const { assert!(MESSAGE_LEN >= 2 * SLICE_LEN + 40) };
        assert!(MAX_SLICES.is_multiple_of(SIDE_BY_SIDE));
    }

    /// A property of a function in the template.
    fn of_template(function: &str, property: &str) -> u64 {
        let template = include_str!("../../../infra/template.yaml");
        let (_, rest) = template.split_once(&format!("\n  {function}:\n")).unwrap();
        let mut lines = rest.lines().map(str::trim);
        let value = lines.find_map(|line| line.strip_prefix(property)?.strip_prefix(": "));
        value.unwrap().parse().unwrap()
    }

    #[test]
    fn the_functions_have_the_time_and_the_memory_that_a_plan_takes() {
        // `transfer` keeps 30 s.
        let time = u128::from(of_template("Transfer", "Timeout") - 30) * SECOND;
        assert_eq!(LONGEST_TIME, time);
        const { assert!(AIM_TIME < LONGEST_TIME) };
        // While the largest index is read, it is in memory as it came, in one piece, and as it is kept.
        let memory = 3 * xz::MAX_INDEX_LEN;
        for function in ["Prepare", "Receive"] {
            assert!(memory <= (of_template(function, "MemorySize") << 20) / 4);
        }
    }

    #[test]
    fn more_work_than_the_usual_slices_have_time_for_makes_more_slices() {
        let slices = check_xz(&sparse(2 * TIB, 2 * TIB));
        assert_eq!(check_time(&slices, 2 * TIB), Ok(()));
        let count = slices.len() as u64;
        assert!(count > USUAL_SLICES && count.is_multiple_of(SIDE_BY_SIDE));
        // Of a sparse one, zeros may have to be written.
        assert_eq!(check_xz(&sparse(2 * TIB, 10 << 30)).len(), 72);
        assert_eq!(check_xz(&sparse(TIB / 2, 10 << 30)).len(), 32);
        let slices = check_plain(4 * TIB);
        assert_eq!(check_time(&slices, 4 * TIB), Ok(()));
        assert!(slices.len() as u64 > USUAL_SLICES);
    }

    #[test]
    fn what_no_function_finishes_is_refused_with_what_to_do() {
        let refused = |slices: &[Slice], len| check_time(slices, len).unwrap_err().to_string();
        // 60 GB of data in one block: 20 GB to read.
        let one_block = check_xz(&[(20_000_000_000, 60_000_000_000 / 512 * 512)]);
        assert_eq!(
            refused(&one_block, 0),
            "the xz data can only be decompressed in one piece, and that takes about 23 minutes, longer than a function \
             may run: compress it in blocks, which are decompressed side by side, with \"xz -dc IMAGE | xz -T0 \
             --block-size=24MiB > NEW\""
        );
        let gzip = serial(Compression::Gzip, 30_000_000_000, 0);
        assert_eq!(
            refused(&gzip, 0),
            "the gzip data can only be decompressed in one piece, and that takes about 20 minutes, longer than a function \
             may run: compress it in blocks, which are decompressed side by side, with \"gzip -dc IMAGE | xz -T0 \
             --block-size=24MiB > NEW\""
        );
        let beside = check_xz(&[
            (1 << 20, 1 << 30),
            (20_000_000_000, 60 << 30),
            (1 << 20, 1 << 30),
        ]);
        assert!(
            refused(&beside, 0)
                .starts_with("a part of the xz data has to be decompressed in one piece")
        );
        let data = check_xz(&sparse(LARGEST, LARGEST));
        assert_eq!(data.len() as u64, MAX_SLICES);
        assert_eq!(
            refused(&data, 0),
            "even 352 functions need more than 14 minutes each for the image, longer than they may run: make it smaller"
        );
        assert_eq!(check_time(&check_plain(LARGEST), 0), Err(TooSlow::TooMuch));
    }

    #[test]
    fn large_disks_are_planned_so_that_zeros_can_be_written() {
        for (len, data) in [
            (TIB / 4, 10 << 30),
            (TIB, 10 << 30),
            (TIB, TIB / 2),
            (8 * TIB, 100 << 30),
        ] {
            let slices = check_xz(&sparse(len, data));
            assert_eq!(check_time_written(&slices, len), Ok(()), "{len} {data}");
            assert_eq!(check_time(&slices, len), Ok(()), "{len} {data}");
        }
        let slices = check_xz(&sparse(LARGEST, 10 << 30));
        let refused = check_time_written(&slices, LARGEST).unwrap_err();
        assert!(
            matches!(refused, TooSlow::Written { minutes: 40..90 }),
            "{refused:?}"
        );
        let slices = serial(Compression::Gzip, 1 << 30, 0);
        assert_eq!(check_time_written(&slices, 30 << 30), Ok(()));
        assert!(check_time_written(&slices, 60 << 30).is_err());
    }

    #[test]
    fn what_a_function_can_finish_is_not_refused() {
        const GB: u64 = 1_000_000_000;
        // About what one invocation of 14 minutes does at 40 MB/s of data and 400 MB/s of zeros.
        for (compression, staged, image) in [
            (Compression::Xz, 11 * GB, 33 * GB),
            (Compression::Xz, GB / 10, 280 * GB),
            (Compression::Gzip, 15 * GB, 45 * GB),
            (Compression::Zstd, 15 * GB, 45 * GB),
            (Compression::Plain, 50 * GB, 50 * GB),
        ] {
            let slices = serial(compression, staged, 0);
            assert_eq!(check_time(&slices, image), Ok(()), "{compression}");
            assert!(check_time(&slices, 500 * GB).is_err() || compression == Compression::Plain);
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

        /// A route that writes blocks of 512 KiB hands over at most one of them from a slice to the next.
        #[test]
        fn every_slice_but_the_last_has_more_than_a_block(
            mib in 1..40_000u64,
            blocks in prop::collection::vec((5..100 * MIB, 512..200 * MIB), 1..300),
        ) {
            const BLOCK: u64 = 512 << 10;
            let index = xz::tests::made_up(
                &blocks.into_iter().map(|(staged, image)| (staged, image / 512 * 512)).collect::<Vec<_>>(),
            );
            for slices in [plain(mib * MIB + 512, 0).unwrap(), xz(&index, 0).unwrap()] {
                let (_, others) = slices.split_last().unwrap();
                prop_assert!(lens(others).into_iter().all(|len| len >= BLOCK));
            }
        }

        #[test]
        fn many_small_blocks_are_planned(block in 1..120_000u64, blocks in 1..5000usize) {
            check_xz(&vec![(block / 3 + 5, block * 512); blocks]);
        }
    }
}
