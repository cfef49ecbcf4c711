//! The image that the canary uploads.

use std::str::FromStr;

use cloudupload::names::{Arch, BadName, FileName, Package, Project, Repository};

/// A build result of OBS, written as in OBS's own paths: `PROJECT/REPOSITORY/ARCH/PACKAGE/FILENAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryImage {
    pub project: Project,
    pub repository: Repository,
    pub arch: Arch,
    pub package: Package,
    pub filename: FileName,
}

/// Text that names no build result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCanaryImage {
    #[error("'{0}' is not PROJECT/REPOSITORY/ARCH/PACKAGE/FILENAME")]
    Shape(String),
    #[error("{0}")]
    Name(#[from] BadName),
}

impl FromStr for CanaryImage {
    type Err = BadCanaryImage;

    fn from_str(text: &str) -> Result<Self, BadCanaryImage> {
        let parts: Vec<&str> = text.split('/').collect();
        let &[project, repository, arch, package, filename] = parts.as_slice() else {
            return Err(BadCanaryImage::Shape(text.to_owned()));
        };
        Ok(Self {
            project: project.parse()?,
            repository: repository.parse()?,
            arch: arch.parse()?,
            package: package.parse()?,
            filename: filename.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_obs_is_an_image() {
        let image: CanaryImage = "Cloud:Canary/images/x86_64/canary/canary.raw.xz"
            .parse()
            .unwrap();
        assert_eq!(image.project.as_str(), "Cloud:Canary");
        assert_eq!(image.repository.as_str(), "images");
        assert_eq!(image.arch, Arch::X86_64);
        assert_eq!(image.package.as_str(), "canary");
        assert_eq!(image.filename.as_str(), "canary.raw.xz");
    }

    #[test]
    fn what_is_missing_or_illegal_is_told() {
        for text in ["", "a/b/x86_64/c", "a/b/x86_64/c/d/e"] {
            let shape = BadCanaryImage::Shape(text.to_owned());
            assert_eq!(text.parse::<CanaryImage>(), Err(shape));
        }
        for (text, reason) in [
            ("a/b/i586/c/d", "arch 'i586' does not run on EC2"),
            ("_a/b/x86_64/c/d", "projid '_a' is illegal"),
            ("a/b/x86_64/c/", "is empty"),
        ] {
            let error = text.parse::<CanaryImage>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
