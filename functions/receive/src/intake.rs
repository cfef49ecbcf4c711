//! The file on its way: cut into parts, hashed, and handed to the staging bucket.

use bytes::BytesMut;
use cloudupload::{
    aws::Failure,
    job::Checkpoint,
    multipart::{Parts, Upload, Writer},
};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

pub struct Intake {
    upload: Upload,
    writer: Writer,
    part_size: usize,
    parts: u32,
    /// Parts at the last checkpoint.
    recorded: u32,
    /// Bytes in those parts, over which the hash goes.
    whole: u64,
    hash: Sha256,
    /// What came after the last whole part.
    rest: BytesMut,
    /// The file's version, if OBS names one: two versions are never mixed.
    pub version: Option<String>,
    /// Whether OBS has sent the whole file when it was asked for the rest.
    pub only_whole: bool,
    /// Whether OBS does not serve pieces of the file that fit together.
    pub one_connection: bool,
}

impl Intake {
    /// An intake of a file of `size` bytes, from its first byte.
    pub fn new(upload: Upload, size: u64) -> Self {
        Self {
            writer: Writer::new(upload.clone()),
            upload,
            part_size: Parts::of(size).size() as usize,
            parts: 0,
            recorded: 0,
            whole: 0,
            hash: Sha256::new(),
            rest: BytesMut::new(),
            version: None,
            only_whole: false,
            one_connection: false,
        }
    }

    /// Goes on where an earlier invocation stopped. `None` if its state cannot be read: then the file has to come from the
    /// start.
    pub fn resume(upload: Upload, size: u64, checkpoint: &Checkpoint) -> Option<Self> {
        let state = hex::decode(&checkpoint.hash).ok()?;
        let state = SerializedState::<Sha256>::try_from(state.as_slice()).ok()?;
        Some(Self {
            parts: checkpoint.parts,
            recorded: checkpoint.parts,
            whole: checkpoint.bytes,
            hash: Sha256::deserialize(&state).ok()?,
            version: checkpoint.version.clone(),
            ..Self::new(upload, size)
        })
    }

    /// Starts over: the parts will be written again, under the same numbers.
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.writer.flush().await?;
        self.parts = 0;
        self.recorded = 0;
        self.whole = 0;
        self.hash = Sha256::new();
        self.rest.clear();
        self.version = None;
        Ok(())
    }

    /// How many bytes of the file came so far.
    pub fn bytes(&self) -> u64 {
        self.whole + self.rest.len() as u64
    }

    /// How many whole parts came since the last checkpoint.
    pub fn unrecorded_parts(&self) -> u32 {
        self.parts - self.recorded
    }

    pub async fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.rest.extend_from_slice(bytes);
        while self.rest.len() >= self.part_size {
            self.cut(self.part_size).await?;
        }
        Ok(())
    }

    async fn cut(&mut self, bytes: usize) -> Result<(), Failure> {
        let part = self.rest.split_to(bytes).freeze();
        self.hash.update(&part);
        self.whole += bytes as u64;
        self.parts += 1;
        self.writer.put(self.parts as i32, part).await
    }

    /// What another invocation needs to go on from the last whole part.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint, Failure> {
        self.writer.flush().await?;
        self.recorded = self.parts;
        Ok(Checkpoint {
            upload: self.upload.id().to_owned(),
            bytes: self.whole,
            parts: self.parts,
            hash: hex::encode(self.hash.serialize()),
            version: self.version.clone(),
        })
    }

    /// Writes the rest, once the whole file came.
    pub async fn close(&mut self) -> Result<(), Failure> {
        match self.rest.len() {
            0 => Ok(()),
            rest => self.cut(rest).await,
        }
    }

    /// The upload to complete, and the SHA-256 of the whole file, in hex.
    pub fn finish(self) -> (Upload, String) {
        (self.upload, hex::encode(self.hash.finalize()))
    }
}
