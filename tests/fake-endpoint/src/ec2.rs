//! Answers of EC2.

use crate::{Answer, Call};

/// Tags, by key and value.
pub type Tags<'a> = &'a [(&'a str, &'a str)];

fn tag_set(tags: Tags<'_>) -> String {
    let tags = tags
        .iter()
        .map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"));
    format!("<tagSet>{}</tagSet>", tags.collect::<String>())
}

/// The images that there are, by id (API reference, DescribeImages, "Examples").
pub fn images(call: &Call, images: &[(&str, Tags<'_>)]) -> Answer {
    let items = images
        .iter()
        .map(|(id, tags)| format!("<item><imageId>{id}</imageId>{}</item>", tag_set(tags)));
    let items: String = items.collect();
    call.result(&format!("<imagesSet>{items}</imagesSet>"))
}

/// An import task as EC2 shows it.
#[derive(Clone, Copy, Debug)]
pub struct ImportTask<'a> {
    pub id: &'a str,
    pub status: &'a str,
    pub snapshot: Option<&'a str>,
    pub tags: Tags<'a>,
}

/// The tasks that there are (API reference, DescribeImportSnapshotTasks, and VM Import/Export user guide, "Check the
/// status of your snapshot import").
pub fn import_tasks(call: &Call, tasks: &[ImportTask<'_>]) -> Answer {
    let items = tasks.iter().map(|task| {
        let ImportTask { id, status, .. } = task;
        let snapshot = task.snapshot.map(|id| format!("<snapshotId>{id}</snapshotId>"));
        let (snapshot, tags) = (snapshot.unwrap_or_default(), tag_set(task.tags));
        format!(
            "<item><importTaskId>{id}</importTaskId><snapshotTaskDetail><status>{status}</status>{snapshot}\
             <progress>42</progress><statusMessage>copying</statusMessage></snapshotTaskDetail>{tags}</item>"
        )
    });
    let items: String = items.collect();
    call.result(&format!(
        "<importSnapshotTaskSet>{items}</importSnapshotTaskSet>"
    ))
}

/// A snapshot as EC2 shows it.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    pub id: &'a str,
    pub state: &'a str,
    pub progress: &'a str,
}

/// The snapshots that there are (API reference, DescribeSnapshots, "Examples").
pub fn snapshots(call: &Call, snapshots: &[Snapshot<'_>]) -> Answer {
    let items = snapshots.iter().map(|snapshot| {
        let Snapshot {
            id,
            state,
            progress,
        } = snapshot;
        format!(
            "<item><snapshotId>{id}</snapshotId><status>{state}</status><progress>{progress}</progress></item>"
        )
    });
    let items: String = items.collect();
    call.result(&format!("<snapshotSet>{items}</snapshotSet>"))
}
