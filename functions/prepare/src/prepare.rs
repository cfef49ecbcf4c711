//! Validates the job and opens the target of its route.

use std::collections::BTreeMap;

use account::{
    Accounts, Purpose, Session,
    messages::{PrepareOutput, RouteSlice},
};
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
use image::{partition::Table, slice::Slice};
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
        let disk = Disk {
            slices,
            volume_bytes,
            found,
        };
        let slices = self.open_route(invocation, &session, disk).await?;
        Ok(PrepareOutput {
            job: job.id,
            slices,
        })
    }
}

/// What a route is opened for.
#[derive(Clone)]
struct Disk {
    slices: Vec<Slice>,
    volume_bytes: u64,
    found: Artifacts,
}

impl Prepare {
    /// Opens the job's route, or its second one where the first is refused. `preflight` has tried the permission, but with
    /// a snapshot that does not exist, which AWS may look for first.
    async fn open_route(
        &self,
        invocation: &Invocation<'_, JobAlone>,
        session: &Session<'_>,
        disk: Disk,
    ) -> Result<Vec<RouteSlice>, StepError> {
        let (job, jobs) = (&invocation.job, &invocation.environment.jobs);
        let log = || invocation.environment.log(job.id);
        let Disk {
            slices,
            volume_bytes,
            found,
        } = disk.clone();
        let route = session.route(jobs, log());
        let refused = match route.open(slices, volume_bytes, found).await {
            Err(error) if error.is_refused_start() => error,
            opened => return Ok(opened?),
        };
        let artifacts = &job.artifacts;
        let second = artifacts
            .second_route
            .filter(|&second| artifacts.route != Some(second));
        let Some(second) = second else {
            return Err(refused.into());
        };
        let line = format!("Route {second}: {refused}");
        invocation.log(line).await;
        let update = Artifacts {
            route: Some(second),
            ..Artifacts::default()
        };
        let job = jobs.record(job.id, &update).await?;
        let session = self.accounts.session(&job, Purpose::Open).await?;
        let route = session.route(jobs, log());
        let opened = route.open(disk.slices, disk.volume_bytes, disk.found);
        Ok(opened.await?)
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
