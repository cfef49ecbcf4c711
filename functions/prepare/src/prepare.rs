//! Validates the job and opens the target of its route.

use std::collections::BTreeMap;

use account::{Accounts, Purpose, messages::PrepareOutput};
use cloudupload::{
    environment::Environment,
    error::StepError,
    job::{Artifacts, DiskFacts, Job, JobId},
    messages::JobAlone,
    names::Arch,
    settings::setting,
    staging::{StagedFile, Staging},
    step::{Invocation, Step},
    store::Slots,
    target::BootMode,
};
use image::partition::Table;
use inspection::{Findings, inspect};

pub struct Prepare {
    slots: Slots,
    staging: Staging,
    accounts: Accounts,
}

impl Step for Prepare {
    const NAME: &str = "prepare";
    type Input = JobAlone;
    type Output = PrepareOutput;

    fn from_env(environment: &Environment) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            slots: Slots::new(environment.jobs.clone(), setting("SLOTS_TABLE")?),
            staging: environment.staging()?,
            accounts: Accounts::from_env(environment)?,
        })
    }

    async fn open(&self, _: &Environment, id: JobId) -> Result<Job, StepError> {
        Ok(self.slots.begin(id, "uploading image").await?)
    }

    async fn run(&self, invocation: &Invocation<'_, JobAlone>) -> Result<PrepareOutput, StepError> {
        let job = &invocation.job;
        let request = &job.request;
        invocation
            .log(format!("Start uploading image {}.", request.filename))
            .await;
        let session = self.accounts.session(job, Purpose::Open).await?;
        invocation.log("Successfully authenticated.").await;
        if let Some(subnet) = &request.ec2.vpc_subnet_id {
            let line = format!("{subnet} is not used: no helper instance is started.");
            invocation.log(line).await;
        }
        session.ami().check_name().await?;

        let file = StagedFile::of(job)?;
        let name = request.filename.as_str();
        let Findings {
            compression,
            table,
            slices,
            volume_bytes,
            ..
        } = inspect(&self.staging, &file, name, request.size).await?;
        invocation
            .log(format!(
                "{compression} data in {} slices; {table}",
                slices.len()
            ))
            .await;
        let found = Artifacts {
            disk_facts: Some(DiskFacts {
                compression: compression.as_str().to_owned(),
                boot: boot_mode(request.arch, &table),
            }),
            transferred: Some(BTreeMap::new()),
            ..Artifacts::default()
        };
        let jobs = &invocation.environment.jobs;
        let route = session.route(jobs, invocation.environment.log(job.id));
        let slices = route.open(slices, volume_bytes, found).await?;
        Ok(PrepareOutput {
            job: job.id,
            slices,
        })
    }
}

/// How a machine boots from the disk. EC2 boots arm64 by UEFI only (EC2 user guide, "Boot modes"). An x86_64 disk with
/// neither an EFI system partition nor boot code gets EC2's default.
fn boot_mode(arch: Arch, table: &Table) -> BootMode {
    match (arch, table.efi_system, table.boot_code) {
        (Arch::Aarch64, ..) => BootMode::Uefi,
        (Arch::X86_64, true, true) => BootMode::UefiPreferred,
        (Arch::X86_64, true, false) => BootMode::Uefi,
        (Arch::X86_64, false, _) => BootMode::LegacyBios,
    }
}

#[cfg(test)]
mod tests {
    use image::partition::Scheme;

    use super::*;

    #[test]
    fn the_disk_tells_how_it_boots() {
        let table = |efi_system, boot_code| Table {
            scheme: Scheme::Gpt,
            partitions: 1,
            efi_system,
            boot_code,
            needs: 0,
        };
        for (efi_system, boot_code, boot) in [
            (true, true, BootMode::UefiPreferred),
            (true, false, BootMode::Uefi),
            (false, true, BootMode::LegacyBios),
            (false, false, BootMode::LegacyBios),
        ] {
            let table = table(efi_system, boot_code);
            assert_eq!(boot_mode(Arch::X86_64, &table), boot);
            assert_eq!(boot_mode(Arch::Aarch64, &table), BootMode::Uefi);
        }
    }
}
