//! Reads OBS's XML (`BSXML.pm` in OBS's backend).

use quick_xml::DeError;
use serde::Deserialize;

use crate::clock::Timestamp;

/// A file among OBS's build results.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Binary {
    #[serde(rename = "@filename")]
    pub filename: String,
    /// Bytes of the file as it lies in OBS.
    #[serde(rename = "@size")]
    pub size: u64,
    /// When it was built, in seconds since the epoch.
    #[serde(default, rename = "@mtime")]
    pub mtime: Option<Timestamp>,
}

/// Reads a `<binarylist>`. Anything else is an error, HTML of a proxy for instance.
pub fn binary_list(xml: &str) -> Result<Vec<Binary>, DeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Root {
        BinaryList(BinaryList),
    }
    #[derive(Deserialize)]
    struct BinaryList {
        #[serde(default)]
        binary: Vec<Binary>,
    }
    let Root::BinaryList(list) = quick_xml::de::from_str(xml)?;
    Ok(list.binary)
}

/// Reads the names in a `<directory>`.
pub fn directory(xml: &str) -> Result<Vec<String>, DeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Root {
        Directory(Directory),
    }
    #[derive(Deserialize)]
    struct Directory {
        #[serde(default)]
        entry: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "@name")]
        name: String,
    }
    let Root::Directory(directory) = quick_xml::de::from_str(xml)?;
    Ok(directory
        .entry
        .into_iter()
        .map(|entry| entry.name)
        .collect())
}

/// Reads the packages in a `<resultlist>`.
pub fn packages_of_results(xml: &str) -> Result<Vec<String>, DeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Root {
        ResultList(ResultList),
    }
    #[derive(Deserialize)]
    struct ResultList {
        #[serde(default)]
        result: Vec<ResultOf>,
    }
    #[derive(Deserialize)]
    struct ResultOf {
        #[serde(default)]
        status: Vec<Status>,
    }
    #[derive(Deserialize)]
    struct Status {
        #[serde(rename = "@package")]
        package: String,
    }
    let Root::ResultList(list) = quick_xml::de::from_str(xml)?;
    let statuses = list.result.into_iter().flat_map(|result| result.status);
    Ok(statuses.map(|status| status.package).collect())
}

/// Reads the summary of a `<status>`, if that is what this is.
pub fn summary(xml: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Root {
        Status { summary: String },
    }
    let Root::Status { summary } = quick_xml::de::from_str(xml).ok()?;
    Some(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_obs_answers_is_read() {
        let list = "<binarylist>\n  <binary filename=\"_statistics\" size=\"1234\" mtime=\"1795445000\" />\n  \
                    <binary filename=\"a&amp;b.raw.xz\" size=\"23097940\" mtime=\"1795445000\" />\n</binarylist>\n";
        let binary = |filename: &str, size| Binary {
            filename: filename.to_owned(),
            size,
            mtime: Some(Timestamp::from_secs(1795445000)),
        };
        assert_eq!(
            binary_list(list).unwrap(),
            [binary("_statistics", 1234), binary("a&b.raw.xz", 23097940)]
        );
        assert_eq!(binary_list("<binarylist />\n").unwrap(), []);
        assert_eq!(binary_list("<binarylist>\n</binarylist>\n").unwrap(), []);
        assert_eq!(
            binary_list("<?xml version=\"1.0\"?>\n<binarylist package=\"x\"><binary filename=\"a\" size=\"1\"/></binarylist>")
                .unwrap(),
            [Binary {
                mtime: None,
                ..binary("a", 1)
            }]
        );
        assert_eq!(
            summary(
                "<status code=\"404\">\n  <summary>project 'x' does not &lt;exist&gt;</summary>\n  \
                 <details>404 no</details>\n</status>\n"
            )
            .unwrap(),
            "project 'x' does not <exist>"
        );
    }

    #[test]
    fn lists_of_names_are_read() {
        let list = "<directory>\n  <entry name=\"Cloud:Images\" />\n  <entry name=\"a&amp;b\" />\n</directory>\n";
        assert_eq!(directory(list).unwrap(), ["Cloud:Images", "a&b"]);
        let of_api = "<directory count=\"1\"><entry name=\"x\" size=\"1\"/></directory>";
        assert_eq!(directory(of_api).unwrap(), ["x"]);
        assert_eq!(directory("<directory />").unwrap(), [""; 0]);
        let results = "<resultlist state=\"1\">\n  <result project=\"p\" repository=\"r\" arch=\"x86_64\" code=\"published\" \
                       state=\"published\">\n    <status package=\"leap\" code=\"succeeded\" />\n    \
                       <status package=\"leap:xen\" code=\"failed\">\n      <details>no</details>\n    </status>\n  \
                       </result>\n</resultlist>\n";
        assert_eq!(packages_of_results(results).unwrap(), ["leap", "leap:xen"]);
        assert_eq!(
            packages_of_results("<resultlist state=\"1\" />").unwrap(),
            [""; 0]
        );
    }

    #[test]
    fn what_is_not_obs_is_not_read() {
        for text in [
            "",
            "<html><body>Log in</body></html>",
            "no",
            "<binarylist",
            "<binarylist><binary/></binarylist>",
        ] {
            assert!(binary_list(text).is_err(), "{text}");
            assert!(directory(text).is_err(), "{text}");
            assert!(packages_of_results(text).is_err(), "{text}");
            assert_eq!(summary(text), None, "{text}");
        }
    }
}
