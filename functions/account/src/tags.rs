//! Tags and descriptions on everything made in a user's account: its owner can tell where it came from.

use std::fmt;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use cloudupload::{
    job::{Job, JobId},
    target::UserTags,
};

/// The tag that names the job, and by which its leftovers are found.
pub(crate) const JOB: &str = "obs:job";

/// The value of the tag [`JOB`], `<deployment>/job-17`: jobs are counted from 1 in every deployment, so that it has to name
/// that too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTag {
    deployment: String,
    job: JobId,
}

impl JobTag {
    /// `deployment` is the unique part of the CloudFormation stack's id.
    pub fn new(deployment: &str, job: JobId) -> Self {
        Self {
            deployment: deployment.to_owned(),
            job,
        }
    }

    /// Whether something with these tags was made for the job.
    pub(crate) fn is_in(&self, tags: &[Tag]) -> bool {
        let value = self.to_string();
        tags.iter()
            .any(|tag| tag.key() == Some(JOB) && tag.value() == Some(&value))
    }

    /// The token by which EC2 knows a call for this job again.
    pub(crate) fn client_token(&self) -> String {
        format!("{}-{}", self.deployment, self.job.execution_name())
    }
}

impl fmt::Display for JobTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.deployment, self.job.execution_name())
    }
}

/// All tags of what is made for a job: the uploader's own, and the user's beside them. Every route takes them as they
/// are: no name of OBS's has more than 255 bytes.
pub(crate) fn all(job: &Job, tag: &JobTag) -> Vec<Tag> {
    let request = &job.request;
    let users = &request.ec2.wishes.tags;
    let name = users.name().unwrap_or(request.ec2.ami_name.as_str());
    let job_tag = tag.to_string();
    let own = [
        (UserTags::NAME, name),
        ("obs:project", request.project.as_str()),
        ("obs:package", request.package.as_str()),
        ("obs:repository", request.repository.as_str()),
        ("obs:file", request.filename.as_str()),
        (JOB, &job_tag),
    ];
    let users = users.iter().filter(|&(key, _)| key != UserTags::NAME);
    own.into_iter()
        .chain(users)
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// The same for EBS direct.
pub(crate) fn all_for_ebs(job: &Job, tag: &JobTag) -> Vec<aws_sdk_ebs::types::Tag> {
    let tags = all(job, tag).into_iter().map(|tag| {
        aws_sdk_ebs::types::Tag::builder()
            .set_key(tag.key)
            .set_value(tag.value)
            .build()
    });
    tags.collect()
}

pub(crate) fn specification(what: ResourceType, job: &Job, tag: &JobTag) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(what)
        .set_tags(Some(all(job, tag)))
        .build()
}

/// Characters of a description. EC2 takes ASCII only ("Character sets beyond ASCII are not supported", as it answers), and
/// documents 255 characters for its security groups; it documents nothing for images and snapshots.
const DESCRIPTION: usize = 255;

/// The description of an AMI or its snapshot: where it came from.
pub(crate) fn origin(job: &Job) -> String {
    let request = &job.request;
    description(&format!(
        "{} from {}/{}",
        request.filename, request.project, request.package
    ))
}

/// A text that EC2 takes for a description.
pub(crate) fn description(text: &str) -> String {
    let ascii = text.replace(|c: char| !(c.is_ascii_graphic() || c == ' '), "?");
    ascii.chars().take(DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_user_s_tags_stand_beside_ours() {
        let tags = |wishes: Value| -> Vec<(String, String)> {
            let mut job = crate::testing::job();
            job.request.ec2.wishes = serde_json::from_value(wishes).unwrap();
            let tags = all(&job, &JobTag::new("0a1b", job.id));
            let tags = tags.into_iter();
            tags.map(|tag| (tag.key.unwrap(), tag.value.unwrap()))
                .collect()
        };
        let own = |name: &str| {
            [
                ("Name", name),
                ("obs:project", "Cloud:Images"),
                ("obs:package", "leap-ec2"),
                ("obs:repository", "images"),
                ("obs:file", "leap-ec2.x86_64-15.6.raw.xz"),
                ("obs:job", "0a1b/job-1"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        assert_eq!(tags(json!({})), own("leap"));
        let users = [("Team".to_owned(), "images".to_owned())];
        assert_eq!(
            tags(json!({"tags": {"Team": "images", "Name": "mine"}})),
            [&own("mine")[..], &users].concat()
        );
        let most: Value = (0..44).map(|n| (format!("k{n}"), json!("v"))).collect();
        assert_eq!(tags(json!({ "tags": most })).len(), 50);
    }

    #[test]
    fn a_description_is_short_ascii() {
        assert_eq!(description("ünïcode.raw from a/b"), "?n?code.raw from a/b");
        assert_eq!(description(&"x".repeat(300)), "x".repeat(255));
    }

    #[test]
    fn the_tag_tells_deployments_apart() {
        let job = JobId::new(17).unwrap();
        let tag = JobTag::new("0a1b", job);
        assert_eq!(tag.to_string(), "0a1b/job-17");
        assert_eq!(tag.client_token(), "0a1b-job-17");
        let tags = |value: &str| vec![Tag::builder().key(JOB).value(value).build()];
        assert!(tag.is_in(&tags("0a1b/job-17")));
        assert!(!tag.is_in(&tags("0a1c/job-17")));
        assert!(!tag.is_in(&tags("0a1b/job-171")));
    }
}
