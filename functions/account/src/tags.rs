//! Tags on everything made in a user's account: whoever finds it can tell where it came from.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use cloudupload::job::{Job, JobId};

/// The tag that names the job, and by which its leftovers are found.
pub(crate) const JOB: &str = "obs:job";

/// Job numbers count up from 1 in every deployment, so that the tag has to name that too.
pub(crate) fn job_value(job: JobId, deployment: &str) -> String {
    format!("{deployment}/{}", job.execution_name())
}

pub(crate) fn specification(of: ResourceType, job: &Job, deployment: &str) -> TagSpecification {
    let order = &job.order;
    let tags = [
        ("Name", order.ec2.ami_name.to_string()),
        ("obs:project", order.project.to_string()),
        ("obs:package", order.package.to_string()),
        ("obs:repository", order.repository.to_string()),
        ("obs:file", order.filename.to_string()),
        (JOB, job_value(job.id, deployment)),
    ];
    TagSpecification::builder()
        .resource_type(of)
        .set_tags(Some(
            tags.into_iter()
                .map(|(key, value)| Tag::builder().key(key).value(cut(value)).build())
                .collect(),
        ))
        .build()
}

/// A tag's value has at most 256 characters (EC2 user guide, "Tag restrictions").
fn cut(value: String) -> String {
    match value.char_indices().nth(256) {
        Some((end, _)) => value[..end].to_owned(),
        None => value,
    }
}
