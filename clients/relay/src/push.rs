//! An image on its way: cut into parts as it comes in, and put to S3, several parts at a time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use reqwest::Client;
use tokio::{
    select,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    api::{Api, ApiError, Push},
    causes::with_causes,
    job::JobId,
    part::{self, SILENCE},
    patience::{GIVE_UP, Patience},
};

/// Parts of one image that are put at the same time.
const CONNECTIONS: usize = 4;

/// MiB that the parts of all images may take together. What comes in beyond that waits in the network.
const MEMORY: u32 = 256;

/// The most URLs in one answer of the cloud uploader.
const URLS: usize = 100;

/// The time between two reports of how far the push is. A kill is seen within this time.
const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// The time that the source server may send nothing while it is read from. It may have to wait for a repository server.
const SOURCE_SILENCE: Duration = Duration::from_secs(600);

/// Why an image does not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the source server sent only {came} of {size} bytes of the image: {reason}")]
    Torn {
        came: u64,
        size: u64,
        reason: String,
    },
    #[error("the source server said that it sends {said} bytes, and the job is of {size}")]
    OtherSize { said: u64, size: u64 },
    #[error("part {number} of the image could not be put for {} hours: {reason}", GIVE_UP.as_secs() / 3600)]
    Stuck { number: u32, reason: String },
}

/// Puts parts of images, within one bound of memory.
#[derive(Clone)]
pub struct Pusher {
    api: Api,
    s3: Client,
    memory: Arc<Semaphore>,
}

impl Pusher {
    pub fn new(api: Api) -> Result<Self, reqwest::Error> {
        let s3 = Client::builder()
            .tcp_user_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            api,
            s3,
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
        })
    }

    /// Sends the image of a job on, of which so many bytes come in.
    pub async fn push(&self, job: JobId, image: Incoming, length: u64) -> Result<(), PushError> {
        let push = self.api.push(job).await?;
        if push.size != length {
            return Err(PushError::OtherSize {
                said: length,
                size: push.size,
            });
        }
        if push.done {
            return Ok(());
        }
        let urls = Arc::new(Urls {
            api: self.api.clone(),
            job,
            missing: push.missing.iter().copied().collect(),
            known: Mutex::default(),
            sent: AtomicU64::new(0),
        });
        let image = Source::of(image, length, SOURCE_SILENCE);
        let crc32 = select! {
            crc32 = self.parts(&push, &urls, image) => crc32?,
            over = urls.reports() => return Err(over.into()),
        };
        let crc32 = BASE64_STANDARD.encode(crc32.to_be_bytes());
        Ok(self.api.push_done(job, &crc32).await?)
    }

    /// Puts the missing parts. Gives the CRC32 of the whole image.
    async fn parts(
        &self,
        push: &Push,
        urls: &Arc<Urls>,
        mut image: Source,
    ) -> Result<u32, PushError> {
        let mut crc32 = Digest::new(CrcAlgorithm::Crc32IsoHdlc);
        let mut senders = JoinSet::new();
        for number in 1..=push.parts {
            let before = u64::from(number - 1) * push.part_size;
            let size = push.part_size.min(push.size - before);
            let permit = self.room(size).await;
            let part = image.read(size).await?;
            crc32.update(&part);
            if !urls.missing.contains(&number) {
                continue;
            }
            while senders.len() >= CONNECTIONS {
                join_one(&mut senders).await?;
            }
            senders.spawn(put(self.s3.clone(), Arc::clone(urls), number, part, permit));
        }
        while !senders.is_empty() {
            join_one(&mut senders).await?;
        }
        Ok(crc32.finalize() as u32)
    }

    /// Waits until there is memory for a part.
    async fn room(&self, size: u64) -> OwnedSemaphorePermit {
        let mib = u32::try_from(size.div_ceil(1 << 20)).unwrap_or(MEMORY);
        let permit = Arc::clone(&self.memory).acquire_many_owned(mib.min(MEMORY));
        permit.await.expect("the semaphore is never closed")
    }
}

async fn join_one(senders: &mut JoinSet<Result<(), PushError>>) -> Result<(), PushError> {
    match senders.join_next().await {
        Some(Ok(put)) => put,
        Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
        None => Ok(()),
    }
}

/// Puts a part, as often as it takes.
async fn put(
    s3: Client,
    urls: Arc<Urls>,
    number: u32,
    part: Bytes,
    _memory: OwnedSemaphorePermit,
) -> Result<(), PushError> {
    let mut patience = Patience::new();
    loop {
        let url = urls.of(number).await?;
        let put = part::put(&s3, &url, part.clone(), SILENCE).await;
        // Whatever went wrong, the URL may have expired. If the job has ended, the cloud uploader gives no other.
        urls.forget(number).await;
        let reason = match put {
            Ok(()) => break,
            Err(error) => error.to_string(),
        };
        eprintln!("job {}: part {number}: {reason}", urls.job);
        if !patience.pause().await {
            return Err(PushError::Stuck { number, reason });
        }
    }
    urls.sent.fetch_add(part.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// Where parts are put.
struct Urls {
    api: Api,
    job: JobId,
    missing: BTreeSet<u32>,
    known: Mutex<HashMap<u32, String>>,
    /// Bytes that were put.
    sent: AtomicU64,
}

impl Urls {
    /// The URL of a part. Those of the parts after it are asked for with it.
    async fn of(&self, number: u32) -> Result<String, ApiError> {
        let mut known = self.known.lock().await;
        if let Some(url) = known.get(&number) {
            return Ok(url.clone());
        }
        let numbers: Vec<u32> = self.missing.range(number..).copied().take(URLS).collect();
        let sent = self.sent.load(Ordering::Relaxed);
        known.extend(self.api.part_urls(self.job, &numbers, sent).await?);
        Ok(known.get(&number).cloned().unwrap_or_default())
    }

    async fn forget(&self, number: u32) {
        self.known.lock().await.remove(&number);
    }

    /// Tells the cloud uploader again and again how far the push is, until the job is over.
    async fn reports(&self) -> ApiError {
        loop {
            sleep(REPORT_PERIOD).await;
            let sent = self.sent.load(Ordering::Relaxed);
            if let Err(error) = self.api.part_urls(self.job, &[], sent).await {
                return error;
            }
        }
    }
}

/// The image as it comes in.
struct Source {
    body: Incoming,
    /// What came beyond the part before.
    rest: Bytes,
    came: u64,
    size: u64,
    /// The time that nothing may come.
    silence: Duration,
}

impl Source {
    fn of(body: Incoming, size: u64, silence: Duration) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            came: 0,
            size,
            silence,
        }
    }

    /// The next bytes, exactly so many.
    async fn read(&mut self, size: u64) -> Result<Bytes, PushError> {
        let size = size as usize;
        let mut part = BytesMut::with_capacity(size);
        while part.len() < size {
            if self.rest.is_empty() {
                self.rest = self.frame().await?;
            }
            let fits = self.rest.len().min(size - part.len());
            part.extend_from_slice(&self.rest.split_to(fits));
        }
        Ok(part.freeze())
    }

    async fn frame(&mut self) -> Result<Bytes, PushError> {
        let reason = match timeout(self.silence, self.body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let bytes = frame.into_data().unwrap_or_default();
                self.came += bytes.len() as u64;
                return Ok(bytes);
            }
            Ok(Some(Err(error))) => with_causes(&error),
            Ok(None) => "it ended early".to_owned(),
            Err(_) => format!("nothing came for {} s", self.silence.as_secs()),
        };
        Err(PushError::Torn {
            came: self.came,
            size: self.size,
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper::{Request, Response, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncWriteExt, duplex},
        sync::mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn a_source_server_that_falls_silent_has_broken_off() {
        let (mut client, server) = duplex(1000);
        let (send, mut received) = mpsc::channel(1);
        let service = service_fn(move |request: Request<Incoming>| {
            let send = send.clone();
            async move {
                let mut image = Source::of(request.into_body(), 10, Duration::from_millis(100));
                send.send(image.read(10).await).await.unwrap();
                Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        let request = b"PUT / HTTP/1.1\r\nhost: relay\r\ncontent-length: 10\r\n\r\n1234567";
        client.write_all(request).await.unwrap();
        let error = received.recv().await.unwrap().unwrap_err();
        let PushError::Torn { came, size, reason } = error else {
            panic!("{error}");
        };
        assert_eq!((came, size), (7, 10));
        assert!(reason.starts_with("nothing came for "), "{reason}");
    }
}
