//! Reads the file from OBS, and goes on where the connection broke.

use std::time::Duration;

use cloudupload::{
    aws::{Failure, Retries},
    backoff, clock,
    function::Tools,
    job::{Job, JobId, Progress, Staged, State, Work},
    jobs::JobsError,
    journal::JobLog,
    obs::{Obs, ObsError},
    reporter::{Count, Meter},
    staging::Staging,
    workflow::{Received, StepError},
};
use tokio::time::Instant;

use crate::intake::Intake;

/// How often in a row the download may break without a byte having come. With the pauses between, that is about four
/// minutes of OBS being away.
const BREAKS: u32 = 10;

/// How long a file may take from the creation of its job on, in seconds. OBS may be slow, but a server that drips must
/// not keep a job for ever.
const BUDGET: u64 = 6 * 3600;

/// After so many parts what came is written down, so that a function that dies has not to start over.
const CHECKPOINT_PARTS: u32 = 32;

pub struct Receiving {
    pub tools: Tools,
    pub staging: Staging,
    pub obs: Obs,
}

/// How one go at the download ended, if it did not break.
enum Pulled {
    All,
    TimeUp,
}

impl Receiving {
    /// Receives the job's file; stops at `stop` at the latest, to be called again.
    pub async fn run(&self, id: JobId, stop: Instant) -> Result<Received, StepError> {
        let job = match self
            .tools
            .jobs
            .advance(id, State::Receiving, "receiving image")
            .await
        {
            Err(JobsError::Moved(job)) if !job.state.is_final() => {
                return Ok(Received {
                    job: id,
                    done: true,
                });
            }
            job => job?,
        };
        let log = self.tools.journal.of(id);
        let count = Count::default();
        let received = job.work.received.as_ref();
        let mut meter = Meter::new(
            Retries::default(),
            received.map_or(0, |received| received.bytes),
        );
        let report = async || {
            let (bytes, of) = (count.get(), job.order.size);
            let progress = Progress::Received { bytes, of };
            self.tools.jobs.set_progress(id, progress).await?;
            log.line(format!("Received {}", meter.read(bytes, of)))
                .await;
            Ok(())
        };
        let work = self.receive(&job, &log, &count, stop);
        let done = self.tools.reporting(id, work, report).await?;
        Ok(Received { job: id, done })
    }

    async fn receive(
        &self,
        job: &Job,
        log: &JobLog,
        count: &Count,
        stop: Instant,
    ) -> Result<bool, StepError> {
        let mut intake = self.open(job, log).await?;
        count.set(intake.bytes());
        let resumed = intake.bytes() > 0;
        let mut breaks = 0;
        loop {
            let before = intake.bytes();
            match self.pull(job, &mut intake, log, count, stop).await {
                Ok(Pulled::All) => break,
                Ok(Pulled::TimeUp) if resumed && intake.only_whole && breaks == 0 => {
                    return Err(StepError::Failed(format!(
                        "OBS serves {} only as a whole, and that takes longer than a function may run: the \
                         uploader's ObsUrl has to be an address that serves ranges of a file",
                        job.order.filename
                    )));
                }
                Ok(Pulled::TimeUp) => {
                    self.checkpoint(job.id, &mut intake).await?;
                    return Ok(false);
                }
                Err(Break::Final(error)) => return Err(error),
                Err(Break::Again(error)) => {
                    breaks = if intake.bytes() > before {
                        1
                    } else {
                        breaks + 1
                    };
                    if breaks >= BREAKS {
                        return Err(StepError::Failed(format!(
                            "{error} (given up after {BREAKS} tries)"
                        )));
                    }
                    let (first, most) = (Duration::from_secs(1), Duration::from_secs(120));
                    let pause = backoff::pause(breaks, first, most);
                    log.line(format!(
                        "{error}; going on from byte {} in {:.0} s",
                        intake.bytes(),
                        pause.as_secs_f64()
                    ))
                    .await;
                    self.tools.jobs.count_try(job.id).await?;
                    if Instant::now() + pause >= stop {
                        self.checkpoint(job.id, &mut intake).await?;
                        return Ok(false);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
        intake.close().await?;
        // Written down before the upload is completed: after that, there is nothing left that could be hashed.
        self.checkpoint(job.id, &mut intake).await?;
        let (upload, sha256) = intake.finish();
        let object = upload.complete(Some(job.order.size)).await?;
        log.line(format!(
            "Received {} bytes of {}, SHA-256 {sha256}",
            object.size, job.order.filename
        ))
        .await;
        let staged = Staged {
            etag: object.etag,
            sha256,
        };
        let news = Work {
            staged: Some(staged),
            ..Work::default()
        };
        self.tools.jobs.learn(job.id, &news).await?;
        self.tools
            .jobs
            .advance(job.id, State::Scheduled, "waiting to upload")
            .await?;
        Ok(true)
    }

    /// The intake as an earlier invocation left it, or a new one.
    async fn open(&self, job: &Job, log: &JobLog) -> Result<Intake, StepError> {
        let file = self.staging.file(job.staged_key());
        if let Some(received) = &job.work.received {
            let upload = file.clone().upload(received.upload.clone());
            if let Some(intake) = Intake::resume(upload, job.order.size, received) {
                log.line(format!("Going on from byte {}", intake.bytes()))
                    .await;
                return Ok(intake);
            }
        }
        log.line(format!(
            "Receiving {}, {} bytes",
            job.order.filename, job.order.size
        ))
        .await;
        let news = Work {
            staging_began: Some(clock::now()),
            ..Work::default()
        };
        self.tools.jobs.learn(job.id, &news).await?;
        let upload = file.begin().await?;
        let mut intake = Intake::new(upload, job.order.size);
        self.checkpoint(job.id, &mut intake).await?;
        Ok(intake)
    }

    async fn checkpoint(&self, id: JobId, intake: &mut Intake) -> Result<(), StepError> {
        let news = Work {
            received: Some(intake.pause().await?),
            ..Work::default()
        };
        self.tools.jobs.learn(id, &news).await?;
        Ok(())
    }

    async fn pull(
        &self,
        job: &Job,
        intake: &mut Intake,
        log: &JobLog,
        count: &Count,
        stop: Instant,
    ) -> Result<Pulled, Break> {
        let size = job.order.size;
        if intake.bytes() == size {
            return Ok(Pulled::All);
        }
        let mut download = self.obs.download(&job.order, intake.bytes()).await?;
        if download.size != size {
            return Err(Break::Final(StepError::Failed(format!(
                "size mismatch: {size} != {}: {} was replaced in OBS since the job was created",
                download.size, job.order.filename
            ))));
        }
        let replaced =
            intake.bytes() > 0 && intake.version.is_some() && download.version != intake.version;
        if replaced || download.from != intake.bytes() {
            if intake.bytes() > 0 {
                intake.only_whole = !replaced;
                log.line(match replaced {
                    true => "The file was replaced in OBS meanwhile: starting over",
                    false => "OBS does not serve the rest of a file alone: starting over",
                })
                .await;
                intake.restart().await?;
            }
            if download.from > 0 {
                download = self.obs.download(&job.order, 0).await?;
            }
        }
        intake.version = download.version.clone();
        let mut next_checkpoint = intake.parts() + CHECKPOINT_PARTS;
        while intake.bytes() < size {
            if Instant::now() >= stop {
                return Ok(Pulled::TimeUp);
            }
            if clock::now() > job.created + BUDGET {
                return Err(Break::Final(StepError::Failed(format!(
                    "receiving {} took longer than {} hours",
                    job.order.filename,
                    BUDGET / 3600
                ))));
            }
            let Some(chunk) = download.chunk().await? else {
                return Err(Break::Again(format!(
                    "OBS sent only {} of {size} bytes of {}",
                    intake.bytes(),
                    job.order.filename
                )));
            };
            if intake.bytes() + chunk.len() as u64 > size {
                return Err(Break::Final(StepError::Failed(format!(
                    "OBS sent more than the {size} bytes of {}",
                    job.order.filename
                ))));
            }
            intake.take(&chunk).await?;
            count.set(intake.bytes());
            if intake.parts() >= next_checkpoint {
                self.checkpoint(job.id, intake).await?;
                next_checkpoint = intake.parts() + CHECKPOINT_PARTS;
            }
        }
        Ok(Pulled::All)
    }
}

/// How a download breaks: to be tried again, or not.
enum Break {
    Again(String),
    Final(StepError),
}

impl From<ObsError> for Break {
    fn from(error: ObsError) -> Self {
        match error.is_passing() {
            true => Break::Again(error.to_string()),
            false => Break::Final(StepError::because(error)),
        }
    }
}

impl From<StepError> for Break {
    fn from(error: StepError) -> Self {
        Break::Final(error)
    }
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        Break::Final(failure.into())
    }
}
