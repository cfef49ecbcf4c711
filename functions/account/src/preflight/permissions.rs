//! What the session that tries the role's permissions may do. It cannot write, as what it names does not exist.

use serde_json::{Value, json};

use super::probes::NO_SNAPSHOT;
use crate::{policy::Scope, route};

/// The statements of the session policy.
pub(crate) fn permissions(scope: &Scope<'_>) -> Vec<Value> {
    let (partition, region) = (scope.target.role.partition(), scope.target.region);
    let snapshot = scope.snapshot_arn(NO_SNAPSHOT);
    let bucket = format!("arn:{partition}:s3:::{}", route::bucket_name(scope.target));
    vec![
        // These need permission for what they would make, whose id is not known.
        scope.anything(&[
            "ec2:DescribeImages",
            "ec2:DescribeSnapshots",
            "ec2:DescribeImportSnapshotTasks",
            "ec2:ImportSnapshot",
            "ec2:CopySnapshot",
            "ebs:StartSnapshot",
        ]),
        json!({
            "Effect": "Allow", "Action": ["ec2:RegisterImage"],
            "Resource": [format!("arn:{partition}:ec2:{region}::image/*"), snapshot]
        }),
        scope.resource(&["ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"], &snapshot),
        scope.create_tags(),
        scope.resource(&["s3:ListBucket"], &bucket),
    ]
}
