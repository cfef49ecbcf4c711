use crate::names::{FileName, checked_string};

/// RegisterImage: "Constraints: 3-128 alphanumeric characters, parentheses, square brackets, spaces, periods, slashes,
/// dashes, single quotes, at-signs, or underscores" (EC2 API reference, RegisterImage, `Name`).
const MIN: usize = 3;
const MAX: usize = 128;

checked_string!(
    /// The name that the AMI gets. Unique among the AMIs of an account in a region, which only RegisterImage can check.
    AmiName, check => BadAmiName
);

/// Why EC2 would refuse an AMI's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAmiName {
    #[error("ami_name '{name}' has {length} characters: EC2 takes {MIN} to {MAX}")]
    Length { name: String, length: usize },
    #[error(
        "ami_name '{name}' is illegal: EC2 takes letters, digits, spaces and any of ()[]./-'@_, not '{illegal}'"
    )]
    Illegal { name: String, illegal: char },
}

impl AmiName {
    /// A name for the AMI of this file: the file's, without what tells of its format, with `-` for what EC2 does not
    /// take, cut to what it allows.
    pub fn from_file_name(file: &FileName) -> Self {
        let file = file.as_str();
        let stem = [
            ".raw.xz",
            ".raw.gz",
            ".raw.zst",
            ".raw",
            ".vhdfixed.xz",
            ".vhdfixed",
        ]
        .iter()
        .find_map(|suffix| file.strip_suffix(suffix))
        .filter(|stem| stem.chars().count() >= MIN)
        .unwrap_or(file);
        let mut name: String = stem
            .chars()
            .map(|c| if is_legal(c) { c } else { '-' })
            .take(MAX)
            .collect();
        if name.len() < MIN {
            name.insert_str(0, "obs-");
        }
        Self(name)
    }
}

fn check(text: &str) -> Result<(), BadAmiName> {
    let length = text.chars().count();
    if !(MIN..=MAX).contains(&length) {
        let name = text.chars().take(2 * MAX).collect();
        return Err(BadAmiName::Length { name, length });
    }
    match text.chars().find(|&c| !is_legal(c)) {
        None => Ok(()),
        Some(illegal) => Err(BadAmiName::Illegal {
            name: text.to_owned(),
            illegal,
        }),
    }
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_ec2_takes_is_taken() {
        for name in [
            "abc",
            "My image (15.6) [x86_64] a/b-c'@d_e",
            &"x".repeat(128),
        ] {
            name.parse::<AmiName>().expect(name);
        }
    }

    #[test]
    fn what_ec2_refuses_is_refused() {
        let refused = |name: &str| name.parse::<AmiName>().unwrap_err().to_string();
        assert_eq!(
            refused("ab"),
            "ami_name 'ab' has 2 characters: EC2 takes 3 to 128"
        );
        assert_eq!(
            refused(&"ä".repeat(129)),
            format!(
                "ami_name '{}' has 129 characters: EC2 takes 3 to 128",
                "ä".repeat(129)
            )
        );
        assert_eq!(
            refused("a+b"),
            "ami_name 'a+b' is illegal: EC2 takes letters, digits, spaces and any of ()[]./-'@_, not '+'"
        );
    }

    #[test]
    fn a_file_names_its_ami() {
        for (file, ami) in [
            ("leap-ec2.x86_64-15.6.raw.xz", "leap-ec2.x86_64-15.6"),
            ("leap-15.6-Build1.2.vhdfixed.xz", "leap-15.6-Build1.2"),
            ("a+b~c.raw.zst", "a-b-c"),
            ("disk.qcow2", "disk.qcow2"),
            ("ab.raw", "ab.raw"),
            ("x", "obs-x"),
        ] {
            assert_eq!(
                AmiName::from_file_name(&file.parse().unwrap()).as_str(),
                ami
            );
        }
    }

    proptest! {
        #[test]
        fn every_file_name_makes_a_legal_ami_name(file in "\\PC{1,255}") {
            if let Ok(file) = file.parse::<FileName>() {
                let name = AmiName::from_file_name(&file);
                prop_assert_eq!(check(name.as_str()), Ok(()));
            }
        }
    }
}
