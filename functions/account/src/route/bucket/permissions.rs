//! What each step needs for this route in the user's account.

use serde_json::{Value, json};

use super::{SERVICE_ROLE, bucket_name, object_key};
use crate::policy::{Purpose, Scope};

/// The statements of the session policy. `s3:PutObject` is all that a multipart upload needs, but for listing and aborting
/// it (S3 user guide, "Multipart upload API and permissions").
pub(crate) fn permissions(purpose: Purpose, scope: &Scope<'_>) -> Vec<Value> {
    let role = &scope.target.role;
    let bucket = format!(
        "arn:{}:s3:::{}",
        role.partition(),
        bucket_name(scope.target)
    );
    // The one object of the job.
    let object = format!("{bucket}/{}", object_key(scope.tag));
    let remove_target = || {
        vec![
            scope.resource(&["s3:ListBucketMultipartUploads"], &bucket),
            scope.resource(&["s3:DeleteObject", "s3:AbortMultipartUpload"], &object),
        ]
    };
    match purpose {
        Purpose::Open => vec![
            scope.resource(
                &[
                    "s3:CreateBucket",
                    "s3:ListBucket",
                    "s3:PutBucketPublicAccessBlock",
                    "s3:GetLifecycleConfiguration",
                    "s3:PutLifecycleConfiguration",
                ],
                &bucket,
            ),
            scope.resource(&["s3:PutObject"], &object),
        ],
        Purpose::Write => vec![scope.resource(&["s3:PutObject"], &object)],
        Purpose::Seal => vec![
            // EC2 looks under this session whether the bucket is in its region and whether the object may be read (VM
            // Import/Export user guide, "Required permissions for VM Import/Export").
            scope.resource(&["s3:ListBucket", "s3:GetBucketLocation"], &bucket),
            scope.resource(
                &[
                    "s3:PutObject",
                    "s3:ListMultipartUploadParts",
                    "s3:GetObject",
                ],
                &object,
            ),
            scope.anything(&["ec2:ImportSnapshot"]),
            scope.create_tags(),
            json!({
                "Effect": "Allow", "Action": "iam:PassRole",
                "Resource": format!("arn:{}:iam::{}:role/{SERVICE_ROLE}", role.partition(), role.account()),
                "Condition": { "StringEquals": { "iam:PassedToService": "vmie.amazonaws.com" } }
            }),
        ],
        Purpose::Poll => vec![scope.anything(&["ec2:DescribeImportSnapshotTasks"])],
        Purpose::Preflight | Purpose::Register | Purpose::RemoveAmi => vec![],
        Purpose::RemoveTarget => remove_target(),
        Purpose::RemoveAll => {
            let mut statements = remove_target();
            statements.push(scope.anything(&["ec2:DescribeImportSnapshotTasks"]));
            statements.push(scope.tagged(&["ec2:CancelImportTask"]));
            statements
        }
    }
}
