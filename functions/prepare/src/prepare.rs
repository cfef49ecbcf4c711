//! Opens the way: a session in the user's account, a plan for the disk, an upload into the user's bucket.

use std::collections::BTreeMap;

use account::Session;
use cloudupload::{
    clock,
    function::Tools,
    image::partition::BootMode,
    job::{Disk, JobId, Work},
    names::Arch,
    slots::Slots,
    staging::{StagedFile, Staging},
    workflow::{Prepared, StepError},
};

use crate::inspect::{Findings, inspect};

pub struct Preparing {
    pub tools: Tools,
    pub slots: Slots,
    pub staging: Staging,
    pub deployment: String,
}

impl Preparing {
    pub async fn run(&self, id: JobId) -> Result<Prepared, StepError> {
        self.tools.while_open(id, self.prepare(id)).await
    }

    async fn prepare(&self, id: JobId) -> Result<Prepared, StepError> {
        self.slots.begin(id, "uploading image").await?;
        let jobs = &self.tools.jobs;
        let job = self.tools.open_job(id).await?;
        let log = self.tools.journal.of(id);
        log.line(format!("Start uploading image {}.", job.order.filename))
            .await;

        let session = Session::assume(&self.tools.config, &job, &self.deployment).await?;
        log.line("Successfully authenticated.").await;
        if let Some(subnet) = &job.order.ec2.vpc_subnet_id {
            log.line(format!(
                "{subnet} is not used: no helper instance is started."
            ))
            .await;
        }
        session.ami().check_name().await?;

        let file = StagedFile::of(&job)?;
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
        .await?;
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
        if bucket.ensure().await? {
            log.line(format!("Created bucket {}", bucket.name())).await;
        }
        let news = Work {
            disk_began: Some(clock::now()),
            ..Work::default()
        };
        jobs.learn(id, &news).await?;
        // Slices may go into the upload of an earlier run of this step already: that is the one that counts.
        let upload = match &job.work.target_upload {
            Some(upload) => upload.clone(),
            None => bucket.disk().begin().await?.id().to_owned(),
        };
        let news = Work {
            disk: Some(Disk { compression, boot }),
            moved: Some(BTreeMap::new()),
            target_upload: Some(upload),
            ..Work::default()
        };
        jobs.learn_first(id, &news).await?;
        Ok(Prepared { job: id, slices })
    }
}
