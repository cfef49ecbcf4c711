//! What users may upload from.
//!
//! A repository server or a source server shows projects to this service that OBS hides from most of its users. Therefore
//! users may upload from what everybody may see, which is what OBS's public API shows, or from what the operators allow.
//! OBS's frontend has checked what its users may see, and is not limited.

use cloudupload::{
    names::{Arch, Package, Project, Repository},
    obs::{Image, ListedRepository},
};

use super::{Access, ApiError};

/// The projects that users may upload from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedProjects {
    /// All that OBS shows to this service, as it shows them to everybody.
    Public,
    Matching(Vec<ProjectPattern>),
}

/// A project's name, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectPattern(String);

/// Text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "ALLOWED_PROJECTS: '{0}' is not a project such as 'Cloud:Images', nor a pattern such as 'Cloud:*'"
)]
pub struct BadPattern(String);

impl ProjectPattern {
    fn new(text: &str) -> Result<Self, BadPattern> {
        // With a name in place of each `*`, it has to be that of a project.
        match text.replace('*', "x").parse::<Project>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(BadPattern(text.to_owned())),
        }
    }

    fn is_open(&self) -> bool {
        self.0.contains('*')
    }

    fn matches(&self, project: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == project;
        };
        let Some(mut left) = project.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(last)
    }
}

impl AllowedProjects {
    /// The projects of these patterns, which have commas between them. Without any: all projects of a public OBS, and none of
    /// another.
    pub fn new(patterns: &str, obs_is_public: bool) -> Result<Self, BadPattern> {
        let patterns = patterns.split(',').map(str::trim);
        let patterns = patterns.filter(|pattern| !pattern.is_empty());
        let patterns: Vec<_> = patterns
            .map(ProjectPattern::new)
            .collect::<Result<_, _>>()?;
        Ok(match patterns.is_empty() && obs_is_public {
            true => AllowedProjects::Public,
            false => AllowedProjects::Matching(patterns),
        })
    }

    /// Those that the patterns name in full.
    fn named(&self) -> Vec<Project> {
        let AllowedProjects::Matching(patterns) = self else {
            return Vec::new();
        };
        let full = patterns.iter().filter(|pattern| !pattern.is_open());
        full.filter_map(|pattern| pattern.0.parse().ok()).collect()
    }

    /// Whether the patterns name all of them in full.
    fn names_all(&self) -> bool {
        match self {
            AllowedProjects::Public => false,
            AllowedProjects::Matching(patterns) => !patterns.iter().any(ProjectPattern::is_open),
        }
    }

    fn allow(&self, project: &str) -> bool {
        match self {
            AllowedProjects::Public => true,
            AllowedProjects::Matching(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(project))
            }
        }
    }

    /// Fails for a project that is not allowed, before OBS is asked for it.
    pub fn check(&self, project: &Project) -> Result<(), ApiError> {
        match self.allow(project.as_str()) {
            true => Ok(()),
            false => Err(ApiError::ProjectNotAllowed(project.clone())),
        }
    }
}

/// Projects that users may upload from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectList {
    pub projects: Vec<Project>,
    /// Whether these are all. OBS's public API has no list of its projects.
    pub is_complete: bool,
}

impl Access<'_> {
    /// The projects that the user who calls may upload from.
    pub async fn projects(self) -> Result<ProjectList, ApiError> {
        self.signed_in()?;
        let allowed = &self.api.allowed;
        if allowed.names_all() || self.api.obs.is_public() {
            return Ok(ProjectList {
                projects: allowed.named(),
                is_complete: allowed.names_all(),
            });
        }
        let mut projects = self.api.obs.projects().await?;
        projects.retain(|project| allowed.allow(project.as_str()));
        Ok(ProjectList {
            projects,
            is_complete: true,
        })
    }

    /// The repositories of a project that have an architecture of EC2's.
    pub async fn repositories(self, project: &Project) -> Result<Vec<ListedRepository>, ApiError> {
        self.may_look_into(project)?;
        Ok(self.api.obs.repositories(project).await?)
    }

    /// The packages of a repository.
    pub async fn packages(
        self,
        project: &Project,
        repository: &Repository,
        arch: Arch,
    ) -> Result<Vec<Package>, ApiError> {
        self.may_look_into(project)?;
        Ok(self.api.obs.packages(project, repository, arch).await?)
    }

    /// The cloud images of a package.
    pub async fn images(
        self,
        project: &Project,
        package: &Package,
    ) -> Result<Vec<Image>, ApiError> {
        self.may_look_into(project)?;
        Ok(self.api.obs.images(project, package).await?)
    }

    fn may_look_into(self, project: &Project) -> Result<(), ApiError> {
        self.signed_in()?;
        self.api.allowed.check(project)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(patterns: &str, public: bool) -> AllowedProjects {
        AllowedProjects::new(patterns, public).unwrap()
    }

    #[test]
    fn a_pattern_has_stars_for_any_text() {
        for (pattern, project, matches) in [
            ("Cloud:Images", "Cloud:Images", true),
            ("Cloud:Images", "Cloud:Images:Beta", false),
            ("Cloud:*", "Cloud:Images:Beta", true),
            ("Cloud:*", "Cloud", false),
            ("Cloud:*", "home:Cloud:x", false),
            ("*:Images", "Cloud:Images", true),
            ("*:Images", "Cloud:Images:Beta", false),
            ("home:*:cloud*", "home:tom:cloud", true),
            ("home:*:cloud*", "home:tom:clou", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abxb", true),
            ("*", "anything", true),
        ] {
            assert_eq!(
                allowed(pattern, false).allow(project),
                matches,
                "{pattern}, {project}"
            );
        }
    }

    #[test]
    fn without_patterns_only_what_everybody_sees_is_allowed() {
        assert_eq!(allowed("", true), AllowedProjects::Public);
        assert!(allowed("", true).allow("home:tom"));
        assert!(!allowed("", false).allow("home:tom"));
        let some = allowed("a, b:*", true);
        assert!(some.allow("a") && some.allow("b:c") && !some.allow("c"));
        let project = "c".parse().unwrap();
        assert!(matches!(
            some.check(&project),
            Err(ApiError::ProjectNotAllowed(_))
        ));
    }

    #[test]
    fn a_pattern_that_no_project_can_have_is_refused() {
        for pattern in ["a/b", "a::b", "_x", "a b/"] {
            assert!(AllowedProjects::new(pattern, false).is_err(), "{pattern}");
        }
    }

    proptest! {
        /// Cutting a project's name anywhere makes patterns that match it.
        #[test]
        fn a_part_of_a_name_and_a_star_match_it(name in "[a-c:]{0,8}", from in 0..9usize, to in 0..9usize) {
            let (from, to) = (from.min(name.len()), to.min(name.len()));
            let (from, to) = (from.min(to), from.max(to));
            let pattern = ProjectPattern(format!("{}*{}", &name[..from], &name[to..]));
            prop_assert!(pattern.matches(&name));
        }
    }
}
