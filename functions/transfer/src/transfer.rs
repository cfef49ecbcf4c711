//! Moves one slice: ranged read, decoder, parts.

use account::Session;
use cloudupload::{
    aws::Retries,
    function::Tools,
    image::{
        cut::Parts,
        decode::Decoder,
        format::Compression,
        plan::{Coding, Slice},
    },
    job::{Job, Progress},
    multipart::Writer,
    reporter::{Count, Meter, PERIOD},
    staging::{StagedFile, Staging},
    workflow::{StepError, Transfer, Transferred},
};
use tokio::time::{Instant, timeout_at};

pub struct Transferring {
    pub tools: Tools,
    pub staging: Staging,
    pub deployment: String,
}

impl Transferring {
    /// Moves the slice, and gives up at `stop`.
    pub async fn run(
        &self,
        Transfer { job: id, slice }: Transfer,
        stop: Instant,
    ) -> Result<Transferred, StepError> {
        let job = self.tools.open_job(id).await?;
        let (count, retries) = (Count::default(), Retries::default());
        let moved = job.work.moved.as_ref();
        let mut meter = Meter::new(
            retries.clone(),
            moved.map_or(0, |moved| moved.values().sum()),
        );
        let report = async || self.report(&job, slice.index, &count, &mut meter).await;
        let work = async {
            let work = self.transfer(&job, &slice, &count, &retries);
            let done = timeout_at(stop, work).await;
            done.unwrap_or_else(|_| Err(out_of_time(&slice)))
        };
        let bytes = self.tools.reporting(id, work, report).await?;
        self.tools
            .jobs
            .set_moved(id, slice.index, count.get())
            .await?;
        Ok(Transferred { bytes })
    }

    async fn transfer(
        &self,
        job: &Job,
        slice: &Slice,
        count: &Count,
        retries: &Retries,
    ) -> Result<u64, StepError> {
        let file = StagedFile::of(job)?;
        let stream = self.staging.stream(
            file.clone(),
            slice.staged.clone(),
            count.clone(),
            retries.clone(),
        );
        let decoder = match &slice.coding {
            Coding::Whole(compression) => Decoder::whole(*compression, stream),
            Coding::XzRun(run) => {
                let records = self.staging.read(&file, run.records.clone()).await?;
                Decoder::run(run.frame(&records).map_err(StepError::because)?, stream)
            }
        };
        let mut parts = Parts::new(slice, decoder);

        let session = Session::assume(&self.tools.config, job, &self.deployment).await?;
        let disk = session.bucket_counting(retries).disk();
        let mut writer = Writer::new(disk.upload(job.target_upload()?));
        let mut bytes = 0;
        while let Some(part) = parts.next().await? {
            bytes += part.body.len() as u64;
            writer.put(part.number.into(), part.body).await?;
            // Decompressing may find all of its input there for minutes, and would keep the reports waiting.
            tokio::task::yield_now().await;
        }
        writer.flush().await?;
        if parts.disk().is_some_and(|disk| disk.vhd) {
            let line = "The image is a fixed VHD: its footer stays behind";
            self.tools.journal.of(job.id).line(line).await;
        }
        Ok(bytes)
    }

    /// Says how far the transfer is, all slices together. One of the slices at work writes the line.
    async fn report(
        &self,
        job: &Job,
        slice: u32,
        count: &Count,
        meter: &mut Meter,
    ) -> Result<(), StepError> {
        let jobs = &self.tools.jobs;
        let now = jobs.set_moved(job.id, slice, count.get()).await?;
        let moved = now.work.moved.as_ref();
        let (bytes, of) = (
            moved.map_or(0, |moved| moved.values().sum()),
            job.order.size,
        );
        let reading = meter.read(bytes, of);
        let progress = Progress::Transferred { bytes, of };
        if jobs.report(&now, progress, PERIOD).await? {
            self.tools
                .journal
                .of(job.id)
                .line(format!("Transferred {reading}"))
                .await;
        }
        Ok(())
    }
}

/// What to say of a slice that a function's time is too short for. What only one stream can decompress takes as long the
/// next time.
fn out_of_time(slice: &Slice) -> StepError {
    match &slice.coding {
        Coding::Whole(compression) if *compression != Compression::Plain => {
            StepError::Failed(format!(
                "{compression} data that has to be decompressed in one piece takes longer than a function may run: \
                 compress the image with \"xz -T0\", whose blocks are decompressed side by side"
            ))
        }
        _ => StepError::Passing(format!(
            "slice {} took longer than a function may run",
            slice.index
        )),
    }
}
