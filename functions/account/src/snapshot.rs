//! The snapshot: tagged, and deleted again.

#[cfg(test)]
mod tests;

use std::time::Duration;

use cloudupload::{
    aws::{self, Failure},
    job::SnapshotId,
    retry::RetryBudget,
};

use crate::{Session, tags};

pub(crate) const NOT_FOUND: &str = "InvalidSnapshot.NotFound";

/// Delete attempts for a snapshot that an AMI still uses, or that has not got its tags yet.
const DELETE: RetryBudget = RetryBudget {
    attempts: 7,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(8),
};

/// Tags the snapshot: neither ImportSnapshot nor RegisterImage does. Answers whether EC2 knows it.
pub(crate) async fn tag(session: &Session<'_>, snapshot: &SnapshotId) -> Result<bool, Failure> {
    let answer = session
        .ec2
        .create_tags()
        .resources(snapshot.as_str())
        .set_tags(Some(tags::all(session.job, &session.tag)))
        .send()
        .await
        .map_err(Failure::of("ec2:CreateTags"));
    let tagged = aws::ok_on_codes(&[NOT_FOUND], answer)?;
    Ok(tagged.is_some())
}

/// Delete attempts for a snapshot whose AMI was deregistered just now. A user waits for the answer.
const DELETE_AFTER_AMI: RetryBudget = RetryBudget {
    attempts: 6,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(4),
};

/// EC2's code for a snapshot of which there is an AMI.
const IN_USE: &str = "InvalidSnapshot.InUse";

impl Session<'_> {
    /// Deletes the snapshot of the job's AMI, which was deregistered just now. Idempotent.
    pub(crate) async fn remove_snapshot_of_ami(
        &self,
        snapshot: &SnapshotId,
    ) -> Result<(), Failure> {
        let mut attempts = DELETE_AFTER_AMI.start();
        loop {
            match delete(&self.ec2, snapshot).await {
                Err(failure) if failure.has_code(IN_USE) && attempts.again().await => {}
                deleted => return deleted,
            }
        }
    }

    /// Deletes the snapshot. A step that was given up may register its AMI just before: then the AMI goes too. Idempotent.
    pub async fn remove_snapshot(&self, snapshot: &SnapshotId) -> Result<(), Failure> {
        let mut attempts = DELETE.start();
        loop {
            let failure = match delete(&self.ec2, snapshot).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match failure.code.as_deref() {
                Some(IN_USE) => self.ami().remove().await?,
                // The session may only delete what has the job's tag, and the step that tags it may have died.
                Some("UnauthorizedOperation") => {
                    if !tag(self, snapshot).await? {
                        return Ok(());
                    }
                }
                _ => return Err(failure),
            }
            if !attempts.again().await {
                return Err(failure);
            }
        }
    }
}

/// Deletes the snapshot. Idempotent.
pub(crate) async fn delete(
    ec2: &aws_sdk_ec2::Client,
    snapshot: &SnapshotId,
) -> Result<(), Failure> {
    let answer = ec2
        .delete_snapshot()
        .snapshot_id(snapshot.as_str())
        .send()
        .await
        .map_err(Failure::of("ec2:DeleteSnapshot"));
    aws::ok_on_codes(&[NOT_FOUND], answer).map(drop)
}
