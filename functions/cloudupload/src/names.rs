//! The names of OBS's things. What is legal is what OBS's backend says it is (`src/backend/BSVerify.pm`), and errors read
//! as its errors do, because OBS shows them to its users as they are.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Makes a string type whose every value has passed a check.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:path => $error:ty) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use checked_string;

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("{kind} '{name}' is illegal")]
    Illegal { kind: &'static str, name: String },
    #[error("{kind} '{name}' is too long")]
    TooLong { kind: &'static str, name: String },
    #[error("arch '{0}' does not run on EC2: valid are {valid}", valid = Arch::ALL.map(Arch::as_str).join(", "))]
    NotOnEc2(String),
}

checked_string!(
    /// A project, such as `Cloud:Images`: parts with `:` between them, at most 200 bytes.
    Project, check_project => BadName
);
checked_string!(
    /// A repository of a project, such as `images`, at most 200 bytes.
    Repository, check_repository => BadName
);
checked_string!(
    /// A package, such as `leap-ec2`, with the flavor of a multibuild behind a `:`, or a part of a product behind
    /// `_product:`; at most 200 bytes.
    Package, check_package => BadName
);
checked_string!(
    /// A file among the build results, at most 255 bytes, which is what a file system takes.
    FileName, check_file_name => BadName
);
checked_string!(
    /// The user who asked for the upload. OBS's backend takes any text for a user; here it is one line of at most 200 bytes.
    User, check_user => BadName
);

/// An architecture that both OBS and EC2 know, under OBS's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    #[serde(rename = "x86_64")]
    X86_64,
    Aarch64,
}

impl Arch {
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    pub fn as_str(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }
}

impl FromStr for Arch {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::Empty("arch"));
        }
        Self::ALL
            .into_iter()
            .find(|arch| arch.as_str() == text)
            .ok_or_else(|| BadName::NotOnEc2(text.to_owned()))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn check_project(name: &str) -> Result<(), BadName> {
    let legal = name != "0"
        && !has_separator(name)
        && name
            .split(':')
            .all(|part| !part.is_empty() && !part.starts_with(['_', '.']));
    check("projid", name, 200, legal)
}

fn check_repository(name: &str) -> Result<(), BadName> {
    check("repoid", name, 200, name != "0" && is_label(name))
}

fn check_package(name: &str) -> Result<(), BadName> {
    let legal = match name.split_once(':') {
        None => {
            matches!(name, "_product" | "_patchinfo" | "_pattern" | "_project")
                || name != "0" && is_label(name)
        }
        Some(("_product" | "_patchinfo", part)) => is_label(part),
        Some((package, flavor)) => package != "0" && is_label(package) && is_label(flavor),
    };
    check("packid", name, 200, legal)
}

fn check_file_name(name: &str) -> Result<(), BadName> {
    let legal = !has_separator(name) && !name.starts_with('.');
    check("filename", name, 255, legal)
}

fn check_user(name: &str) -> Result<(), BadName> {
    check("user", name, 200, !name.contains(char::is_control))
}

fn check(kind: &'static str, name: &str, max_bytes: usize, legal: bool) -> Result<(), BadName> {
    if name.is_empty() {
        Err(BadName::Empty(kind))
    } else if !legal {
        Err(BadName::Illegal {
            kind,
            name: name.to_owned(),
        })
    } else if name.len() > max_bytes {
        Err(BadName::TooLong {
            kind,
            name: name.to_owned(),
        })
    } else {
        Ok(())
    }
}

/// What packages, flavors and repositories may be called. `0` is another matter: to Perl it is no name.
fn is_label(name: &str) -> bool {
    !name.is_empty() && !has_separator(name) && !name.contains(':') && !name.starts_with(['_', '.'])
}

fn has_separator(name: &str) -> bool {
    name.contains(|c: char| c == '/' || c < ' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused<T: FromStr<Err = BadName> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn names_of_real_things_are_legal() {
        for name in [
            "Cloud:Images",
            "home:tom",
            "openSUSE:Leap:15.6:Images",
            "a",
            "SUSE:SLE-15-SP6:Update",
        ] {
            name.parse::<Project>().expect(name);
        }
        for name in ["images", "openSUSE_Leap_15.6", "SLE_15+updates"] {
            name.parse::<Repository>().expect(name);
        }
        for name in [
            "leap-ec2",
            "kiwi-templates-Minimal:AWS-EC2",
            "_product:openSUSE-cd",
            "_product",
            "gcc+x",
            "_patchinfo:5",
            "leap:0",
        ] {
            name.parse::<Package>().expect(name);
        }
        for name in [
            "leap-ec2.x86_64-15.6.raw.xz",
            "_buildenv",
            "a b",
            "ünïcode.raw",
        ] {
            name.parse::<FileName>().expect(name);
        }
        for name in ["tom", "_nobody_", "tom@example.com"] {
            name.parse::<User>().expect(name);
        }
    }

    #[test]
    fn errors_read_as_those_of_obs() {
        assert_eq!(refused::<Project>("../x"), "projid '../x' is illegal");
        assert_eq!(refused::<Project>(""), "projid is empty");
        assert_eq!(
            refused::<Project>(&"x".repeat(201)),
            format!("projid '{}' is too long", "x".repeat(201))
        );
        assert_eq!(refused::<Repository>("a:b"), "repoid 'a:b' is illegal");
        assert_eq!(refused::<Package>("_x"), "packid '_x' is illegal");
        assert_eq!(
            refused::<FileName>("../../etc/passwd"),
            "filename '../../etc/passwd' is illegal"
        );
        assert_eq!(refused::<User>("tom\n"), "user 'tom\n' is illegal");
        assert_eq!(
            refused::<Arch>("riscv64"),
            "arch 'riscv64' does not run on EC2: valid are x86_64, aarch64"
        );
    }

    #[test]
    fn what_obs_refuses_is_refused() {
        for name in ["a::b", ":a", "a:", "a:_b", "a:.b", "_a", "a/b", "a\0", "0"] {
            assert_eq!(
                refused::<Project>(name),
                format!("projid '{name}' is illegal")
            );
        }
        for name in [
            "a/b",
            ".a",
            "_link",
            "a:",
            ":a",
            "a:b:c",
            "a:_b",
            "a:.b",
            "_product:",
            "_product:a:b",
            "_product:_x",
            "_project:x",
            "_pattern:x",
            "0",
            "0:x",
            "a\u{1f}",
        ] {
            assert_eq!(
                refused::<Package>(name),
                format!("packid '{name}' is illegal")
            );
        }
        for name in ["a/b", ".a", "_a", "a:b", "0", "a\t"] {
            assert_eq!(
                refused::<Repository>(name),
                format!("repoid '{name}' is illegal")
            );
        }
        for name in ["a/b", ".a", "..", "a\n"] {
            assert_eq!(
                refused::<FileName>(name),
                format!("filename '{name}' is illegal")
            );
        }
    }

    #[test]
    fn a_record_with_an_illegal_name_is_not_read() {
        assert!(serde_json::from_str::<FileName>(r#""a/b""#).is_err());
        assert_eq!(
            serde_json::to_string(&"a.raw".parse::<FileName>().unwrap()).unwrap(),
            r#""a.raw""#
        );
        assert_eq!(
            serde_json::from_str::<Arch>(r#""x86_64""#).unwrap(),
            Arch::X86_64
        );
        assert_eq!(
            serde_json::to_string(&Arch::Aarch64).unwrap(),
            r#""aarch64""#
        );
    }

    proptest! {
        /// Whatever passes can be a segment of a URL's path and a key in a bucket without leaving its place.
        #[test]
        fn a_legal_name_never_leaves_its_place(name in "\\PC{1,12}|[./_:a0]{1,8}") {
            let legal = [
                name.parse::<Project>().is_ok(),
                name.parse::<Repository>().is_ok(),
                name.parse::<Package>().is_ok(),
                name.parse::<FileName>().is_ok(),
            ];
            if legal.contains(&true) {
                prop_assert!(!name.contains('/') && name != "." && name != "..");
            }
        }
    }
}
