//! Removes the image that a job has made, when its user wants it no more: the AMI, and the snapshot under it.

use aws_sdk_ec2::types::Image;
use cloudupload::{
    aws::Failure,
    job::{AmiId, SnapshotId},
    target::RoleArn,
};

use crate::{JobTag, Session, tags};

/// Why an image is not removed, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum ImageRemovalError {
    #[error(
        "{ami} has lost the tag {key}={tag}, by which the image of this job is known: give the tag back, or deregister the \
         AMI and delete {snapshot} yourself",
        key = tags::JOB
    )]
    Untagged {
        ami: AmiId,
        snapshot: SnapshotId,
        tag: JobTag,
    },
    #[error("{snapshot} is also the snapshot of {others}: deregister that first")]
    SnapshotInUse {
        snapshot: SnapshotId,
        /// The ids of other images in the account.
        others: String,
    },
    #[error(
        "{failure}. The role {role} does not allow that, or the image has lost its tag {key}: allow it and try again, or \
         remove AMI and snapshot yourself",
        key = tags::JOB
    )]
    NotAllowed {
        role: Box<RoleArn>,
        #[source]
        failure: Failure,
    },
    #[error("{0}")]
    Aws(#[source] Failure),
}

impl Session<'_> {
    /// Deregisters the job's AMI and deletes its snapshot. Idempotent: what is gone already is removed. Nothing is removed while
    /// other images of the account are made of the snapshot.
    pub async fn remove_image(
        &self,
        ami: &AmiId,
        snapshot: &SnapshotId,
    ) -> Result<(), ImageRemovalError> {
        let told = |failure: Failure| match failure.has_code("UnauthorizedOperation") {
            true => ImageRemovalError::NotAllowed {
                role: Box::new(self.job.request.ec2.role.clone()),
                failure,
            },
            false => ImageRemovalError::Aws(failure),
        };
        let images = self.ami().made_of(snapshot).await.map_err(told)?;
        self.check_others(images, ami, snapshot)?;
        self.ami().remove().await.map_err(told)?;
        let removed = self.remove_snapshot_of_ami(snapshot).await;
        removed.map_err(told)
    }

    /// Fails if images are made of the snapshot that are not the job's.
    fn check_others(
        &self,
        images: Vec<Image>,
        ami: &AmiId,
        snapshot: &SnapshotId,
    ) -> Result<(), ImageRemovalError> {
        let others = images.iter().filter(|image| !self.ami().is_ours(image));
        let others: Vec<&str> = others.filter_map(Image::image_id).collect();
        if others.contains(&ami.as_str()) {
            return Err(ImageRemovalError::Untagged {
                ami: ami.clone(),
                snapshot: snapshot.clone(),
                tag: self.tag.clone(),
            });
        }
        match others.is_empty() {
            true => Ok(()),
            false => Err(ImageRemovalError::SnapshotInUse {
                snapshot: snapshot.clone(),
                others: others.join(", "),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use cloudupload::error::is_transient;
    use fake_endpoint::{
        Answer, Call, Endpoint,
        ec2::{self, Tags},
    };

    use super::*;
    use crate::testing::{OTHERS, OURS, job, session_at};

    /// An account with these images, all made of the job's snapshot, in which a call may be answered otherwise.
    fn account(
        images: &'static [(&'static str, Tags<'static>)],
        mut otherwise: impl FnMut(&Call) -> Option<Answer> + Send + 'static,
    ) -> Endpoint {
        Endpoint::new(move |call| {
            otherwise(call).unwrap_or_else(|| match call.name.as_str() {
                "DescribeImages" => ec2::images(call, images),
                _ => call.result("<return>true</return>"),
            })
        })
    }

    async fn remove(endpoint: &Endpoint) -> Result<(), ImageRemovalError> {
        let job = job();
        let session = session_at(endpoint, &job);
        let (ami, snapshot) = ("ami-1".parse().unwrap(), "snap-1".parse().unwrap());
        session.remove_image(&ami, &snapshot).await
    }

    const OWN: &[(&str, Tags<'_>)] = &[("ami-1", &[OURS])];
    const LOOKS: [&str; 2] = ["DescribeImages"; 2];

    #[tokio::test]
    async fn the_ami_goes_and_then_its_snapshot() {
        let endpoint = account(OWN, |_| None);
        remove(&endpoint).await.unwrap();
        let calls = [&LOOKS[..], &["DeregisterImage", "DeleteSnapshot"]].concat();
        assert_eq!(endpoint.names(), calls);
        let [look, _, deregister, delete] = &endpoint.calls()[..] else {
            panic!("there were four calls");
        };
        assert_eq!(
            look.parameter("Filter.1.Name"),
            "block-device-mapping.snapshot-id"
        );
        assert_eq!(look.parameter("Filter.1.Value.1"), "snap-1");
        assert_eq!(look.parameter("IncludeDisabled"), "true");
        assert_eq!(deregister.parameter("ImageId"), "ami-1");
        assert_eq!(delete.parameter("SnapshotId"), "snap-1");
    }

    #[tokio::test]
    async fn what_is_gone_already_is_removed() {
        let endpoint = account(&[], |call| {
            let gone = call.name == "DeleteSnapshot";
            gone.then(|| call.refusal(400, "InvalidSnapshot.NotFound", "no such snapshot"))
        });
        remove(&endpoint).await.unwrap();
        let calls = [&LOOKS[..], &["DeleteSnapshot"]].concat();
        assert_eq!(endpoint.names(), calls);
    }

    /// EC2 knows of the deregistration a moment later.
    #[tokio::test]
    async fn a_snapshot_that_is_in_use_for_a_moment_is_tried_again() {
        let mut times = 2;
        let endpoint = account(OWN, move |call| {
            let fails = call.name == "DeleteSnapshot" && times > 0;
            times -= i32::from(fails);
            fails.then(|| call.refusal(400, "InvalidSnapshot.InUse", "in use by ami-1"))
        });
        remove(&endpoint).await.unwrap();
        assert_eq!(endpoint.calls_of("DeleteSnapshot").len(), 3);
    }

    #[tokio::test]
    async fn nothing_goes_while_another_image_is_made_of_the_snapshot() {
        let endpoint = account(&[("ami-1", &[OURS]), ("ami-2", &[OTHERS])], |_| None);
        let error = remove(&endpoint).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "snap-1 is also the snapshot of ami-2: deregister that first"
        );
        assert_eq!(endpoint.names(), ["DescribeImages"]);
    }

    #[tokio::test]
    async fn an_image_that_has_lost_its_tag_stays() {
        let endpoint = account(&[("ami-1", &[])], |_| None);
        let error = remove(&endpoint).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ami-1 has lost the tag obs:job=0a1b/job-1, by which the image of this job is known: give the tag back, or \
             deregister the AMI and delete snap-1 yourself"
        );
        assert_eq!(endpoint.names(), ["DescribeImages"]);
    }

    #[tokio::test]
    async fn a_permission_that_the_role_lacks_is_told() {
        for name in ["DescribeImages", "DeregisterImage", "DeleteSnapshot"] {
            let endpoint = account(OWN, move |call| {
                let fails = call.name == name;
                fails.then(|| call.refusal(403, "UnauthorizedOperation", "You are not authorized"))
            });
            let error = remove(&endpoint).await.unwrap_err();
            let text = error.to_string();
            let start = format!(
                "ec2:{name} failed: UnauthorizedOperation: You are not authorized. The role \
                 arn:aws:iam::123456789012:role/obs does not allow that, "
            );
            assert!(text.starts_with(&start), "{text}");
            assert!(
                text.ends_with("or remove AMI and snapshot yourself"),
                "{text}"
            );
            assert!(!is_transient(&error));
            assert_eq!(endpoint.names().last().unwrap(), name);
        }
    }

    #[tokio::test]
    async fn trouble_of_aws_is_worth_another_try() {
        let endpoint = account(OWN, |call| {
            let fails = call.name == "DeregisterImage";
            fails.then(|| call.refusal(503, "Unavailable", "busy"))
        });
        assert!(is_transient(&remove(&endpoint).await.unwrap_err()));
        assert_eq!(endpoint.calls_of("DeleteSnapshot").len(), 0);
    }
}
