//! A job as OBS's source server sends it: `<clouduploadjob>` with what is to be uploaded, and in `details` the JSON that
//! its own client sent, in hex (`cloudupload_create` in `bs_srcserver` and in `bs_clouduploadserver`).

use std::{fmt::Display, str::FromStr};

use cloudupload::{
    job::Subject,
    names::Arch,
    target::{Ec2Params, ServiceIdentity},
};
use serde::Deserialize;

use super::{operation::cloud, problem::Problem};
use crate::api::{NewFile, NewJob, Submission};

/// The longest target or architecture that is taken down, in bytes. OBS has none that is nearly as long.
const LONGEST_WORD: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Root {
    CloudUploadJob(Skeleton),
}

#[derive(Deserialize)]
struct Skeleton {
    user: Option<String>,
    target: Option<String>,
    project: Option<String>,
    repository: Option<String>,
    package: Option<String>,
    arch: Option<String>,
    filename: Option<String>,
    size: Option<u64>,
    details: Option<String>,
}

/// Reads a job, whose file will be pushed or is read from OBS. A request that does not say what is to be uploaded is refused;
/// whatever else is wrong is for the job's user, who does not see the answer to this request.
pub fn submission(
    xml: &[u8],
    is_pushed: bool,
    service: &ServiceIdentity,
) -> Result<Submission, Problem> {
    let not_a_job = |reason: &dyn Display| {
        Problem::bad_request(format!("the body is no job skeleton ({reason})"))
    };
    let xml = str::from_utf8(xml).map_err(|error| not_a_job(&error))?;
    let Root::CloudUploadJob(skeleton) =
        quick_xml::de::from_str(xml).map_err(|error| not_a_job(&error))?;
    let subject = Subject {
        user: name("user", skeleton.user)?,
        target: word("target", skeleton.target)?,
        project: name("project", skeleton.project)?,
        repository: name("repository", skeleton.repository)?,
        package: name("package", skeleton.package)?,
        arch: word("arch", skeleton.arch)?,
        filename: name("filename", skeleton.filename)?,
        size: skeleton.size,
        ec2: None,
    };
    let details = skeleton.details.unwrap_or_default();
    Ok(Submission {
        new: new_job(&subject, &details, is_pushed, service).map_err(|problem| problem.summary),
        subject,
    })
}

fn new_job(
    subject: &Subject,
    details: &str,
    is_pushed: bool,
    service: &ServiceIdentity,
) -> Result<NewJob, Problem> {
    let target = cloud(&subject.target)?;
    let arch: Arch = subject.arch.parse().map_err(Problem::bad_request)?;
    let json = hex::decode(details)
        .map_err(|error| Problem::bad_request(format!("details are not hex: {error}")))?;
    let name = subject.filename.clone();
    let file = match (is_pushed, subject.size) {
        (false, _) => NewFile::OfObs(Some(name)),
        (true, Some(size)) => NewFile::Pushed { name, size },
        (true, None) => {
            return Err(Problem::bad_request("size is missing from job skeleton"));
        }
    };
    Ok(NewJob {
        params: Ec2Params::from_json(&json, arch, service)?,
        project: subject.project.clone(),
        repository: subject.repository.clone(),
        arch,
        package: subject.package.clone(),
        file,
        user: subject.user.clone(),
        target,
    })
}

fn required(name: &str, value: Option<String>) -> Result<String, Problem> {
    value.ok_or_else(|| Problem::bad_request(format!("{name} is missing from job skeleton")))
}

fn name<T: FromStr<Err: Display>>(name: &str, value: Option<String>) -> Result<T, Problem> {
    let name: Result<T, T::Err> = required(name, value)?.parse();
    name.map_err(Problem::bad_request)
}

fn word(name: &str, value: Option<String>) -> Result<String, Problem> {
    let word = required(name, value)?;
    match word.len() {
        0 => Err(Problem::bad_request(format!("{name} is empty"))),
        1..=LONGEST_WORD => Ok(word),
        _ => Err(Problem::bad_request(format!("{name} is too long"))),
    }
}

#[cfg(test)]
mod tests {
    use cloudupload::{job::Cloud, target::Partition};

    use super::*;

    const JSON: &str =
        r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"id-1","region":"us-east-1"}"#;

    /// As a real OBS source server sent it, but for the details.
    fn skeleton(json: &str) -> String {
        format!(
            "<clouduploadjob>\n  <details>{}</details>\n  <user>t&amp;m</user>\n  <target>ec2</target>\n  \
             <project>Cloud:Images</project>\n  <repository>images</repository>\n  \
             <package>leap-ec2:flavor</package>\n  <arch>x86_64</arch>\n  \
             <filename>leap.raw.xz</filename>\n  <size>23097940</size>\n</clouduploadjob>\n",
            hex::encode(json)
        )
    }

    fn read(xml: &str) -> Result<Submission, Problem> {
        read_as(xml, false)
    }

    fn read_as(xml: &str, is_pushed: bool) -> Result<Submission, Problem> {
        let service = ServiceIdentity {
            account: "999999999999".parse().unwrap(),
            partition: Partition::Aws,
        };
        submission(xml.as_bytes(), is_pushed, &service)
    }

    #[test]
    fn a_job_of_the_source_server_is_read() {
        let Submission { subject, new } = read(&skeleton(JSON)).unwrap();
        assert_eq!(
            (subject.user.as_str(), subject.size),
            ("t&m", Some(23097940))
        );
        let new = new.unwrap();
        assert_eq!(new.project.as_str(), "Cloud:Images");
        assert_eq!(new.repository.as_str(), "images");
        assert_eq!(new.package.as_str(), "leap-ec2:flavor");
        let name = subject.filename.clone();
        assert_eq!(new.file, NewFile::OfObs(Some(subject.filename)));
        let pushed = read_as(&skeleton(JSON), true).unwrap().new.unwrap();
        let size = 23097940;
        assert_eq!(pushed.file, NewFile::Pushed { name, size });
        assert_eq!((new.arch, new.target), (Arch::X86_64, Cloud::Ec2));
    }

    #[test]
    fn what_the_user_did_wrong_is_the_reason_of_a_job_that_failed() {
        let reason = |from: &str, to: &str, json: &str| {
            let xml = skeleton(json).replace(from, to);
            read(&xml).unwrap().new.unwrap_err()
        };
        assert_eq!(
            reason("ec2</target>", "azure</target>", JSON),
            "target 'azure' is not supported: valid is ec2"
        );
        assert_eq!(
            reason("x86_64", "s390x", JSON),
            "arch 's390x' does not run on EC2: valid are x86_64, aarch64"
        );
        assert_eq!(
            reason("<details>", "<details>x", JSON),
            "details are not hex: Odd number of digits"
        );
        assert!(reason("", "", "{}").starts_with("arn is missing: "));
        assert!(reason("", "", "").starts_with("the body is empty: "));
        let no_details = "<details></details>\n  ";
        assert!(reason(no_details, "", "").starts_with("the body is empty: "));
    }

    #[test]
    fn a_request_that_does_not_name_what_is_to_be_uploaded_is_refused() {
        let refused = |from: &str, to: &str| {
            let xml = skeleton(JSON);
            assert!(xml.contains(from));
            read(&xml.replace(from, to)).unwrap_err().summary
        };
        assert_eq!(
            refused("<user>t&amp;m</user>", ""),
            "user is missing from job skeleton"
        );
        assert_eq!(refused("x86_64", ""), "arch is empty");
        assert_eq!(refused("x86_64", &"x".repeat(201)), "arch is too long");
        assert_eq!(refused("Cloud:Images", "../x"), "projid '../x' is illegal");
        for xml in [
            "<html/>",
            "<clouduploadjob>",
            "<",
            "<clouduploadjob><size>x</size></clouduploadjob>",
        ] {
            let summary = read(xml).unwrap_err().summary;
            assert!(
                summary.starts_with("the body is no job skeleton ("),
                "{summary}"
            );
        }
    }

    #[test]
    fn a_size_is_not_needed() {
        let xml = skeleton(JSON).replace("<size>23097940</size>", "");
        let Submission { subject, new } = read(&xml).unwrap();
        assert_eq!(subject.size, None);
        assert!(new.is_ok());
    }
}
