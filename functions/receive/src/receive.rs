//! Reads the file from OBS, and goes on where the connection broke.

#[cfg(test)]
mod tests;

use std::time::Duration;

use cloudupload::{
    aws::Failure,
    clock::Timestamp,
    environment::Environment,
    error::StepError,
    job::{
        Artifacts, Intent, Job, JobId, Progress, Source, Staged, State, Unrecorded, UploadRequest,
    },
    messages::{JobAlone, ReceiveOutput},
    obs::{Download, Obs, ObsError},
    retry::{self, RetryBudget},
    settings::{parsed, setting},
    staging::{StagedFile, Staging},
    step::{self, Invocation, Step},
    store::StoreError,
};
use inspection::inspect;
use tokio::time::{Instant, timeout_at};

use crate::{
    intake::Intake,
    pieces::{Connections, Next, PIECE, PieceError, Pieces},
};

/// Left of the function's time when it stops reading, to write what it has.
const RESERVE: Duration = Duration::from_secs(90);

/// Attempts at the download in a row without a byte: about four minutes of OBS being away.
pub const BREAKS: RetryBudget = RetryBudget {
    attempts: 10,
    first: Duration::from_secs(2),
    longest: Duration::from_secs(120),
};

/// The time that a file may take from the creation of its job on. OBS may be slow, but a server that drips must not keep a
/// job for ever.
const RECEIVE_BUDGET: Duration = Duration::from_secs(6 * 3600);

/// Parts between two checkpoints: a function that dies costs no more than these.
const CHECKPOINT_PARTS: u32 = 32;

pub struct Receive {
    staging: Staging,
    obs: Obs,
    connections: Connections,
}

impl Step for Receive {
    const NAME: &str = "receive";
    type Input = JobAlone;
    type Output = ReceiveOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            staging: environment.staging()?,
            obs: Obs::new(&setting("OBS_URL")?)?,
            connections: parsed("RECEIVE_CONNECTIONS")?,
        })
    }

    async fn open(&self, environment: &Environment, id: JobId) -> Result<Job, StepError> {
        let details = "receiving image";
        match environment
            .jobs
            .advance(id, State::Receiving, details)
            .await
        {
            // The file is there: the step ran before.
            Err(StoreError::Superseded(job)) if !job.state.is_final() => Ok(*job),
            job => Ok(job?),
        }
    }

    /// Receives the job's file, or as much of it as there is time for.
    async fn run(&self, invocation: &Invocation<'_, JobAlone>) -> Result<ReceiveOutput, StepError> {
        let job = &invocation.job;
        let done = match job.state {
            State::Receiving => self.receive(invocation).await?,
            _ => true,
        };
        Ok(ReceiveOutput { job: job.id, done })
    }

    async fn report(&self, invocation: &Invocation<'_, JobAlone>) -> Result<(), StepError> {
        let (job, meter) = (&invocation.job, &invocation.meter);
        if job.request.source == Source::Push {
            // All bytes are there already.
            return step::look(invocation.environment, job.id).await;
        }
        let (bytes, of) = (meter.get(), job.request.size);
        let progress = Progress::Receiving { bytes, of };
        let jobs = &invocation.environment.jobs;
        jobs.set_progress(job.id, progress).await?;
        let reading = meter.read(bytes, of);
        invocation.log(format!("Received {reading}")).await;
        Ok(())
    }
}

/// How one attempt at the download ended, if it did not break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulled {
    All,
    TimeUp,
}

/// How a download breaks: to be tried again, or not.
enum Break {
    Transient(String),
    Final(StepError),
    /// To be tried again over one connection.
    NoPieces(PieceError),
}

impl From<ObsError> for Break {
    fn from(error: ObsError) -> Self {
        match error.is_transient() {
            true => Break::Transient(error.to_string()),
            false => Break::Final(error.into()),
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

impl Receive {
    /// Stages the file and makes sure that it is fit for a snapshot, before the job waits for a slot. Answers whether it is
    /// there, or the time was too short.
    async fn receive(&self, invocation: &Invocation<'_, JobAlone>) -> Result<bool, StepError> {
        let staged = match &invocation.job.artifacts.staged {
            // An earlier invocation died after it had staged the file.
            Some(staged) => Some(staged.clone()),
            None => match invocation.job.request.source {
                Source::Obs => self.stage(invocation).await?,
                Source::Push => Some(self.take_pushed(invocation).await?),
            },
        };
        let Some(Staged { etag, .. }) = staged else {
            return Ok(false);
        };
        let job = &invocation.job;
        let key = job.staged_key();
        let (file, name) = (StagedFile { key, etag }, job.request.filename.as_str());
        let found = inspect(&self.staging, &file, name, job.request.size).await?;
        job.request.ec2.check_volume(found.volume_bytes)?;
        self.schedule(invocation).await?;
        Ok(true)
    }

    async fn schedule(&self, invocation: &Invocation<'_, JobAlone>) -> Result<(), StepError> {
        let jobs = &invocation.environment.jobs;
        let details = "waiting to upload";
        jobs.advance(invocation.job.id, State::Scheduled, details)
            .await?;
        Ok(())
    }

    /// Makes the parts that were pushed the staged file. S3 compares its CRC32 with what was said.
    async fn take_pushed(
        &self,
        invocation: &Invocation<'_, JobAlone>,
    ) -> Result<Staged, StepError> {
        let Job {
            request, artifacts, ..
        } = &invocation.job;
        let push = &artifacts.push;
        let (Some(upload), Some(crc32)) = (&push.push_upload, push.pushed) else {
            return Err(Unrecorded("pushed file").into());
        };
        let file = self.staging.file(invocation.job.staged_key());
        let upload = file.upload(upload.clone());
        let etag = upload.complete_push(request.size, crc32).await?;
        let line = format!(
            "Received {} bytes of {}, CRC32 {crc32}",
            request.size, request.filename
        );
        invocation.log(line).await;
        let staged = Staged { etag, sha256: None };
        self.record(invocation, &staged).await?;
        Ok(staged)
    }

    async fn record(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        staged: &Staged,
    ) -> Result<(), StepError> {
        let update = Artifacts {
            staged: Some(staged.clone()),
            ..Artifacts::default()
        };
        let jobs = &invocation.environment.jobs;
        jobs.record(invocation.job.id, &update).await?;
        Ok(())
    }

    /// Brings the file into the staging bucket. `None` if the time was too short for all of it.
    async fn stage(
        &self,
        invocation: &Invocation<'_, JobAlone>,
    ) -> Result<Option<Staged>, StepError> {
        let mut intake = self.resume_or_begin(invocation).await?;
        invocation.meter.set(intake.bytes());
        invocation.meter.begin(intake.bytes());
        match self.pull_all(invocation, &mut intake).await? {
            Pulled::All => Ok(Some(self.complete(invocation, intake).await?)),
            Pulled::TimeUp => {
                checkpoint(invocation, &mut intake).await?;
                Ok(None)
            }
        }
    }

    /// Pulls again and again until the file is there or the time is up.
    async fn pull_all(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        intake: &mut Intake,
    ) -> Result<Pulled, StepError> {
        let job = &invocation.job;
        let stop = invocation.deadline - RESERVE;
        let resumed = intake.bytes() > 0;
        let mut broke = false;
        let mut attempts = BREAKS.start();
        loop {
            let before = intake.bytes();
            let error = match self.pull(invocation, intake, stop).await {
                Ok(Pulled::TimeUp) if resumed && intake.only_whole && !broke => {
                    return Err(StepError::Failed(format!(
                        "OBS serves {} only as a whole, and that takes longer than a function may run: the \
                         uploader's ObsUrl has to be an address that serves ranges of a file",
                        job.request.filename
                    )));
                }
                Ok(pulled) => return Ok(pulled),
                Err(Break::Final(error)) => return Err(error),
                Err(Break::NoPieces(error)) => {
                    intake.one_connection = true;
                    let line = format!("{error}: reading it over one connection");
                    invocation.log(line).await;
                    continue;
                }
                Err(Break::Transient(error)) => error,
            };
            broke = true;
            if intake.bytes() > before {
                attempts.reset();
            }
            let Some(pause) = attempts.fail() else {
                return Err(given_up(&error));
            };
            invocation
                .log(format!(
                    "{error}; going on from byte {} in {:.0} s",
                    intake.bytes(),
                    pause.as_secs_f64()
                ))
                .await;
            invocation.environment.jobs.count_try(job.id).await?;
            if Instant::now() + pause >= stop {
                return Ok(Pulled::TimeUp);
            }
            retry::pause(pause).await;
        }
    }

    /// The intake as an earlier invocation left it, or a new one.
    async fn resume_or_begin(
        &self,
        invocation: &Invocation<'_, JobAlone>,
    ) -> Result<Intake, StepError> {
        let job = &invocation.job;
        let file = self.staging.file(job.staged_key());
        if let Some(checkpoint) = &job.artifacts.checkpoint {
            let upload = file.clone().upload(checkpoint.upload.clone());
            if let Some(intake) = Intake::resume(upload, job.request.size, checkpoint) {
                let line = format!("Going on from byte {}", intake.bytes());
                invocation.log(line).await;
                return Ok(intake);
            }
        }
        invocation
            .log(format!(
                "Receiving {}, {} bytes",
                job.request.filename, job.request.size
            ))
            .await;
        let jobs = &invocation.environment.jobs;
        jobs.intend(job.id, Intent::Staging).await?;
        let upload = file.begin().await?;
        let mut intake = Intake::new(upload, job.request.size);
        checkpoint(invocation, &mut intake).await?;
        Ok(intake)
    }

    /// One attempt at the rest of the file.
    async fn pull(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        intake: &mut Intake,
        stop: Instant,
    ) -> Result<Pulled, Break> {
        let job = &invocation.job;
        let (name, size) = (&job.request.filename, job.request.size);
        if intake.bytes() == size {
            return Ok(Pulled::All);
        }
        let mut download = self.connect(invocation, intake).await?;
        if self.reads_pieces(intake) && download.end < size {
            if let Some(version) = download.version.clone() {
                let (request, connections) = (&job.request, self.connections);
                let pieces = Pieces::begin(&self.obs, request, download, version, connections);
                return self.pull_pieces(invocation, intake, pieces, stop).await;
            }
            // Nothing tells whether pieces are of one version.
            intake.one_connection = true;
        }
        while intake.bytes() < size {
            if Instant::now() >= stop {
                return Ok(Pulled::TimeUp);
            }
            if intake.bytes() == download.end {
                download = self.connect(invocation, intake).await?;
            }
            let Some(chunk) = download.chunk().await? else {
                return Err(Break::Transient(format!(
                    "OBS sent only {} of {size} bytes of {name}",
                    intake.bytes(),
                )));
            };
            if intake.bytes() + chunk.len() as u64 > size {
                return Err(Break::Final(StepError::Failed(format!(
                    "OBS sent more than the {size} bytes of {name}"
                ))));
            }
            take(invocation, intake, &chunk).await?;
        }
        Ok(Pulled::All)
    }

    /// The rest of the file, over several connections. What pieces have beyond the intake is lost when the time is up.
    async fn pull_pieces(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        intake: &mut Intake,
        mut pieces: Pieces,
        stop: Instant,
    ) -> Result<Pulled, Break> {
        loop {
            let (mut piece, error) = match timeout_at(stop, pieces.next()).await {
                Err(_) => return Ok(Pulled::TimeUp),
                Ok(None) => return Ok(Pulled::All),
                Ok(Some(Next::Bytes(bytes))) => {
                    take(invocation, intake, &bytes).await?;
                    continue;
                }
                Ok(Some(Next::Broken(piece, error))) => (piece, error),
            };
            if error.is_no_piece() {
                return Err(Break::NoPieces(error));
            }
            let error = match error {
                PieceError::Obs(error) if !error.is_transient() => return Err(error.into()),
                error => error.to_string(),
            };
            let pause = piece.fail().ok_or_else(|| given_up(&error))?;
            let seconds = pause.as_secs_f64();
            invocation
                .log(format!("{error}; going on from {piece} in {seconds:.0} s"))
                .await;
            let (jobs, id) = (&invocation.environment.jobs, invocation.job.id);
            jobs.count_try(id).await.map_err(StepError::from)?;
            pieces.try_again(piece, pause);
        }
    }

    /// Whether the file is read over several connections, as far as that is known.
    fn reads_pieces(&self, intake: &Intake) -> bool {
        self.connections != Connections::ONE && !intake.one_connection
    }

    /// Asks OBS for the file from this byte on, or for its next piece.
    async fn request(
        &self,
        request: &UploadRequest,
        intake: &Intake,
        from: u64,
    ) -> Result<Download, ObsError> {
        match self.reads_pieces(intake) && request.size - from > PIECE {
            true => self.obs.download_part(request, from..from + PIECE).await,
            false => self.obs.download(request, from).await,
        }
    }

    /// Begins to read at the intake's next byte. If the file changed since, or OBS serves no ranges, the intake starts over.
    async fn connect(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        intake: &mut Intake,
    ) -> Result<Download, Break> {
        let request = &invocation.job.request;
        let mut download = self.request(request, intake, intake.bytes()).await?;
        if download.size != request.size {
            return Err(Break::Final(StepError::Failed(format!(
                "size mismatch: {} != {}: {} was replaced in OBS since the job was created",
                request.size, download.size, request.filename
            ))));
        }
        let replaced =
            intake.bytes() > 0 && intake.version.is_some() && download.version != intake.version;
        if replaced || download.from != intake.bytes() {
            if intake.bytes() > 0 {
                intake.only_whole = !replaced;
                let line = match replaced {
                    true => "The file was replaced in OBS meanwhile: starting over",
                    false => "OBS does not serve the rest of a file alone: starting over",
                };
                invocation.log(line).await;
                intake.restart().await?;
            }
            if download.from > 0 {
                download = self.request(request, intake, 0).await?;
            }
        }
        intake.version = download.version.clone();
        Ok(download)
    }

    /// Completes the staged object, and records it.
    async fn complete(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        mut intake: Intake,
    ) -> Result<Staged, StepError> {
        let job = &invocation.job;
        intake.close().await?;
        // Recorded before the upload is completed: after that, there is nothing left that could be hashed.
        checkpoint(invocation, &mut intake).await?;
        let (upload, sha256) = intake.finish();
        self.check_sum(invocation, &sha256).await?;
        let etag = upload.complete(job.request.size).await?;
        invocation
            .log(format!(
                "Received {} bytes of {}, SHA-256 {sha256}",
                job.request.size, job.request.filename
            ))
            .await;
        let staged = Staged {
            etag,
            sha256: Some(sha256),
        };
        self.record(invocation, &staged).await?;
        Ok(staged)
    }

    /// Compares the file's SHA-256 with the one in `FILE.sha256` beside it in OBS. Most files have none beside them, which is
    /// not worth a line in the log; one that cannot be read does not end the job.
    async fn check_sum(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        received: &str,
    ) -> Result<(), StepError> {
        let request = &invocation.job.request;
        let name = &request.filename;
        match self.obs.sha256(request).await {
            Ok(None) => Ok(()),
            Ok(Some(sum)) if sum == received => {
                let line = format!("The SHA-256 is the one in {name}.sha256");
                invocation.log(line).await;
                Ok(())
            }
            Ok(Some(sum)) => Err(StepError::Failed(format!(
                "the SHA-256 of {name} as it was received is {received}, but {name}.sha256 in OBS says {sum}: the file was \
                 damaged on its way or replaced in OBS meanwhile; upload it again"
            ))),
            Err(error) => {
                let line = format!("The SHA-256 is not checked: {name}.sha256: {error}");
                invocation.log(line).await;
                Ok(())
            }
        }
    }
}

/// Takes the next bytes of the file, and writes down how far it is every now and then.
async fn take(
    invocation: &Invocation<'_, JobAlone>,
    intake: &mut Intake,
    bytes: &[u8],
) -> Result<(), StepError> {
    let job = &invocation.job;
    if Timestamp::now().since(job.created) > RECEIVE_BUDGET {
        return Err(StepError::Failed(format!(
            "receiving {} took longer than {} hours",
            job.request.filename,
            RECEIVE_BUDGET.as_secs() / 3600
        )));
    }
    intake.take(bytes).await?;
    invocation.meter.set(intake.bytes());
    if intake.unrecorded_parts() >= CHECKPOINT_PARTS {
        checkpoint(invocation, intake).await?;
    }
    Ok(())
}

fn given_up(error: &str) -> StepError {
    let tries = BREAKS.attempts;
    StepError::Failed(format!("{error} (given up after {tries} tries)"))
}

async fn checkpoint(
    invocation: &Invocation<'_, JobAlone>,
    intake: &mut Intake,
) -> Result<(), StepError> {
    let update = Artifacts {
        checkpoint: Some(intake.checkpoint().await?),
        ..Artifacts::default()
    };
    let jobs = &invocation.environment.jobs;
    jobs.record(invocation.job.id, &update).await?;
    Ok(())
}
