//! Transfers one slice: ranged read, decoder, the route's writer.

use std::{sync::Arc, time::Duration};

use account::{
    Accounts, Pace, Purpose,
    messages::TransferInput,
    route::{self, Blocks, SliceTarget},
};
use cloudupload::{
    environment::Environment,
    error::StepError,
    job::Progress,
    messages::TransferOutput,
    meter::Meter,
    settings::parsed,
    staging::{StagedFile, Staging},
    step::{Invocation, REPORT_PERIOD, Step},
    store::Writers,
    target::AccountId,
};
use image::{
    decode::Decoder,
    format::Compression,
    slice::{Coding, Slice, SliceReader},
};
use tokio::time::timeout_at;

/// Left of the function's time when it gives up, to say so.
const RESERVE: Duration = Duration::from_secs(30);

pub struct Transfer {
    staging: Staging,
    writers: Writers,
    own_account: AccountId,
    accounts: Accounts,
}

impl Step for Transfer {
    const NAME: &str = "transfer";
    type Input = TransferInput;
    type Output = TransferOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            staging: environment.staging()?,
            writers: environment.writers()?,
            own_account: parsed("SERVICE_ACCOUNT")?,
            accounts: Accounts::from_env(environment)?,
        })
    }

    async fn run(
        &self,
        invocation: &Invocation<'_, TransferInput>,
    ) -> Result<TransferOutput, StepError> {
        let (job, meter) = (&invocation.job, &invocation.meter);
        meter.begin(job.artifacts.transferred_bytes());
        let slice = &invocation.input.slice.slice;
        let work = timeout_at(invocation.deadline - RESERVE, self.transfer(invocation));
        let written = work.await.unwrap_or_else(|_| Err(out_of_time(slice)))?;
        let jobs = &invocation.environment.jobs;
        jobs.set_transferred(job.id, slice.index, meter.get())
            .await?;
        Ok(written)
    }

    /// Says how far the transfer is, all slices together. One of the slices at work writes the line.
    async fn report(&self, invocation: &Invocation<'_, TransferInput>) -> Result<(), StepError> {
        let (jobs, id) = (&invocation.environment.jobs, invocation.job.id);
        let (slice, meter) = (&invocation.input.slice.slice, &invocation.meter);
        let job = jobs.set_transferred(id, slice.index, meter.get()).await?;
        let (bytes, of) = (job.artifacts.transferred_bytes(), job.request.size);
        let reading = meter.read(bytes, of);
        let progress = Progress::Transferring { bytes, of };
        if jobs.claim_report(&job, progress, REPORT_PERIOD).await? {
            invocation.log(format!("Transferred {reading}")).await;
        }
        Ok(())
    }
}

impl Transfer {
    async fn transfer(
        &self,
        invocation: &Invocation<'_, TransferInput>,
    ) -> Result<TransferOutput, StepError> {
        let (job, meter) = (&invocation.job, &invocation.meter);
        let to = &invocation.input.slice;
        let pace = match &to.target {
            // Before anything else: a share that another gave back may be used only after a while.
            SliceTarget::Blocks(Blocks { peers, .. }) => {
                let place = route::place_of_blocks(job, &self.own_account);
                let slice = to.slice.index;
                let pace = Pace::register(&self.writers, place, job.id, slice, *peers).await?;
                Some(Arc::new(pace))
            }
            SliceTarget::Parts(_) => None,
        };
        let file = StagedFile::of(job)?;
        let mut slice = self.reader(&file, &to.slice, meter).await?;
        let next = match &to.target {
            // Its first bytes count as those of its own slice.
            SliceTarget::Blocks(Blocks {
                next: Some(next), ..
            }) => Some(self.reader(&file, next, &Meter::new()).await?),
            _ => None,
        };
        let session = self.accounts.session(job, Purpose::Write).await?;
        let route = session.route(
            &invocation.environment.jobs,
            invocation.environment.log(job.id),
        );
        let write = route.write(to, &mut slice, next, pace.clone(), &meter.retries);
        let written = match &pace {
            Some(pace) => {
                let written = tokio::select! {
                    written = write => written.map_err(StepError::from),
                    failed = pace.keep() => Err(failed.into()),
                };
                pace.leave().await;
                written?
            }
            None => write.await?,
        };
        if slice.disk().is_some_and(|disk| disk.vhd) {
            let line = "The image is a fixed VHD: its footer stays behind";
            invocation.log(line).await;
        }
        Ok(written)
    }

    /// Reads a slice from its staged bytes, which the meter counts. The stream begins when it is first read.
    async fn reader(
        &self,
        file: &StagedFile,
        slice: &Slice,
        meter: &Meter,
    ) -> Result<SliceReader<'static>, StepError> {
        let stream = self
            .staging
            .stream(file.clone(), slice.staged.clone(), meter);
        let decoder = match &slice.coding {
            Coding::Whole(compression) => Decoder::whole(*compression, stream),
            Coding::XzRun(run) => {
                let records = self.staging.read(file, run.records.clone()).await?;
                Decoder::run(run.frame(&records)?, stream)
            }
        };
        Ok(SliceReader::new(slice, decoder))
    }
}

/// The error of a slice for which a function's time is too short. Data that only one decoder can read takes as long the next
/// time.
fn out_of_time(slice: &Slice) -> StepError {
    match &slice.coding {
        Coding::Whole(compression) if *compression != Compression::Plain => {
            StepError::Failed(format!(
                "{compression} data that has to be decompressed in one piece takes longer than a function may run: \
                 compress the image with \"xz -T0\", whose blocks are decompressed side by side"
            ))
        }
        _ => StepError::Transient(format!(
            "slice {} took longer than a function may run",
            slice.index
        )),
    }
}
