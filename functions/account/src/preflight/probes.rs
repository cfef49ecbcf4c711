//! The calls that try the role's permissions.

use aws_sdk_ebs::{primitives::ByteStream, types::ChecksumAlgorithm};
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, ResourceType, SnapshotDiskContainer, UserBucket,
};
use cloudupload::aws::{self, Failure};

use super::{
    CopyRoute,
    choice::{Finding, Findings},
};
use crate::{Session, route, tags};

/// A snapshot that does not exist, with an id that could.
pub(super) const NO_SNAPSHOT: &str = "snap-00000000000000000";

/// Minutes after which EBS cancels a snapshot that nobody goes on with: the fewest that there are (EBS direct API
/// reference, StartSnapshot, `Timeout`). No snapshot is started here; if one were, it would be gone by then.
const SHORTEST_TIMEOUT: i32 = 10;

/// The codes by which EC2, EBS and S3 refuse what the caller may not do. The last is that of a HEAD request.
const DENIED: [&str; 4] = [
    "UnauthorizedOperation",
    "AccessDeniedException",
    "AccessDenied",
    "Forbidden",
];

pub(super) fn is_denied(failure: &Failure) -> bool {
    failure.has_any_code(&DENIED)
}

/// The refusal, if the permission is missing.
type Probed = Result<Option<Failure>, Failure>;

/// What the answer says about the permission. Any other error than a refusal comes from behind the check: that this was a
/// dry run, or that the snapshot does not exist.
fn judge<T>(answer: Result<T, Failure>) -> Probed {
    match answer {
        Err(failure) if is_denied(&failure) => Ok(Some(failure)),
        Err(failure) if failure.transient => Err(failure),
        _ => Ok(None),
    }
}

/// What the role may do, tried in a session in the user's account.
pub(super) struct Probes<'a> {
    pub(super) session: &'a Session<'a>,
}

impl Probes<'_> {
    /// What AWS refused of what every route needs.
    pub(super) async fn required(&self) -> Result<Vec<Failure>, Failure> {
        let (register, tags) = tokio::try_join!(self.register_image(), self.create_tags())?;
        Ok([register, tags].into_iter().flatten().collect())
    }

    /// What was found out about each route. One that is switched off is not tried.
    pub(super) async fn routes(&self, copy: CopyRoute) -> Result<Findings, Failure> {
        let copy = async {
            match copy {
                CopyRoute::Enabled => self.copy().await,
                CopyRoute::Disabled => Ok(Finding::SwitchedOff),
            }
        };
        let (direct, (import, import_caveat), copy) =
            tokio::try_join!(self.direct(), self.import(), copy)?;
        Ok(Findings {
            direct,
            import,
            copy,
            import_caveat,
        })
    }

    async fn direct(&self) -> Result<Finding, Failure> {
        let (start, put, complete, describe) = tokio::try_join!(
            self.start_snapshot(),
            self.put_snapshot_block(),
            self.complete_snapshot(),
            self.describe_snapshots(),
        )?;
        Ok(finding([start, put, complete, describe]))
    }

    async fn copy(&self) -> Result<Finding, Failure> {
        let (copy, describe) = tokio::try_join!(self.copy_snapshot(), self.describe_snapshots())?;
        Ok(finding([copy, describe]))
    }

    /// What was found out about the route `import`, and what stays untried. Whether the service role exists, and whether
    /// the role may pass it, shows when an import starts.
    async fn import(&self) -> Result<(Finding, Option<String>), Failure> {
        let (import, describe, bucket) = tokio::try_join!(
            self.import_snapshot(),
            self.describe_import_snapshot_tasks(),
            self.head_bucket(),
        )?;
        let name = route::bucket_name(&self.session.job.request.ec2);
        Ok(match (finding([import, describe]), bucket) {
            (Finding::Denied(mut denied), Bucket::Hidden(hidden)) => {
                denied.push(hidden);
                (Finding::Denied(denied), None)
            }
            (finding, Bucket::Missing) => {
                let caveat = format!(
                    "There is no bucket {name} yet: whether the role may create it (s3:CreateBucket) cannot be tried"
                );
                (finding, Some(caveat))
            }
            (Finding::Allowed, Bucket::Hidden(_)) => {
                let caveat = format!(
                    "The bucket {name} is not there yet, or the role may not use it (s3:ListBucket, s3:CreateBucket): that \
                     cannot be told without creating it"
                );
                (Finding::Unproven, Some(caveat))
            }
            (finding, _) => (finding, None),
        })
    }

    async fn register_image(&self) -> Probed {
        let Session { job, tag, ec2, .. } = self.session;
        let root = BlockDeviceMapping::builder()
            .device_name("/dev/sda1")
            .ebs(EbsBlockDevice::builder().snapshot_id(NO_SNAPSHOT).build())
            .build();
        let answer = ec2
            .register_image()
            .name(job.request.ec2.ami_name.to_string())
            .root_device_name("/dev/sda1")
            .block_device_mappings(root)
            .tag_specifications(tags::specification(ResourceType::Image, job, tag))
            .dry_run(true)
            .send()
            .await;
        judge(answer.map_err(Failure::of("ec2:RegisterImage")))
    }

    async fn create_tags(&self) -> Probed {
        let Session { job, tag, ec2, .. } = self.session;
        let answer = ec2
            .create_tags()
            .resources(NO_SNAPSHOT)
            .set_tags(Some(tags::all(job, tag)))
            .dry_run(true)
            .send()
            .await;
        judge(answer.map_err(Failure::of("ec2:CreateTags")))
    }

    async fn describe_snapshots(&self) -> Probed {
        let request = self.session.ec2.describe_snapshots().owner_ids("self");
        let answer = request.dry_run(true).send().await;
        judge(answer.map_err(Failure::of("ec2:DescribeSnapshots")))
    }

    async fn describe_import_snapshot_tasks(&self) -> Probed {
        let request = self.session.ec2.describe_import_snapshot_tasks();
        let answer = request.dry_run(true).send().await;
        judge(answer.map_err(Failure::of("ec2:DescribeImportSnapshotTasks")))
    }

    async fn import_snapshot(&self) -> Probed {
        let Session { job, tag, ec2, .. } = self.session;
        let object = UserBucket::builder()
            .s3_bucket(route::bucket_name(&job.request.ec2))
            .s3_key(tag.to_string());
        let disk = SnapshotDiskContainer::builder()
            .format("RAW")
            .user_bucket(object.build());
        let answer = ec2
            .import_snapshot()
            .disk_container(disk.build())
            .tag_specifications(tags::specification(
                ResourceType::ImportSnapshotTask,
                job,
                tag,
            ))
            .dry_run(true)
            .send()
            .await;
        judge(answer.map_err(Failure::of("ec2:ImportSnapshot")))
    }

    async fn copy_snapshot(&self) -> Probed {
        let Session { job, tag, ec2, .. } = self.session;
        let answer = ec2
            .copy_snapshot()
            .source_region(job.request.ec2.region.to_string())
            .source_snapshot_id(NO_SNAPSHOT)
            .tag_specifications(tags::specification(ResourceType::Snapshot, job, tag))
            .dry_run(true)
            .send()
            .await;
        judge(answer.map_err(Failure::of("ec2:CopySnapshot")))
    }

    /// A snapshot is only started from a parent that exists.
    async fn start_snapshot(&self) -> Probed {
        let Session { job, tag, ebs, .. } = self.session;
        let answer = ebs
            .start_snapshot()
            .parent_snapshot_id(NO_SNAPSHOT)
            .volume_size(1)
            .set_tags(Some(tags::all_for_ebs(job, tag)))
            .timeout(SHORTEST_TIMEOUT)
            .send()
            .await;
        judge(answer.map_err(Failure::of("ebs:StartSnapshot")))
    }

    /// The block is one that EBS would take, so that nothing but the permission and the snapshot can be at fault.
    async fn put_snapshot_block(&self) -> Probed {
        let block = vec![0; route::BLOCK];
        let answer = self
            .session
            .ebs
            .put_snapshot_block()
            .snapshot_id(NO_SNAPSHOT)
            .block_index(0)
            .data_length(route::BLOCK as i32)
            .checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256)
            .checksum(route::checksum(&block))
            .block_data(ByteStream::from(block))
            .send()
            .await;
        judge(answer.map_err(Failure::of("ebs:PutSnapshotBlock")))
    }

    async fn complete_snapshot(&self) -> Probed {
        let request = self.session.ebs.complete_snapshot();
        let request = request.snapshot_id(NO_SNAPSHOT).changed_blocks_count(0);
        let answer = request.send().await;
        judge(answer.map_err(Failure::of("ebs:CompleteSnapshot")))
    }

    async fn head_bucket(&self) -> Result<Bucket, Failure> {
        let target = &self.session.job.request.ec2;
        let answer = aws::s3(&self.session.config)
            .head_bucket()
            .bucket(route::bucket_name(target))
            .expected_bucket_owner(target.role.account().to_string())
            .send()
            .await
            .map_err(Failure::of("s3:HeadBucket"));
        match answer {
            Err(failure) if failure.has_code("NotFound") => Ok(Bucket::Missing),
            answer => Ok(judge(answer)?.map_or(Bucket::Seen, Bucket::Hidden)),
        }
    }
}

/// What the role sees of the bucket in the user's account.
enum Bucket {
    Seen,
    Missing,
    /// S3 refused to tell. It also does so for a bucket that is not there, if the permission has the condition
    /// `aws:ResourceAccount`, as in `infra/user-account.yaml`.
    Hidden(Failure),
}

fn finding<const N: usize>(probed: [Option<Failure>; N]) -> Finding {
    let denied: Vec<Failure> = probed.into_iter().flatten().collect();
    match denied.is_empty() {
        true => Finding::Allowed,
        false => Finding::Denied(denied),
    }
}
