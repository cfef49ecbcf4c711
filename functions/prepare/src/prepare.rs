//! Opens the way: a session in the user's account, a plan for the disk, an upload into the user's bucket.

use std::collections::BTreeMap;

use account::{Ami, Bucket, Session};
use cloudupload::{
    image::partition::BootMode,
    job::{Disk, JobId, State, Work},
    jobs,
    names::Arch,
    staging::{StagedFile, Staging},
    workflow::{Prepared, StepError, Tools},
};

use crate::inspect::{Findings, inspect};

pub struct Preparing {
    pub tools: Tools,
    pub staging: Staging,
    pub deployment: String,
}

impl Preparing {
    pub async fn run(&self, id: JobId) -> Result<Prepared, StepError> {
        let jobs = &self.tools.jobs;
        let job = jobs
            .advance(id, State::Uploading, "uploading image")
            .await?;
        let log = self.tools.journal.of(id);
        // Written down before anything is touched in the user's account: the clean-up goes by it.
        let began = job.work.upload_began.unwrap_or_else(jobs::now);
        let news = Work {
            upload_began: Some(began),
            ..Work::default()
        };
        let job = jobs.learn(id, &news).await?;
        log.line(format!("Start uploading image {}.", job.order.filename))
            .await;

        let session = Session::assume(&self.tools.config, &job, &self.deployment)
            .await
            .map_err(StepError::because)?;
        log.line("Successfully authenticated.").await;
        if let Some(subnet) = &job.order.ec2.vpc_subnet_id {
            log.line(format!(
                "{subnet} is not used: no helper instance is started."
            ))
            .await;
        }
        let ami = Ami {
            ec2: &session.ec2,
            job: &job,
            deployment: &self.deployment,
        };
        ami.check_name().await.map_err(StepError::because)?;

        let staged = job
            .work
            .staged
            .clone()
            .ok_or_else(|| StepError::because("the record names no staged file"))?;
        let file = StagedFile {
            key: job.staged_key(),
            etag: staged.etag,
        };
        let Findings {
            compression,
            table,
            slices,
        } = inspect(
            &self.staging,
            &file,
            job.order.filename.as_str(),
            job.order.size,
        )
        .await
        .map_err(StepError::because)?;
        let boot = match job.order.arch {
            // EC2 boots arm64 by UEFI only (EC2 user guide, "Boot modes").
            Arch::Aarch64 => BootMode::Uefi,
            Arch::X86_64 => table.boot_mode(),
        };
        log.line(format!(
            "{compression} data in {} slices; {table}",
            slices.len()
        ))
        .await;

        let bucket = session.bucket();
        if bucket.ensure().await.map_err(StepError::because)? {
            log.line(format!("Created bucket {}", bucket.name())).await;
        }
        let upload = bucket.begin(Bucket::key(&self.deployment, id)).await?;
        let news = Work {
            disk: Some(Disk { compression, boot }),
            moved: Some(BTreeMap::new()),
            target_upload: Some(upload.id),
            ..Work::default()
        };
        jobs.learn(id, &news).await?;
        Ok(Prepared { job: id, slices })
    }
}
