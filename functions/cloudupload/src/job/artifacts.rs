//! What the steps of a job found out and made so far.
//!
//! Each part is written by one room, which also removes what it made: the staged file by `receive`, the bucket route's
//! part by that route, the AMI by `register`. The fields' names in the record are those of the first release.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    multipart::Crc32,
    names::checked_string,
    target::{BootMode, Route},
};

/// Something that a step is about to make. It is written into the record before AWS is asked for the first thing of its
/// kind, so that the clean-up knows of it even when the step dies before it can write down the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Something in the staging bucket.
    Staging,
    /// Something in the user's bucket.
    Disk,
    /// An import task.
    Import,
    /// A snapshot that is written in blocks.
    Snapshot,
    /// A copy of a snapshot.
    Copy,
    /// An AMI.
    Register,
}

impl Intent {
    /// The field of the record's artifacts that has the time of the intent.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Intent::Staging => "staging_began",
            Intent::Disk => "disk_began",
            Intent::Import => "import_began",
            Intent::Snapshot => "snapshot_began",
            Intent::Copy => "copy_began",
            Intent::Register => "register_began",
        }
    }
}

/// What the steps of a job found out and made so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifacts {
    /// The route that the job takes. The first release knew only `import`, and did not write it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The route that it takes if the first turns out to be refused, which shows for certain only when it is opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_route: Option<Route>,
    /// When the job got to `receiving`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiving_began: Option<Timestamp>,
    /// When it got to `scheduled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_began: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging_began: Option<Timestamp>,
    #[serde(rename = "received", skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    #[serde(flatten)]
    pub push: PushArtifacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<Staged>,
    #[serde(rename = "disk", skip_serializing_if = "Option::is_none")]
    pub disk_facts: Option<DiskFacts>,
    /// When it got to `uploading`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_began: Option<Timestamp>,
    /// Bytes of the staged file that each slice has transferred, by the slice's number.
    #[serde(rename = "moved", skip_serializing_if = "Option::is_none")]
    pub transferred: Option<BTreeMap<String, u64>>,
    #[serde(flatten)]
    pub bucket: BucketArtifacts,
    #[serde(flatten)]
    pub blocks: BlocksArtifacts,
    /// The snapshot in the user's account, whatever the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register_began: Option<Timestamp>,
    #[serde(rename = "image", skip_serializing_if = "Option::is_none")]
    pub ami: Option<AmiId>,
}

/// How far the push of a file is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushArtifacts {
    /// The multipart upload into the staging bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_upload: Option<String>,
    /// The file's CRC32, once whoever pushes it has said that all parts are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Crc32>,
}

/// What the route `bucket` has made. Only that route writes and reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketArtifacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_began: Option<Timestamp>,
    /// The multipart upload into the user's bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_upload: Option<String>,
    /// Bytes of the disk, as it is imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_began: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_task: Option<ImportTaskId>,
}

/// What the routes `direct` and `copy` have made. Only they write and read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlocksArtifacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_began: Option<Timestamp>,
    /// The snapshot that is written in blocks: in the user's account (`direct`) or in the service's own (`copy`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_snapshot: Option<SnapshotId>,
    /// Its size in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<u64>,
    /// Whether blocks of zeros are written, too: what is not written may read as noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes_zeros: Option<bool>,
    /// When all of its blocks were written and it was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Timestamp>,
    /// When the first copy of it began, or was about to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_began: Option<Timestamp>,
}

impl Artifacts {
    /// Whether the file was pushed, all of it.
    pub fn pushed(&self) -> bool {
        self.push.pushed.is_some()
    }

    /// Bytes of the staged file that all slices together have transferred.
    pub fn transferred_bytes(&self) -> u64 {
        self.transferred
            .iter()
            .flat_map(BTreeMap::values)
            .copied()
            .sum()
    }
}

/// How far `receive` is, so that another invocation can go on from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The multipart upload into the staging bucket.
    pub upload: String,
    /// Bytes that lie in whole parts of that upload.
    pub bytes: u64,
    /// How many parts those are.
    pub parts: u32,
    /// State of the SHA-256 over those bytes, in hex.
    pub hash: String,
    /// The file's version, if OBS names one.
    pub version: Option<String>,
}

/// The file, complete in the staging bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    pub etag: String,
    /// Of the file as it came from OBS, in hex. A file that was pushed has been checked by its CRC32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What `prepare` found out about the disk image in the staged file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// `plain`, `xz`, `gzip` or `zstd`.
    pub compression: String,
    pub boot: BootMode,
}

/// Text that is not the id that EC2 was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no id of {what}: one begins with {prefix}")]
pub struct BadEc2Id {
    what: &'static str,
    prefix: &'static str,
    text: String,
}

checked_string!(
    /// The id of an AMI, such as `ami-0123456789abcdef0`.
    AmiId, check_ami => BadEc2Id
);
checked_string!(
    /// The id of a snapshot, such as `snap-0123456789abcdef0`.
    SnapshotId, check_snapshot => BadEc2Id
);
checked_string!(
    /// The id of an import task, such as `import-snap-0123456789abcdef0`.
    ImportTaskId, check_import_task => BadEc2Id
);

fn check_ami(text: &str) -> Result<(), BadEc2Id> {
    check("an AMI", "ami-", text)
}

fn check_snapshot(text: &str) -> Result<(), BadEc2Id> {
    check("a snapshot", "snap-", text)
}

fn check_import_task(text: &str) -> Result<(), BadEc2Id> {
    check("an import task", "import-snap-", text)
}

fn check(what: &'static str, prefix: &'static str, text: &str) -> Result<(), BadEc2Id> {
    match text.strip_prefix(prefix) {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => Err(BadEc2Id {
            what,
            prefix,
            text: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_of_its_kind() {
        assert!("ami-0123456789abcdef0".parse::<AmiId>().is_ok());
        let error = "snap-1".parse::<AmiId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "'snap-1' is no id of an AMI: one begins with ami-"
        );
        assert!("snap-".parse::<SnapshotId>().is_err());
        assert!("import-ami-1".parse::<ImportTaskId>().is_err());
    }

    /// Records that the first release wrote are read, and it reads ours.
    #[test]
    fn the_fields_of_the_record_are_those_of_the_first_release() {
        let record = json!({
            "staging_began": 1, "received": {"upload": "u", "bytes": 2, "parts": 3, "hash": "00", "version": null},
            "staged": {"etag": "e", "sha256": "00"}, "disk": {"compression": "xz", "boot": "uefi-preferred"},
            "upload_began": 4, "moved": {"0": 5, "1": 6}, "disk_began": 7, "target_upload": "t", "disk_size": 8,
            "import_began": 9, "import_task": "import-snap-1", "snapshot": "snap-1", "register_began": 10,
            "image": "ami-1", "route": "direct", "second_route": "copy", "snapshot_began": 11, "block_snapshot": "snap-2", "volume_gib": 10,
            "writes_zeros": false, "sealed": 12, "copy_began": 13, "push_upload": "p", "pushed": "y/Q5Jg==",
        });
        let artifacts: Artifacts = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(artifacts.transferred_bytes(), 11);
        assert_eq!(serde_json::to_value(&artifacts).unwrap(), record);
        let item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue> =
            serde_dynamo::to_item(&artifacts).unwrap();
        assert_eq!(
            serde_dynamo::from_item::<_, Artifacts>(item).unwrap(),
            artifacts
        );
        for intent in [
            Intent::Staging,
            Intent::Disk,
            Intent::Import,
            Intent::Snapshot,
            Intent::Copy,
            Intent::Register,
        ] {
            assert!(record[intent.field()].is_u64(), "{intent:?}");
        }
    }
}
