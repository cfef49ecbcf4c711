//! Writes XML byte for byte as a real OBS backend does: the order of the children is that of its `BSXML.pm`, the layout
//! that of the Perl module XML::Structured.

use std::{
    borrow::{Borrow, Cow},
    io,
};

use cloudupload::{clock::Timestamp, job::JobSummary};
use quick_xml::{
    Writer,
    events::{BytesStart, BytesText, Event},
};

/// A job's record: the answer to create, status and kill.
pub fn job(job: &JobSummary) -> String {
    document(|out| write_job(out, job))
}

/// `<status>`: an error, with the HTTP status repeated in it. OBS shows its users the summary.
pub fn status(code: u16, summary: &str, details: Option<&str>) -> String {
    document(|out| {
        out.create_element("status")
            .with_attribute(("code", code.to_string().as_str()))
            .write_inner_content(|out| {
                child(out, "summary", summary)?;
                optional_child(out, "details", details)
            })
            .map(drop)
    })
}

/// `<status>` of a request that was carried out.
pub fn ok() -> String {
    document(|out| {
        out.create_element("status")
            .with_attribute(("code", "ok"))
            .write_empty()
            .map(drop)
    })
}

/// `<workerstatus>`: these daemons run.
pub fn daemons(types: &[&str], started: Timestamp) -> String {
    let started = started.as_secs().to_string();
    document(|out| {
        out.create_element("workerstatus")
            .write_inner_content(|out| {
                out.create_element("partition")
                    .write_inner_content(|out| {
                        types.iter().try_for_each(|daemon| {
                            out.create_element("daemon")
                                .with_attribute(("type", *daemon))
                                .with_attribute(("state", "running"))
                                .with_attribute(("starttime", started.as_str()))
                                .write_empty()
                                .map(drop)
                        })
                    })
                    .map(drop)
            })
            .map(drop)
    })
}

/// `<directory>` whose one entry is a job's log: its size in bytes, and when its last line was written.
pub fn log_directory(size: usize, modified: Timestamp) -> String {
    document(|out| {
        out.create_element("directory")
            .write_inner_content(|out| {
                out.create_element("entry")
                    .with_attribute(("name", "_log"))
                    .with_attribute(("size", size.to_string().as_str()))
                    .with_attribute(("mtime", modified.as_secs().to_string().as_str()))
                    .write_empty()
                    .map(drop)
            })
            .map(drop)
    })
}

/// A list of jobs, each as [`list_entry`] writes it.
pub fn job_list<S: Borrow<str>>(entries: &[S]) -> String {
    format!("<{LIST}>{}\n</{LIST}>\n", entries.concat())
}

/// A job's record as an entry of a list, with the line break in front of it.
pub fn list_entry(job: &JobSummary) -> String {
    let mut out = writer();
    let within_list = out
        .write_event(Event::Start(BytesStart::new(LIST)))
        .and_then(|()| {
            out.get_mut().clear();
            write_job(&mut out, job)
        });
    text(within_list, out)
}

const LIST: &str = "clouduploadjoblist";

fn write_job(out: &mut Writer<Vec<u8>>, job: &JobSummary) -> io::Result<()> {
    let subject = &job.subject;
    out.create_element("clouduploadjob")
        .with_attribute(("name", job.id.to_string().as_str()))
        .write_inner_content(|out| {
            child(out, "state", job.state.as_str())?;
            optional_child(out, "details", Some(&job.details))?;
            optional_child(
                out,
                "progress",
                job.progress.map(|percent| percent.to_string()),
            )?;
            optional_child(out, "try", job.tries.map(|tries| tries.to_string()))?;
            child(out, "created", &job.created.as_secs().to_string())?;
            child(out, "user", subject.user.as_str())?;
            child(out, "target", &subject.target)?;
            child(out, "project", subject.project.as_str())?;
            child(out, "repository", subject.repository.as_str())?;
            child(out, "package", subject.package.as_str())?;
            child(out, "arch", &subject.arch)?;
            child(out, "filename", subject.filename.as_str())?;
            optional_child(out, "size", subject.size.map(|size| size.to_string()))
        })
        .map(drop)
}

fn child(out: &mut Writer<Vec<u8>>, name: &str, value: &str) -> io::Result<()> {
    out.create_element(name)
        .write_text_content(BytesText::from_escaped(escape(value)))
        .map(drop)
}

/// A child without a value is left out.
fn optional_child(
    out: &mut Writer<Vec<u8>>,
    name: &str,
    value: Option<impl AsRef<str>>,
) -> io::Result<()> {
    match value.as_ref().map(AsRef::as_ref) {
        None | Some("") => Ok(()),
        Some(value) => child(out, name, value),
    }
}

/// Escapes as XML::Structured does, text and attributes alike. Characters that XML 1.0 has no way to write (section
/// 2.2, "Characters") are left out.
fn escape(value: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 4] = ['&', '<', '>', '"'];
    if !value.contains(|c| SPECIAL.contains(&c) || is_illegal(c)) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 16);
    for c in value.chars().filter(|&c| !is_illegal(c)) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn is_illegal(c: char) -> bool {
    c < ' ' && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn document(write: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> String {
    let mut out = writer();
    let written = write(&mut out);
    let mut text = text(written, out);
    text.push('\n');
    text
}

fn writer() -> Writer<Vec<u8>> {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    out.config_mut().add_space_before_slash_in_empty_elements = true;
    out
}

fn text(written: io::Result<()>, out: Writer<Vec<u8>>) -> String {
    written.expect("writing into memory does not fail");
    String::from_utf8(out.into_inner()).expect("only strings were written")
}

#[cfg(test)]
mod tests {
    use cloudupload::job::State;
    use proptest::prelude::*;
    use quick_xml::{Reader, escape::unescape};

    use super::*;

    fn example() -> JobSummary {
        let job = r#"{
            "id": "1", "state": "created", "details": "waiting to receive image", "created": 1795445844,
            "order": {
                "user": "tom", "target": "ec2", "project": "Cloud:Images", "repository": "images",
                "package": "leap-ec2", "arch": "x86_64", "filename": "leap-ec2.x86_64-15.6.raw.xz", "size": 23097940,
                "ec2": {
                    "role": "arn:aws:iam::123456789012:role/obs", "external_id": "id", "region": "us-east-1",
                    "ami_name": "leap"
                }
            }
        }"#;
        serde_json::from_str(job).unwrap()
    }

    /// As a real OBS backend answered.
    #[test]
    fn a_new_job_is_written_as_obs_writes_it() {
        assert_eq!(
            job(&example()),
            "\
<clouduploadjob name=\"1\">
  <state>created</state>
  <details>waiting to receive image</details>
  <created>1795445844</created>
  <user>tom</user>
  <target>ec2</target>
  <project>Cloud:Images</project>
  <repository>images</repository>
  <package>leap-ec2</package>
  <arch>x86_64</arch>
  <filename>leap-ec2.x86_64-15.6.raw.xz</filename>
  <size>23097940</size>
</clouduploadjob>
"
        );
    }

    /// As a real OBS backend answered.
    #[test]
    fn a_list_is_written_as_obs_writes_it() {
        let job = JobSummary {
            state: State::Succeeded,
            details: "ami-0123456789abcdef0".to_owned(),
            ..example()
        };
        assert_eq!(
            job_list(&[list_entry(&job)]),
            "\
<clouduploadjoblist>
  <clouduploadjob name=\"1\">
    <state>succeeded</state>
    <details>ami-0123456789abcdef0</details>
    <created>1795445844</created>
    <user>tom</user>
    <target>ec2</target>
    <project>Cloud:Images</project>
    <repository>images</repository>
    <package>leap-ec2</package>
    <arch>x86_64</arch>
    <filename>leap-ec2.x86_64-15.6.raw.xz</filename>
    <size>23097940</size>
  </clouduploadjob>
</clouduploadjoblist>
"
        );
        assert_eq!(
            job_list::<&str>(&[]),
            "<clouduploadjoblist>\n</clouduploadjoblist>\n"
        );
    }

    #[test]
    fn a_list_is_as_long_as_its_entries() {
        let entry = list_entry(&example());
        let list = job_list(&[entry.clone(), entry.clone()]);
        assert_eq!(list.len(), job_list::<&str>(&[]).len() + 2 * entry.len());
        assert!(
            list.ends_with("\n  </clouduploadjob>\n</clouduploadjoblist>\n"),
            "{list}"
        );
    }

    #[test]
    fn children_come_in_the_order_of_obs() {
        let xml = job(&JobSummary {
            progress: Some(42),
            tries: Some(2),
            ..example()
        });
        let expected = "</details>\n  <progress>42</progress>\n  <try>2</try>\n  <created>";
        assert!(xml.contains(expected), "{xml}");
    }

    #[test]
    fn a_child_without_a_value_is_left_out() {
        let xml = job(&JobSummary {
            details: String::new(),
            ..example()
        });
        assert!(xml.contains("<state>created</state>\n  <created>"), "{xml}");
        let mut job_without_size = example();
        job_without_size.subject.size = None;
        let xml = job(&job_without_size);
        assert!(xml.ends_with("</filename>\n</clouduploadjob>\n"), "{xml}");
    }

    /// As a real OBS backend answered.
    #[test]
    fn an_error_is_written_as_obs_writes_it() {
        assert_eq!(
            status(404, "no such job", Some("404 no such job")),
            "\
<status code=\"404\">
  <summary>no such job</summary>
  <details>404 no such job</details>
</status>
"
        );
        assert_eq!(
            status(400, "not a number: 'abc'", None),
            "<status code=\"400\">\n  <summary>not a number: 'abc'</summary>\n</status>\n"
        );
    }

    /// As a real OBS backend answered.
    #[test]
    fn daemons_are_written_as_obs_writes_them() {
        assert_eq!(ok(), "<status code=\"ok\" />\n");
        let started = Timestamp::from_secs(1795445844);
        assert_eq!(
            daemons(&["clouduploadserver", "clouduploadworker"], started),
            "\
<workerstatus>
  <partition>
    <daemon type=\"clouduploadserver\" state=\"running\" starttime=\"1795445844\" />
    <daemon type=\"clouduploadworker\" state=\"running\" starttime=\"1795445844\" />
  </partition>
</workerstatus>
"
        );
    }

    /// As a real OBS backend answered.
    #[test]
    fn a_directory_is_written_as_obs_writes_it() {
        assert_eq!(
            log_directory(116, Timestamp::from_secs(1795445851)),
            "<directory>\n  <entry name=\"_log\" size=\"116\" mtime=\"1795445851\" />\n</directory>\n"
        );
    }

    #[test]
    fn what_is_special_to_xml_is_escaped_and_what_xml_cannot_say_is_dropped() {
        assert_eq!(
            status(400, "a<b>&\"c'\u{0}\u{1b}[0m\t\u{ffff}ü\u{7f}", None),
            "<status code=\"400\">\n  <summary>a&lt;b&gt;&amp;&quot;c'[0m\tü\u{7f}</summary>\n</status>\n"
        );
    }

    fn read_summary(xml: &str) -> String {
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) if start.name().as_ref() == "summary" => {
                    let text = reader.read_text(start.name()).unwrap();
                    return unescape(&text).unwrap().into_owned();
                }
                Event::Eof => panic!("there is no summary in {xml}"),
                _ => {}
            }
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back_but_for_what_xml_cannot_say(summary in "(?s).{0,40}") {
            let xml = status(400, &summary, None);
            let controls = (0..0x20).filter(|c| !matches!(c, 0x09 | 0x0a | 0x0d));
            let illegal: Vec<char> = controls.chain([0xfffe, 0xffff]).filter_map(char::from_u32).collect();
            let legal: String = summary.chars().filter(|c| !illegal.contains(c)).collect();
            prop_assert_eq!(read_summary(&xml), legal);
        }
    }
}
