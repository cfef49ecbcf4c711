//! The XML of answers. The input is the texts of a job's record, a line each; a second reader has to find them all.

#![no_main]

use api::obs_protocol::xml;
use cloudupload::job::JobSummary;
use fuzz::{as_xml_has_it, seeds, text};
use libfuzzer_sys::fuzz_target;
use roxmltree::{Document, Node};

const RECORD: &str = r#"{
    "id": "17", "state": "failed", "details": "", "created": 1795445844, "progress": 42,
    "order": {
        "user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images", "package": "leap-ec2",
        "arch": "x86_64", "filename": "leap.raw.xz", "size": 23097940,
        "ec2": {
            "role": "arn:aws:iam::123456789012:role/obs", "external_id": "id", "region": "us-east-1", "ami_name": "leap"
        }
    }
}"#;

const SEEDS: [&str; 2] = [
    "tom\nCloud:Images\nimages\nleap-ec2\nleap.raw.xz\nno such thing",
    "a<&>\n\"\n'\n]]>\n\u{e4}\n\r\u{1}x",
];

fuzz_target!(init: seeds::write(SEEDS), |data: &[u8]| {
    let Ok(texts) = std::str::from_utf8(data) else { return };
    let mut job = serde_json::from_str::<JobSummary>(RECORD).unwrap();
    let mut lines = texts.splitn(6, '\n');
    // An illegal name is none that a record can have.
    set(&mut job.subject.user, lines.next());
    set(&mut job.subject.project, lines.next());
    set(&mut job.subject.repository, lines.next());
    set(&mut job.subject.package, lines.next());
    set(&mut job.subject.filename, lines.next());
    job.details = lines.next().unwrap_or_default().to_owned();

    let alone = xml::job(&job);
    check(Document::parse(&alone).unwrap().root_element(), &job);
    let entries = [xml::list_entry(&job), xml::list_entry(&job)];
    let list = xml::job_list(&entries);
    let list = Document::parse(&list).unwrap();
    assert_eq!(list.root_element().children().filter(Node::is_element).count(), 2);
    for entry in list.root_element().children().filter(Node::is_element) {
        check(entry, &job);
    }
});

fn set<T: std::str::FromStr>(field: &mut T, text: Option<&str>) {
    if let Some(Ok(value)) = text.map(str::parse) {
        *field = value;
    }
}

fn check(element: Node<'_, '_>, job: &JobSummary) {
    assert!(element.has_tag_name("clouduploadjob"));
    assert_eq!(element.attribute("name"), Some("17"));
    let subject = &job.subject;
    for (name, value) in [
        ("details", job.details.as_str()),
        ("user", subject.user.as_str()),
        ("project", subject.project.as_str()),
        ("repository", subject.repository.as_str()),
        ("package", subject.package.as_str()),
        ("filename", subject.filename.as_str()),
    ] {
        let child = element.children().find(|node| node.has_tag_name(name));
        assert_eq!(
            child.map(text).unwrap_or_default(),
            as_xml_has_it(value),
            "{name}"
        );
    }
}
