//! From the bytes of the image to the parts of an S3 object.

use bytes::{BufMut, Bytes, BytesMut, buf::Limit};

use super::{
    decode::{DecodeError, Decoder},
    disk::{DiskError, check_size},
    plan::{End, MAX_PARTS, MAX_UNMEASURED, Slice},
    vhd::{self, FOOTER_LEN, Footer, VhdError},
};

/// A slice that did not become what was planned.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Vhd(#[from] VhdError),
    #[error(
        "the slice decodes to more than the {expected} bytes that were planned; build the image again"
    )]
    TooLong { expected: u64 },
    #[error(
        "the slice decodes to {got} bytes, not to the {expected} that were planned; build the image again"
    )]
    TooShort { expected: u64, got: u64 },
    #[error(
        "the image is larger than {MAX_UNMEASURED} bytes, the most that can be transferred when its size is not known \
         before; compress it with xz -T0"
    )]
    TooManyParts,
}

/// A part of the S3 object that becomes the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1 to 10,000.
    pub number: u16,
    pub body: Bytes,
}

/// The disk as the last slice found it: whole, and as large as its partition table needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes of the disk, those of the slices before included.
    pub len: u64,
    /// Whether a VHD footer was taken off its end.
    pub vhd: bool,
}

/// The parts of one slice.
#[derive(Debug)]
pub struct Parts<'a> {
    decoder: Decoder<'a>,
    cutter: Cutter,
}

impl<'a> Parts<'a> {
    pub fn new(slice: &Slice, decoder: Decoder<'a>) -> Self {
        Self {
            decoder,
            cutter: Cutter::new(slice),
        }
    }

    /// The next part; none after the slice's last one. Nothing is lost when the future is dropped.
    ///
    /// Parts go out before the slice is known to be sound. So the object must not be completed after an error.
    ///
    /// # Errors
    /// [`CutError`]. Only one with [`DecodeError::Staged`] in it is worth another try.
    pub async fn next(&mut self) -> Result<Option<Part>, CutError> {
        loop {
            if let Some(part) = self.cutter.take()? {
                return Ok(Some(part));
            }
            if self.decoder.read(&mut self.cutter.room()).await? == 0 {
                return self.cutter.finish();
            }
        }
    }

    /// What the last slice found, once there are no more parts.
    pub fn disk(&self) -> Option<Disk> {
        self.cutter.disk
    }
}

/// Cuts a slice's bytes into parts without copying them.
///
/// One part and a few bytes more are held: in the last slice the last 512 bytes may turn out to be a VHD footer, and
/// a part is only let go when there is something after it, so that the last one is never empty.
#[derive(Debug)]
struct Cutter {
    /// What has been decoded and is in no part yet.
    held: BytesMut,
    part_size: usize,
    next_part: u16,
    /// Bytes of the image before this slice.
    before: u64,
    /// Bytes of this slice, if that is known.
    expected: Option<u64>,
    /// Bytes of this slice so far.
    got: u64,
    end: Option<End>,
    finished: bool,
    disk: Option<Disk>,
}

impl Cutter {
    fn new(slice: &Slice) -> Self {
        Self {
            held: BytesMut::new(),
            part_size: slice.part_size.get() as usize,
            next_part: slice.first_part,
            before: slice.image.as_ref().map_or(0, |image| image.start),
            expected: slice
                .image
                .as_ref()
                .map(|image| image.end.saturating_sub(image.start)),
            got: 0,
            end: slice.end,
            finished: false,
            disk: None,
        }
    }

    /// Bytes that stay when a part goes, at least.
    fn kept(&self) -> usize {
        match self.end {
            Some(_) => FOOTER_LEN + 1,
            None => 1,
        }
    }

    /// Where the next bytes go. There is room whenever [`Cutter::take`] has nothing to give.
    fn room(&mut self) -> Limit<&mut BytesMut> {
        let room = self.part_size + self.kept() - self.held.len();
        self.held.reserve(room);
        (&mut self.held).limit(room)
    }

    /// A part, if there is enough for one.
    fn take(&mut self) -> Result<Option<Part>, CutError> {
        if self.held.len() < self.part_size + self.kept() {
            return Ok(None);
        }
        let body = self.held.split_to(self.part_size).freeze();
        self.part(body).map(Some)
    }

    fn part(&mut self, body: Bytes) -> Result<Part, CutError> {
        if self.next_part > MAX_PARTS {
            return Err(CutError::TooManyParts);
        }
        self.got += body.len() as u64;
        if let Some(expected) = self.expected.filter(|&expected| self.got > expected) {
            return Err(CutError::TooLong { expected });
        }
        let number = self.next_part;
        self.next_part += 1;
        Ok(Part { number, body })
    }

    /// The last part, without what does not belong to the disk.
    fn finish(&mut self) -> Result<Option<Part>, CutError> {
        if self.finished {
            return Ok(None);
        }
        let got = self.got + self.held.len() as u64;
        match self.expected {
            Some(expected) if got > expected => return Err(CutError::TooLong { expected }),
            Some(expected) if got < expected => return Err(CutError::TooShort { expected, got }),
            _ => {}
        }
        if let Some(End { needs }) = self.end {
            let image_len = self.before + got;
            let footer = match self.held.last_chunk() {
                Some(last) => vhd::footer(last, image_len)?,
                None => Footer::None,
            };
            let vhd = footer == Footer::Fixed;
            let cut_off = if vhd { FOOTER_LEN } else { 0 };
            let len = image_len - cut_off as u64;
            check_size(len, needs)?;
            self.held.truncate(self.held.len() - cut_off);
            self.disk = Some(Disk { len, vhd });
        }
        let body = self.held.split().freeze();
        let part = self.part(body)?;
        self.finished = true;
        Ok(Some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        decode::tests::block_on,
        format::Compression,
        plan::{self, Coding},
        vhd::test_footer,
        xz::{
            Check,
            tests::{bytes, encode, index},
        },
    };
    use super::*;
    use proptest::prelude::*;
    use std::{num::NonZeroU32, ops::Range};

    fn slice(image: Option<Range<u64>>, part_size: u32, end: Option<End>) -> Slice {
        Slice {
            index: 0,
            staged: image.clone().unwrap_or(0..0),
            coding: Coding::Whole(Compression::Plain),
            image,
            first_part: 1,
            part_size: NonZeroU32::new(part_size).unwrap(),
            end,
        }
    }

    /// Does what `transfer` does.
    fn parts(slice: &Slice, file: &[u8]) -> Result<(Vec<Part>, Option<Disk>), CutError> {
        let staged = bytes(file, &slice.staged);
        let decoder = match &slice.coding {
            Coding::Whole(compression) => Decoder::whole(*compression, staged),
            Coding::XzRun(run) => {
                Decoder::run(run.frame(bytes(file, &run.records)).unwrap(), staged)
            }
        };
        let mut parts = Parts::new(slice, decoder);
        let mut all = Vec::new();
        block_on(async {
            while let Some(part) = parts.next().await? {
                assert!(part.body.len() <= slice.part_size.get() as usize + 512);
                all.push(part);
            }
            // The end stays the end.
            assert!(parts.next().await?.is_none());
            Ok((all, parts.disk()))
        })
    }

    fn body(parts: &[Part]) -> Vec<u8> {
        parts.iter().flat_map(|part| part.body.clone()).collect()
    }

    fn unmeasured(image: &[u8], part_size: u32) -> Result<(Vec<Part>, Option<Disk>), CutError> {
        let mut slice = slice(None, part_size, Some(End { needs: 0 }));
        slice.staged = 0..image.len() as u64;
        parts(&slice, image)
    }

    /// A disk of sectors, as a VHD or not.
    fn any_image() -> impl Strategy<Value = (Vec<u8>, bool)> {
        (1..40usize, any::<u8>(), any::<bool>()).prop_map(|(sectors, seed, vhd)| {
            let len = sectors * 512;
            let mut image = (0..len).map(|i| (i / 3) as u8 ^ seed).collect::<Vec<_>>();
            if vhd {
                image.extend_from_slice(&test_footer(len as u64, 2));
            }
            (image, vhd)
        })
    }

    #[test]
    fn a_footer_never_leaves_an_empty_part() {
        // How many sectors, and the parts they make without a footer and with one.
        for (sectors, without, with) in [
            (1, &[512][..], &[512][..]),
            (2, &[1024], &[1024]),
            (3, &[1536], &[1024, 512]),
            (4, &[1024, 1024], &[1024, 1024]),
            (5, &[1024, 1536], &[1024, 1024, 512]),
        ] {
            let len = 512 * sectors;
            let disk = vec![3; len];
            let vhd = [&disk[..], &test_footer(len as u64, 2)].concat();
            for (image, sizes, vhd) in [(disk, without, false), (vhd, with, true)] {
                let (parts, disk) = unmeasured(&image, 1024).unwrap();
                assert_eq!(
                    parts.iter().map(|part| part.body.len()).collect::<Vec<_>>(),
                    sizes
                );
                assert_eq!(
                    disk,
                    Some(Disk {
                        len: len as u64,
                        vhd
                    })
                );
            }
        }
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        assert!(matches!(
            unmeasured(&[], 1024),
            Err(CutError::Disk(DiskError::Empty))
        ));
        let footer = test_footer(0, 2);
        assert!(matches!(
            unmeasured(&footer, 1024),
            Err(CutError::Disk(DiskError::Empty))
        ));
        for len in [1, 511, 513, 5000] {
            let error = unmeasured(&vec![1; len], 1024).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the disk is not a whole number of 512-byte sectors: {len} bytes; build the image again"
                )
            );
        }
        let dynamic = [&[1; 512][..], &test_footer(512, 3)].concat();
        assert!(matches!(
            unmeasured(&dynamic, 1024),
            Err(CutError::Vhd(VhdError::Type(3)))
        ));
    }

    #[test]
    fn a_disk_shorter_than_its_partition_table_is_refused() {
        let image = [&[1; 1024][..], &test_footer(1024, 2)].concat();
        let check = |needs| parts(&slice(Some(0..1536), 1024, Some(End { needs })), &image);
        assert!(check(1024).is_ok());
        // With the footer it would be long enough.
        assert_eq!(
            check(1536).unwrap_err().to_string(),
            "the partition table speaks of 1536 bytes, the disk has only 1024: it is cut off; build the image again"
        );
    }

    #[test]
    fn a_slice_of_another_length_is_refused() {
        for end in [None, Some(End { needs: 0 })] {
            let mut slice = slice(Some(512..5120), 1024, end);
            let image = vec![1; 9000];
            for (staged, sound) in [
                (0..4608, true),
                (0..4607, false),
                (0..4609, false),
                (0..9000, false),
                (0..0, false),
            ] {
                slice.staged = staged.clone();
                match parts(&slice, &image) {
                    Ok(_) => assert!(sound),
                    Err(CutError::TooLong { expected: 4608 }) => assert!(staged.end > 4608),
                    Err(CutError::TooShort {
                        expected: 4608,
                        got,
                    }) => assert!(got == staged.end && got < 4608),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    #[test]
    fn an_image_that_never_ends_runs_out_of_part_numbers() {
        let mut slice = slice(None, 512, Some(End { needs: 0 }));
        // The last part takes in a sector that might have been a footer.
        for (sectors, sound) in [(10_000, true), (10_001, true), (10_002, false)] {
            let image = vec![1; 512 * sectors];
            slice.staged = 0..image.len() as u64;
            match parts(&slice, &image) {
                Ok((parts, _)) => assert!(sound && parts.len() == sectors - 1),
                Err(error) => assert!(!sound && matches!(error, CutError::TooManyParts)),
            }
        }
    }

    #[test]
    fn an_error_stays_an_error() {
        let image = [1; 100];
        let slice = slice(None, 512, Some(End { needs: 0 }));
        let mut parts = Parts::new(&slice, Decoder::whole(Compression::Plain, &image[..]));
        for _ in 0..2 {
            assert!(block_on(parts.next()).is_err());
        }
        assert_eq!(parts.disk(), None);
    }

    proptest! {
        #[test]
        fn parts_of_an_unmeasured_image_are_its_disk((image, vhd) in any_image(), part_size in 512..5000u32) {
            let (parts, disk) = unmeasured(&image, part_size).unwrap();
            let disk_len = image.len() - if vhd { 512 } else { 0 };
            prop_assert_eq!(&body(&parts), &image[..disk_len]);
            prop_assert_eq!(disk, Some(Disk { len: disk_len as u64, vhd }));
            for (i, part) in parts.iter().enumerate() {
                prop_assert_eq!(usize::from(part.number), i + 1);
                if i + 1 < parts.len() {
                    prop_assert_eq!(part.body.len(), part_size as usize);
                } else {
                    prop_assert!(!part.body.is_empty() && part.body.len() <= part_size as usize + 512);
                }
            }
        }

        #[test]
        fn slices_of_xz_blocks_are_the_disk(
            (image, vhd) in any_image(),
            block in 100..6000usize,
            run in 1..4usize,
            parts_of_each in 1..4u64,
        ) {
            let blocks = image.chunks(block).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let file = encode(&blocks, Check::Crc64);
            let index = index(&file);
            let disk_len = image.len() - if vhd { 512 } else { 0 };
            let (mut disk, mut next_part, mut first, mut end) = (Vec::new(), 1, 0, None);
            while first < blocks.len() {
                let mut last = (first + run).min(blocks.len());
                // As the plan does: what is left must be more than a footer.
                if image.len() - (last * block).min(image.len()) <= 512 {
                    last = blocks.len();
                }
                let (staged, range, run) = index.run(first..last);
                let part_size = (range.end - range.start).div_ceil(parts_of_each).max(513);
                let slice = Slice {
                    index: 0,
                    staged,
                    coding: Coding::XzRun(run),
                    image: Some(range),
                    first_part: next_part,
                    part_size: NonZeroU32::new(part_size as u32).unwrap(),
                    end: (last == blocks.len()).then_some(End { needs: disk_len as u64 }),
                };
                let (parts, found) = parts(&slice, &file).unwrap();
                prop_assert_eq!(parts[0].number, next_part);
                prop_assert!(parts.iter().all(|part| !part.body.is_empty()));
                next_part += parts.len() as u16;
                disk.extend_from_slice(&body(&parts));
                (first, end) = (last, found);
            }
            prop_assert_eq!(disk, &image[..disk_len]);
            prop_assert_eq!(end, Some(Disk { len: disk_len as u64, vhd }));
        }
    }

    /// The real plan on a disk of several slices, whose parts come out as planned.
    #[test]
    fn a_planned_disk_comes_out_whole() {
        let len = (1 << 30) + (7 << 20) + 512;
        let mut image = vec![0; len];
        let footer = test_footer(len as u64 - 512, 2);
        image[len - 512..].copy_from_slice(&footer);
        let slices = plan::plain(len as u64, len as u64 - 512).unwrap();
        assert_eq!(slices.len(), 2);
        let (mut next_part, mut total) = (1, 0);
        for slice in &slices {
            assert_eq!(slice.first_part, next_part);
            let (parts, disk) = parts(slice, &image).unwrap();
            for part in &parts {
                assert!(part.number == 129 + 1 || part.body.len() as u64 >= plan::MIN_PART);
                assert_eq!(part.number, next_part);
                next_part += 1;
                total += part.body.len();
            }
            assert_eq!(disk.is_some(), slice.end.is_some());
        }
        assert_eq!(total, len - 512);
    }
}
