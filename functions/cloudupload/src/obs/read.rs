//! Reads OBS's XML (`BSXML.pm` in OBS's backend).

use quick_xml::DeError;
use serde::Deserialize;

/// A file among OBS's build results.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Binary {
    #[serde(rename = "@filename")]
    pub filename: String,
    /// Bytes of the file as it lies in OBS.
    #[serde(rename = "@size")]
    pub size: u64,
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
            [binary("a", 1)]
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
    fn what_is_not_obs_is_not_read() {
        for text in [
            "",
            "<html><body>Log in</body></html>",
            "no",
            "<binarylist",
            "<binarylist><binary/></binarylist>",
        ] {
            assert!(binary_list(text).is_err(), "{text}");
            assert_eq!(summary(text), None, "{text}");
        }
    }
}
