//! A slice says which staged bytes decode to which bytes of the image; its reader gives those of the disk.

use std::{
    future::{Future, poll_fn},
    ops::Range,
    pin::pin,
    task::Poll,
};

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{
    decode::{DecodeError, Decoder},
    disk::{DiskError, check_size},
    format::Compression,
    vhd::{self, FOOTER_LEN, Footer, VhdError},
    xz,
};

/// Bytes of the image that can be decoded by themselves.
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
    /// Set in the last slice, which ends the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// How the staged bytes of a slice are decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// As they are, by [`Decoder::whole`].
    Whole(Compression),
    /// With a frame around them, by [`Decoder::run`].
    XzRun(xz::Run),
}

/// What is checked where the disk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Bytes that the disk needs for its partition table; 0 if it has none.
    pub needs: u64,
}

/// A slice that did not decode to what was planned.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Vhd(#[from] VhdError),
    #[error(
        "the slice decodes to more than the {expected} bytes that were planned; build the image again"
    )]
    TooLong { expected: u64 },
    #[error(
        "the slice decodes to {got} bytes, not to the {expected} that were planned; build the image again"
    )]
    TooShort { expected: u64, got: u64 },
}

/// The disk as its last slice proves it: whole sectors, and as many as its partition table needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeDisk {
    /// Bytes of the disk, those of the slices before included.
    pub len: u64,
    /// Whether a VHD footer was taken off its end.
    pub vhd: bool,
}

/// Reads the bytes of the disk that a slice decodes to.
#[derive(Debug)]
pub struct SliceReader<'a> {
    decoder: Decoder<'a>,
    /// Bytes of the image before this slice.
    before: u64,
    /// Bytes of the image in this slice, if that is known.
    expected: Option<u64>,
    end: Option<End>,
    /// Bytes of the image decoded so far.
    got: u64,
    /// Of these, the last ones, which may turn out to be a VHD footer. Always empty in a slice that does not end the
    /// disk.
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Decoding,
    /// The slice is as planned; what is still held belongs to the disk.
    Sound {
        disk: Option<WholeDisk>,
    },
}

impl<'a> SliceReader<'a> {
    pub fn new(slice: &Slice, decoder: Decoder<'a>) -> Self {
        let image = slice.image.as_ref();
        Self {
            decoder,
            before: image.map_or(0, |image| image.start),
            expected: image.map(|image| image.end.saturating_sub(image.start)),
            end: slice.end,
            got: 0,
            held: Vec::new(),
            state: State::Decoding,
        }
    }

    /// Appends the next bytes of the disk to `into`, at most `room` of them; 0 after the slice's last byte, or if
    /// `room` is 0. Space for them is reserved here, 512 bytes more in the slice that ends the disk.
    ///
    /// Cancel-safe: nothing is lost when the future is dropped.
    ///
    /// Bytes come out before the slice is known to be sound: after an error, what was read must not be used.
    ///
    /// # Errors
    /// [`SliceError`]. Only one with [`DecodeError::Staged`] in it is worth another try.
    pub async fn read(&mut self, into: &mut BytesMut, room: usize) -> Result<usize, SliceError> {
        if room == 0 {
            return Ok(0);
        }
        let start = into.len();
        while let State::Decoding = self.state {
            if self.decode(into, room).await? == 0 {
                self.finish()?;
            } else if into.len() > start {
                return Ok(into.len() - start);
            }
        }
        let rest = room.min(self.held.len());
        into.extend(self.held.drain(..rest));
        Ok(rest)
    }

    /// What the slice that ends the disk found, once [`SliceReader::read`] gave 0.
    pub fn disk(&self) -> Option<WholeDisk> {
        match self.state {
            State::Decoding => None,
            State::Sound { disk } => disk,
        }
    }

    /// Decodes some more, and appends to `into` all but what has to be held. Returns how many bytes were decoded.
    async fn decode(&mut self, into: &mut BytesMut, room: usize) -> Result<usize, SliceError> {
        let hold = if self.end.is_some() { FOOTER_LEN } else { 0 };
        let start = into.len();
        into.reserve(room + hold);
        // What is held is put in front of the new bytes only for the moment of each poll: a future that is dropped
        // between two of them leaves no trace.
        let decoded = poll_fn(|cx| {
            into.extend_from_slice(&self.held);
            let limit = room + hold - self.held.len();
            let poll = pin!(self.decoder.read(&mut (&mut *into).limit(limit))).poll(cx);
            if !matches!(poll, Poll::Ready(Ok(1..))) {
                into.truncate(start);
            }
            poll
        })
        .await?;
        if decoded == 0 {
            return Ok(0);
        }
        self.got += decoded as u64;
        if let Some(expected) = self.expected.filter(|&expected| self.got > expected) {
            into.truncate(start);
            return Err(SliceError::TooLong { expected });
        }
        let from = (into.len() - start).saturating_sub(hold) + start;
        self.held.clear();
        self.held.extend_from_slice(&into[from..]);
        into.truncate(from);
        Ok(decoded)
    }

    /// Checks the slice where it ends, and takes a VHD footer off.
    fn finish(&mut self) -> Result<(), SliceError> {
        let got = self.got;
        match self.expected {
            Some(expected) if got > expected => return Err(SliceError::TooLong { expected }),
            Some(expected) if got < expected => return Err(SliceError::TooShort { expected, got }),
            _ => {}
        }
        let mut disk = None;
        if let Some(End { needs }) = self.end {
            let image_len = self.before + got;
            let footer = match self.held.last_chunk() {
                Some(last) => vhd::footer(last, image_len)?,
                None => Footer::None,
            };
            let vhd = footer == Footer::Fixed;
            let len = image_len - if vhd { FOOTER_LEN as u64 } else { 0 };
            check_size(len, needs)?;
            if vhd {
                self.held.clear();
            }
            disk = Some(WholeDisk { len, vhd });
        }
        self.state = State::Sound { disk };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::tests::block_on,
        plan,
        vhd::test_footer,
        xz::{
            Check,
            tests::{bytes, encode, index},
        },
    };
    use proptest::prelude::*;
    use std::{
        io,
        task::{Context, Waker},
    };
    use tokio::io::{AsyncRead, AsyncReadExt, BufReader, ReadBuf};

    type Whole = (Vec<u8>, Option<WholeDisk>);

    fn slice(image: Option<Range<u64>>, end: Option<End>) -> Slice {
        Slice {
            index: 0,
            staged: image.clone().unwrap_or(0..0),
            coding: Coding::Whole(Compression::Plain),
            image,
            end,
        }
    }

    fn reader<'a>(slice: &Slice, file: &'a [u8]) -> SliceReader<'a> {
        let staged = bytes(file, &slice.staged);
        let decoder = match &slice.coding {
            Coding::Whole(compression) => Decoder::whole(*compression, staged),
            Coding::XzRun(run) => {
                Decoder::run(run.frame(bytes(file, &run.records)).unwrap(), staged)
            }
        };
        SliceReader::new(slice, decoder)
    }

    fn read(slice: &Slice, file: &[u8], room: usize) -> Result<Whole, SliceError> {
        let mut reader = reader(slice, file);
        let mut all = BytesMut::new();
        block_on(async {
            loop {
                let before = all.len();
                let read = reader.read(&mut all, room).await?;
                assert!(read <= room && all.len() == before + read);
                if read == 0 {
                    break;
                }
            }
            // The end stays the end.
            assert_eq!(reader.read(&mut all, room).await?, 0);
            Ok((all.to_vec(), reader.disk()))
        })
    }

    fn unmeasured(image: &[u8], room: usize) -> Result<Whole, SliceError> {
        let mut slice = slice(None, Some(End { needs: 0 }));
        slice.staged = 0..image.len() as u64;
        read(&slice, image, room)
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

    /// A reader that is not ready every other time.
    struct Hesitant<'a>(&'a [u8], bool);

    impl AsyncRead for Hesitant<'_> {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.1 = !self.1;
            if self.1 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            std::pin::Pin::new(&mut self.0).poll_read(cx, into)
        }
    }

    /// Reads on with a new future after each that was not ready.
    fn read_dropping(reader: &mut SliceReader, room: usize) -> Vec<u8> {
        let mut all = BytesMut::new();
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let before = all.len();
            let poll = pin!(reader.read(&mut all, room)).poll(&mut cx);
            let read = match poll {
                Poll::Ready(Ok(0)) => return all.to_vec(),
                Poll::Ready(read) => read.unwrap(),
                Poll::Pending => 0,
            };
            assert!(read <= room && all.len() == before + read);
        }
    }

    #[test]
    fn a_slice_is_read_as_the_version_before_wrote_it() {
        let json = r#"{"index": 1, "staged": {"start": 4, "end": 8}, "coding": {"whole": "plain"},
            "image": {"start": 4, "end": 8}, "first_part": 67, "part_size": 8388608}"#;
        let mut expected = slice(Some(4..8), None);
        expected.index = 1;
        assert_eq!(serde_json::from_str::<Slice>(json).unwrap(), expected);
    }

    #[test]
    fn a_footer_is_taken_off_and_nothing_else() {
        for sectors in 1..6 {
            let len = 512 * sectors;
            let disk = vec![3; len];
            let vhd = [&disk[..], &test_footer(len as u64, 2)].concat();
            for (image, vhd) in [(&disk, false), (&vhd, true)] {
                for room in [1, 511, 512, 513, 1024, 5000] {
                    let len = len as u64;
                    assert_eq!(
                        unmeasured(image, room).unwrap(),
                        (disk.clone(), Some(WholeDisk { len, vhd }))
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        assert!(matches!(
            unmeasured(&[], 1024),
            Err(SliceError::Disk(DiskError::Empty))
        ));
        let footer = test_footer(0, 2);
        assert!(matches!(
            unmeasured(&footer, 1024),
            Err(SliceError::Disk(DiskError::Empty))
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
            Err(SliceError::Vhd(VhdError::Type(3)))
        ));
    }

    #[test]
    fn a_disk_shorter_than_its_partition_table_is_refused() {
        let image = [&[1; 1024][..], &test_footer(1024, 2)].concat();
        let check = |needs| read(&slice(Some(0..1536), Some(End { needs })), &image, 1024);
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
            let mut slice = slice(Some(512..5120), end);
            let image = vec![1; 9000];
            for (staged, sound) in [
                (0..4608, true),
                (0..4607, false),
                (0..4609, false),
                (0..9000, false),
                (0..0, false),
            ] {
                slice.staged = staged.clone();
                match read(&slice, &image, 1024) {
                    Ok(_) => assert!(sound),
                    Err(SliceError::TooLong { expected: 4608 }) => assert!(staged.end > 4608),
                    Err(SliceError::TooShort {
                        expected: 4608,
                        got,
                    }) => assert!(got == staged.end && got < 4608),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    #[test]
    fn an_error_stays_an_error() {
        let image = [1; 9000];
        let file = encode(&[image.to_vec()], Check::Crc64);
        let mut damaged = file.clone();
        damaged[60] ^= 1;
        let last = Some(End { needs: 0 });
        let with = |slice: Slice, coding, staged| Slice {
            coding,
            staged,
            ..slice
        };
        let plain = Coding::Whole(Compression::Plain);
        let xz = Coding::Whole(Compression::Xz);
        let len = file.len() as u64;
        for (slice, file) in [
            // No whole number of sectors, too long, too short, damaged, cut off.
            (with(slice(None, last), plain.clone(), 0..100), &image[..]),
            (
                with(slice(Some(0..512), last), plain.clone(), 0..9000),
                &image,
            ),
            (
                with(slice(Some(0..512), None), plain.clone(), 0..9000),
                &image,
            ),
            (with(slice(Some(0..512), None), plain, 0..100), &image),
            (
                with(slice(Some(0..9000), None), xz.clone(), 0..len),
                &damaged,
            ),
            (with(slice(Some(0..9000), None), xz, 0..len - 1), &file),
        ] {
            let mut reader = reader(&slice, file);
            let mut into = BytesMut::new();
            let first = block_on(async {
                loop {
                    match reader.read(&mut into, 1024).await {
                        Ok(0) => panic!("taken for sound"),
                        Ok(_) => {}
                        Err(error) => return error,
                    }
                }
            });
            let len = into.len();
            for _ in 0..3 {
                match (&first, block_on(reader.read(&mut into, 1024)).unwrap_err()) {
                    (_, SliceError::Decode(DecodeError::Failed)) => {}
                    (first, error) => assert_eq!(error.to_string(), first.to_string()),
                }
            }
            assert_eq!((into.len(), reader.disk()), (len, None));
        }
    }

    #[test]
    fn errors_tell_their_cause() {
        use std::error::Error;
        let broken = DecodeError::Staged(io::Error::other("the line is dead"));
        let error = SliceError::from(broken);
        assert_eq!(
            error.to_string(),
            "reading the staged object failed: the line is dead"
        );
        let cause = error.source().unwrap();
        assert!(cause.is::<DecodeError>());
        assert!(cause.source().unwrap().is::<io::Error>());
    }

    #[test]
    fn only_the_last_slice_holds_bytes_back() {
        let image = vec![1; 4096];
        for (end, first) in [(None, 1000), (Some(End { needs: 0 }), 1000 - 512)] {
            let slice = slice(Some(0..4096), end);
            let staged = (&image[..1000]).chain(Hesitant(&image[1000..], false));
            let mut reader = SliceReader::new(
                &slice,
                Decoder::whole(Compression::Plain, BufReader::new(staged)),
            );
            let mut into = BytesMut::new();
            let read = block_on(reader.read(&mut into, 4096)).unwrap();
            assert_eq!((read, into.len()), (first, first));
            assert_eq!(block_on(reader.read(&mut into, 0)).unwrap(), 0);
            assert_eq!(reader.disk(), None);
            let rest = read_dropping(&mut reader, 4096);
            assert_eq!(rest.len(), 4096 - first);
        }
    }

    proptest! {
        #[test]
        fn bytes_of_an_unmeasured_image_are_its_disk((image, vhd) in any_image(), room in 1..5000usize) {
            let (read, disk) = unmeasured(&image, room).unwrap();
            let disk_len = image.len() - if vhd { 512 } else { 0 };
            prop_assert_eq!(&read, &image[..disk_len]);
            prop_assert_eq!(disk, Some(WholeDisk { len: disk_len as u64, vhd }));
        }

        #[test]
        fn dropped_futures_lose_nothing(
            (image, vhd) in any_image(),
            room in 1..5000usize,
            chunk in 1..3000usize,
            last: bool,
        ) {
            let len = image.len() as u64;
            let slice = slice(Some(0..len), last.then_some(End { needs: 0 }));
            let staged = BufReader::with_capacity(chunk, Hesitant(&image, false));
            let mut reader = SliceReader::new(&slice, Decoder::whole(Compression::Plain, staged));
            let read = read_dropping(&mut reader, room);
            let cut_off = if vhd && last { 512 } else { 0 };
            prop_assert_eq!(&read, &image[..image.len() - cut_off]);
            prop_assert_eq!(
                reader.disk(),
                last.then_some(WholeDisk { len: len - cut_off as u64, vhd })
            );
        }

        #[test]
        fn slices_of_xz_blocks_are_the_disk(
            (image, vhd) in any_image(),
            block in 100..6000usize,
            run in 1..4usize,
            room in 1..5000usize,
        ) {
            let blocks = image.chunks(block).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let file = encode(&blocks, Check::Crc64);
            let index = index(&file);
            let disk_len = image.len() - if vhd { 512 } else { 0 };
            let (mut disk, mut first, mut end) = (Vec::new(), 0, None);
            while first < blocks.len() {
                let mut last = (first + run).min(blocks.len());
                // As in a plan, the last slice has room for a footer.
                if image.len() - (last * block).min(image.len()) < 512 {
                    last = blocks.len();
                }
                let (staged, range, run) = index.run(first..last);
                let slice = Slice {
                    index: 0,
                    staged,
                    coding: Coding::XzRun(run),
                    image: Some(range),
                    end: (last == blocks.len()).then_some(End { needs: disk_len as u64 }),
                };
                let (read, found) = read(&slice, &file, room).unwrap();
                disk.extend_from_slice(&read);
                (first, end) = (last, found);
            }
            prop_assert_eq!(disk, &image[..disk_len]);
            prop_assert_eq!(end, Some(WholeDisk { len: disk_len as u64, vhd }));
        }
    }

    /// The real plan on a disk of several slices.
    #[test]
    fn a_planned_disk_comes_out_whole() {
        let len = (1 << 30) + (7 << 20) + 512;
        let mut image = vec![0; len];
        let footer = test_footer(len as u64 - 512, 2);
        image[len - 512..].copy_from_slice(&footer);
        let slices = plan::plain(len as u64, len as u64 - 512).unwrap();
        assert_eq!(slices.len(), 2);
        let mut total = 0;
        for slice in &slices {
            let (bytes, disk) = read(slice, &image, 8 << 20).unwrap();
            total += bytes.len();
            assert_eq!(disk.is_some(), slice.end.is_some());
        }
        assert_eq!(total, len - 512);
    }
}
