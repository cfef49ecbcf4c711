//! Reads the file from OBS, and goes on where the connection broke.

#[cfg(test)]
mod tests;

use std::time::Duration;

use cloudupload::{
    aws::Failure,
    clock::Timestamp,
    environment::Environment,
    error::StepError,
    job::{Artifacts, Intent, Job, JobId, Progress, Staged, State},
    messages::{JobAlone, ReceiveOutput},
    obs::{Download, Obs, ObsError},
    retry::{self, RetryBudget},
    settings::setting,
    staging::Staging,
    step::{Invocation, Step},
    store::StoreError,
};
use tokio::time::Instant;

use crate::intake::Intake;

/// Left of the function's time when it stops reading, to write what it has.
const RESERVE: Duration = Duration::from_secs(90);

/// Attempts at the download in a row without a byte: about four minutes of OBS being away.
const BREAKS: RetryBudget = RetryBudget {
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
}

impl Step for Receive {
    const NAME: &str = "receive";
    type Input = JobAlone;
    type Output = ReceiveOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            staging: environment.staging()?,
            obs: Obs::new(&setting("OBS_URL")?)?,
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
    /// Answers whether the whole file is there.
    async fn receive(&self, invocation: &Invocation<'_, JobAlone>) -> Result<bool, StepError> {
        let mut intake = self.resume_or_begin(invocation).await?;
        invocation.meter.set(intake.bytes());
        invocation.meter.begin(intake.bytes());
        match self.pull_all(invocation, &mut intake).await? {
            Pulled::All => {
                self.complete(invocation, intake).await?;
                Ok(true)
            }
            Pulled::TimeUp => {
                checkpoint(invocation, &mut intake).await?;
                Ok(false)
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
                Err(Break::Transient(error)) => error,
            };
            broke = true;
            if intake.bytes() > before {
                attempts.reset();
            }
            let Some(pause) = attempts.fail() else {
                let tries = BREAKS.attempts;
                let reason = format!("{error} (given up after {tries} tries)");
                return Err(StepError::Failed(reason));
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
        let mut next_checkpoint = intake.parts() + CHECKPOINT_PARTS;
        while intake.bytes() < size {
            if Instant::now() >= stop {
                return Ok(Pulled::TimeUp);
            }
            if Timestamp::now().since(job.created) > RECEIVE_BUDGET {
                return Err(Break::Final(StepError::Failed(format!(
                    "receiving {name} took longer than {} hours",
                    RECEIVE_BUDGET.as_secs() / 3600
                ))));
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
            intake.take(&chunk).await?;
            invocation.meter.set(intake.bytes());
            if intake.parts() >= next_checkpoint {
                checkpoint(invocation, intake).await?;
                next_checkpoint = intake.parts() + CHECKPOINT_PARTS;
            }
        }
        Ok(Pulled::All)
    }

    /// Begins to read at the intake's next byte. If the file changed since, or OBS serves no ranges, the intake starts over.
    async fn connect(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        intake: &mut Intake,
    ) -> Result<Download, Break> {
        let request = &invocation.job.request;
        let mut download = self.obs.download(request, intake.bytes()).await?;
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
                download = self.obs.download(request, 0).await?;
            }
        }
        intake.version = download.version.clone();
        Ok(download)
    }

    /// Completes the staged object, and takes the job on.
    async fn complete(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        mut intake: Intake,
    ) -> Result<(), StepError> {
        let (job, jobs) = (&invocation.job, &invocation.environment.jobs);
        intake.close().await?;
        // Recorded before the upload is completed: after that, there is nothing left that could be hashed.
        checkpoint(invocation, &mut intake).await?;
        let (upload, sha256) = intake.finish();
        let etag = upload.complete(job.request.size).await?;
        invocation
            .log(format!(
                "Received {} bytes of {}, SHA-256 {sha256}",
                job.request.size, job.request.filename
            ))
            .await;
        let update = Artifacts {
            staged: Some(Staged { etag, sha256 }),
            ..Artifacts::default()
        };
        jobs.record(job.id, &update).await?;
        jobs.advance(job.id, State::Scheduled, "waiting to upload")
            .await?;
        Ok(())
    }
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
