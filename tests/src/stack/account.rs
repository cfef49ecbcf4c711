//! The user's account: AMIs and their bytes, and whatever a job has left in this account or the service's own.

use std::{collections::HashSet, env, path::PathBuf};

use aws_sdk_ec2::types::{Image, ImportSnapshotTask, Tag};
use tokio::{fs, process::Command};

use super::Stack;
use crate::{Job, environment::env_var};

impl Stack {
    /// The bucket in the user's account.
    pub fn bucket(&self) -> String {
        format!(
            "obs-cloudupload-{}-{}",
            env_var("USER_ACCOUNT"),
            self.region
        )
    }

    pub async fn image(&self, id: &str) -> Image {
        let answer = self
            .ec2
            .describe_images()
            .image_ids(id)
            .send()
            .await
            .expect("EC2 answers");
        answer
            .images
            .unwrap_or_default()
            .pop()
            .expect("the AMI is there")
    }

    /// The AMIs and snapshots of the job in the user's account.
    pub async fn images_and_snapshots(&self, job: &Job) -> Vec<String> {
        let answer = self.ec2.describe_images().owners("self").send().await;
        let images = answer.expect("EC2 answers").images.unwrap_or_default();
        let own = images
            .into_iter()
            .filter(|image| is_tagged(image.tags(), job));
        let images = own.filter_map(|image| image.image_id);
        images
            .chain(tagged_snapshots(&self.ec2, job).await)
            .collect()
    }

    /// The bytes of an AMI's root snapshot.
    pub async fn image_bytes(&self, id: &str) -> Vec<u8> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let file = env::temp_dir().join(format!("{id}.raw"));
        let status = Command::new(root.join("infra/local/ami-to-file"))
            .args([id, &file.to_string_lossy()])
            .status()
            .await
            .expect("infra/local/ami-to-file runs");
        assert!(status.success(), "infra/local/ami-to-file {id}: {status}");
        let bytes = fs::read(&file)
            .await
            .expect("infra/local/ami-to-file wrote the file");
        fs::remove_file(&file)
            .await
            .expect("a file of ours can be removed");
        bytes
    }

    /// Whatever the job has left in both accounts, except its finished AMI and that AMI's snapshot.
    pub async fn leftovers(&self, job: &Job) -> Vec<String> {
        let id = job.id();
        let mut leftovers = Vec::new();
        if self.queue().await.contains(id) {
            leftovers.push(format!("slot of job {id}"));
        }
        let staging = env_var("STAGING_BUCKET");
        leftovers.extend(keys_with(&self.own_s3, &staging, &format!("job-{id}/")).await);
        leftovers.extend(keys_with(&self.s3, &self.bucket(), &format!("job-{id}.raw")).await);
        let own = tagged_snapshots(&self.own_ec2, job).await.into_iter();
        leftovers.extend(own.map(|snapshot| format!("the service's own {snapshot}")));
        leftovers.extend(self.leftovers_in_ec2(job).await);
        leftovers
    }

    /// AMIs, import tasks that still run, and snapshots that no AMI uses.
    async fn leftovers_in_ec2(&self, job: &Job) -> Vec<String> {
        let images = self.ec2.describe_images().owners("self").send().await;
        let images = images.expect("EC2 answers");
        let tasks = self.ec2.describe_import_snapshot_tasks().send().await;
        let tasks = tasks.expect("EC2 answers");
        let finished = (job.state() == "succeeded").then(|| job.details());
        let mut leftovers: Vec<String> = images
            .images()
            .iter()
            .filter(|image| is_tagged(image.tags(), job) && image.image_id() != finished)
            .filter_map(|image| image.image_id.clone())
            .collect();
        let used: HashSet<&str> = images.images().iter().flat_map(snapshots).collect();
        let tagged = tagged_snapshots(&self.ec2, job).await.into_iter();
        leftovers.extend(tagged.filter(|snapshot| !used.contains(snapshot.as_str())));
        for task in tasks.import_snapshot_tasks() {
            if is_tagged(task.tags(), job) {
                leftovers.extend(self.leftovers_of_task(task, &used).await);
            }
        }
        leftovers
    }

    /// The task, if it still runs, and its snapshot, if there is one that is not in use.
    async fn leftovers_of_task(
        &self,
        task: &ImportSnapshotTask,
        used: &HashSet<&str>,
    ) -> Vec<String> {
        let mut leftovers = Vec::new();
        let detail = task.snapshot_task_detail().expect("a task has details");
        if ["pending", "active"].contains(&detail.status().unwrap_or_default()) {
            leftovers.extend(task.import_task_id.clone());
        }
        // EC2 answers with an empty id until there is a snapshot.
        let snapshot = detail.snapshot_id().unwrap_or_default();
        if !snapshot.is_empty() && !used.contains(snapshot) {
            let request = self.ec2.describe_snapshots().snapshot_ids(snapshot);
            if request.send().await.is_ok() {
                leftovers.push(snapshot.to_owned());
            }
        }
        leftovers
    }
}

/// The snapshots that the AMI uses.
pub fn snapshots(image: &Image) -> impl Iterator<Item = &str> {
    let devices = image.block_device_mappings().iter();
    devices.filter_map(|device| device.ebs()?.snapshot_id())
}

/// The snapshots of an account that carry the job's tag.
async fn tagged_snapshots(ec2: &aws_sdk_ec2::Client, job: &Job) -> Vec<String> {
    let answer = ec2.describe_snapshots().owner_ids("self").send().await;
    let snapshots = answer.expect("EC2 answers").snapshots.unwrap_or_default();
    let tagged = snapshots
        .into_iter()
        .filter(|snapshot| is_tagged(snapshot.tags(), job));
    tagged.filter_map(|snapshot| snapshot.snapshot_id).collect()
}

/// Whether something carries the job's tag, of whatever deployment.
fn is_tagged(tags: &[Tag], job: &Job) -> bool {
    let end = format!("/job-{}", job.id());
    tags.iter()
        .any(|tag| tag.value().is_some_and(|value| value.ends_with(&end)))
}

/// Objects and unfinished uploads whose key contains this.
async fn keys_with(s3: &aws_sdk_s3::Client, bucket: &str, part: &str) -> Vec<String> {
    let Ok(objects) = s3.list_objects_v2().bucket(bucket).send().await else {
        // The first upload into a region makes the user's bucket.
        return Vec::new();
    };
    let uploads = s3
        .list_multipart_uploads()
        .bucket(bucket)
        .send()
        .await
        .expect("S3 answers");
    let objects = objects.contents().iter().filter_map(|object| object.key());
    let uploads = uploads.uploads().iter().filter_map(|upload| upload.key());
    objects
        .chain(uploads)
        .filter(|key| key.contains(part))
        .map(|key| format!("s3://{bucket}/{key}"))
        .collect()
}
