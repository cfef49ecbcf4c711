//! Tags and descriptions on everything made in a user's account: whoever finds it can tell where it came from.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use cloudupload::job::{Job, JobId};

/// The tag that names the job, and by which its leftovers are found.
pub(crate) const JOB: &str = "obs:job";

/// Job numbers count up from 1 in every deployment, so that the tag has to name that too.
pub(crate) fn job_value(job: JobId, deployment: &str) -> String {
    format!("{deployment}/{}", job.execution_name())
}

/// Whether these are the tags of something made for this job.
pub(crate) fn are_of(tags: &[Tag], job: JobId, deployment: &str) -> bool {
    let value = job_value(job, deployment);
    tags.iter()
        .any(|tag| tag.key() == Some(JOB) && tag.value() == Some(&value))
}

pub(crate) fn of(job: &Job, deployment: &str) -> Vec<Tag> {
    let order = &job.order;
    [
        ("Name", order.ec2.ami_name.to_string()),
        ("obs:project", order.project.to_string()),
        ("obs:package", order.package.to_string()),
        ("obs:repository", order.repository.to_string()),
        ("obs:file", order.filename.to_string()),
        (JOB, job_value(job.id, deployment)),
    ]
    .into_iter()
    .map(|(key, value)| Tag::builder().key(key).value(cut(value, TAG)).build())
    .collect()
}

pub(crate) fn specification(what: ResourceType, job: &Job, deployment: &str) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(what)
        .set_tags(Some(of(job, deployment)))
        .build()
}

/// Characters of a tag's value (EC2 user guide, "Tag restrictions").
const TAG: usize = 256;

/// Characters of a description. EC2 takes no others than ASCII ("Character sets beyond ASCII are not supported", as it
/// answers), and documents 255 of them for its security groups; it documents nothing for images and snapshots.
const DESCRIPTION: usize = 255;

/// A text that EC2 takes for a description.
pub(crate) fn description(text: &str) -> String {
    let ascii = text.replace(|c: char| !(c.is_ascii_graphic() || c == ' '), "?");
    cut(ascii, DESCRIPTION)
}

fn cut(text: String, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_short_ascii() {
        assert_eq!(description("ünïcode.raw from a/b"), "?n?code.raw from a/b");
        assert_eq!(description(&"x".repeat(300)), "x".repeat(255));
    }
}
