//! Moves one slice: ranged read, decoder, parts.

use account::{Bucket, Session};
use cloudupload::{
    aws::Retries,
    image::{
        cut::Parts,
        decode::Decoder,
        plan::{Coding, Slice},
    },
    job::{Job, Progress},
    multipart::Writer,
    reporter::{Count, Meter, PERIOD},
    staging::{StagedFile, Staging},
    workflow::{StepError, Tools, Transfer, Transferred},
};

pub struct Transferring {
    pub tools: Tools,
    pub staging: Staging,
    pub deployment: String,
}

impl Transferring {
    pub async fn run(
        &self,
        Transfer { job: id, slice }: Transfer,
    ) -> Result<Transferred, StepError> {
        let job = self.tools.open_job(id).await?;
        let (count, retries) = (Count::default(), Retries::default());
        let mut meter = Meter::new(retries.clone());
        let report = async || self.report(&job, slice.index, &count, &mut meter).await;
        let work = self.transfer(&job, &slice, &count, &retries);
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
        let (Some(staged), Some(upload)) = (&job.work.staged, &job.work.target_upload) else {
            return Err(StepError::because(
                "the record names no staged file or no upload",
            ));
        };
        let file = StagedFile {
            key: job.staged_key(),
            etag: staged.etag.clone(),
        };
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
        let key = Bucket::key(&self.deployment, job.id);
        let upload = session.bucket_counting(retries).upload(key, upload.clone());
        let mut writer = Writer::new(upload);
        let mut bytes = 0;
        while let Some(part) = parts.next().await? {
            bytes += part.body.len() as u64;
            writer.put(part.number.into(), part.body).await?;
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
        let (bytes, of) = (
            now.work.moved.unwrap_or_default().values().sum(),
            job.order.size,
        );
        let reading = meter.read(bytes, of);
        if jobs.may_report(job.id, PERIOD).await? {
            jobs.set_progress(job.id, Progress::Transferred { bytes, of })
                .await?;
            self.tools
                .journal
                .of(job.id)
                .line(format!("Transferred {reading}"))
                .await;
        }
        Ok(())
    }
}
