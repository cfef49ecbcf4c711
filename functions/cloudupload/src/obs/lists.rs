//! What OBS has, from its own lists.
//!
//! A source server, and the public API before it, list projects, repositories, architectures and packages below `/build`.
//! The public API has no list of all projects. A repository server refuses these requests; it lists what it has published,
//! and the packages of a repository by their results (the tables of dispatches in `bs_srcserver` and `bs_repserver`, OBS
//! 2.9.4; `public/build/:project` in the routes of OBS's API).

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;

use super::{Binary, BuildPath, Obs, ObsError, is_image, read};
use crate::names::{Arch, Package, Project, Repository as RepositoryName};

/// Requests to OBS at the same time, for one list.
const REQUESTS: usize = 8;

/// A repository of a project, with those of its architectures that EC2 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub name: RepositoryName,
    pub archs: Vec<Arch>,
}

/// A cloud image among the build results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub repository: RepositoryName,
    pub arch: Arch,
    pub file: Binary,
}

impl Obs {
    /// The projects that OBS has. A repository server lists only those that have published something.
    pub async fn projects(&self) -> Result<Vec<Project>, ObsError> {
        match self.directory(&["build"]).await {
            Err(error) if is_unknown_request(&error) => self.names(&["published"]).await,
            listed => Ok(legal(listed?)),
        }
    }

    /// The repositories of a project. Of a repository server, they may have fewer architectures than are
    /// told.
    pub async fn repositories(&self, project: &Project) -> Result<Vec<Repository>, ObsError> {
        let project = project.as_str();
        let names: Vec<RepositoryName> = match self.directory(&["build", project]).await {
            Err(error) if is_unknown_request(&error) => {
                let names = self.names(&["published", project]).await?;
                let all = |name| Repository {
                    name,
                    archs: Arch::ALL.to_vec(),
                };
                return Ok(names.into_iter().map(all).collect());
            }
            listed => legal(listed?),
        };
        let repositories = names.into_iter().map(|name| async move {
            let archs = self.names(&["build", project, name.as_str()]).await?;
            Ok(Repository { name, archs })
        });
        stream::iter(repositories)
            .buffered(REQUESTS)
            .try_filter(|repository| std::future::ready(!repository.archs.is_empty()))
            .try_collect()
            .await
    }

    /// The packages of a repository.
    pub async fn packages(
        &self,
        project: &Project,
        repository: &RepositoryName,
        arch: Arch,
    ) -> Result<Vec<Package>, ObsError> {
        let path = [
            "build",
            project.as_str(),
            repository.as_str(),
            arch.as_str(),
        ];
        match self.directory(&path).await {
            Err(error) if is_unknown_request(&error) => {
                let mut url = self.url_of(["_result"]);
                let prpa = format!("{project}/{repository}/{arch}");
                url.query_pairs_mut().append_pair("prpa", &prpa);
                let packages = self.list(url, "a list of results", read::packages_of_results);
                Ok(legal(packages.await?))
            }
            listed => Ok(legal(listed?)),
        }
    }

    /// The cloud images of a package, in all repositories of the project.
    pub async fn images(
        &self,
        project: &Project,
        package: &Package,
    ) -> Result<Vec<Image>, ObsError> {
        let repositories = self.repositories(project).await?;
        let places = repositories.into_iter().flat_map(|repository| {
            let archs = repository.archs.into_iter();
            archs.map(move |arch| (repository.name.clone(), arch))
        });
        let lists = places.map(|(repository, arch)| async move {
            let path = BuildPath {
                project,
                repository: &repository,
                arch,
                package,
            };
            let files = match self.build_results(path).await {
                // The package is not built there.
                Err(ObsError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => vec![],
                files => files?,
            };
            let images = files.into_iter().filter(is_image);
            let images = images.map(|file| Image {
                repository: repository.clone(),
                arch,
                file,
            });
            Ok::<Vec<Image>, ObsError>(images.collect())
        });
        let lists: Vec<Vec<Image>> = stream::iter(lists.collect::<Vec<_>>())
            .buffered(REQUESTS)
            .try_collect()
            .await?;
        Ok(lists.concat())
    }

    async fn directory(&self, path: &[&str]) -> Result<Vec<String>, ObsError> {
        let url = self.url_of(path.iter().copied());
        self.list(url, "a list of names", read::directory).await
    }

    async fn names<T: std::str::FromStr>(&self, path: &[&str]) -> Result<Vec<T>, ObsError> {
        Ok(legal(self.directory(path).await?))
    }
}

/// Those that are names of what can be uploaded.
fn legal<T: std::str::FromStr>(names: Vec<String>) -> Vec<T> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Whether this OBS does not have the request: it says so with a 400, and to one that lacks a parameter that a source server
/// does not ask for, too.
fn is_unknown_request(error: &ObsError) -> bool {
    matches!(error, ObsError::Refused { status, .. } if *status == StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use fake_endpoint::{Answer, Endpoint};

    use super::*;

    /// Paths and what is there.
    type Pages = &'static [(&'static str, &'static str)];

    /// An OBS that has these pages; all else it does not know.
    fn obs(pages: Pages) -> (Endpoint, Obs) {
        let endpoint = Endpoint::new(move |call| {
            let asked = match call.parameters.get("prpa") {
                Some(prpa) => format!("{}?prpa={prpa}", call.path),
                None => call.path.clone(),
            };
            let page = pages.iter().find(|(path, _)| *path == asked);
            match page {
                Some((_, "404")) => call.refusal(404, "", "project does not exist"),
                Some((_, body)) => Answer::ok(*body),
                None => call.refusal(400, "", "unknown request"),
            }
        });
        let obs = Obs::new(endpoint.url()).unwrap();
        (endpoint, obs)
    }

    const SOURCE_SERVER: Pages = &[
        (
            "/build",
            r#"<directory><entry name="a"/><entry name="_x"/></directory>"#,
        ),
        (
            "/build/a",
            r#"<directory><entry name="images"/><entry name="old"/></directory>"#,
        ),
        (
            "/build/a/images",
            r#"<directory><entry name="i586"/><entry name="x86_64"/><entry name="aarch64"/></directory>"#,
        ),
        (
            "/build/a/old",
            r#"<directory><entry name="i586"/></directory>"#,
        ),
        (
            "/build/a/images/x86_64",
            r#"<directory><entry name="leap"/></directory>"#,
        ),
        (
            "/build/a/images/x86_64/leap",
            r#"<binarylist><binary filename="l.raw.xz" size="7" mtime="9"/><binary filename="l.rpm" size="1" mtime="9"/></binarylist>"#,
        ),
        ("/build/a/images/aarch64/leap", "404"),
        ("/build/gone", "404"),
    ];

    const REPOSITORY_SERVER: Pages = &[
        ("/published", r#"<directory><entry name="a"/></directory>"#),
        (
            "/published/a",
            r#"<directory><entry name="images"/></directory>"#,
        ),
        (
            "/_result?prpa=a/images/x86_64",
            r#"<resultlist><result><status package="leap" code="succeeded"/></result></resultlist>"#,
        ),
        (
            "/build/a/images/x86_64/leap",
            r#"<binarylist><binary filename="l.raw.xz" size="7" mtime="9"/></binarylist>"#,
        ),
        ("/build/a/images/aarch64/leap", "<binarylist />"),
    ];

    #[tokio::test]
    async fn both_servers_are_asked_in_their_own_way() {
        let (a, leap): (Project, Package) = ("a".parse().unwrap(), "leap".parse().unwrap());
        let images: RepositoryName = "images".parse().unwrap();
        for pages in [SOURCE_SERVER, REPOSITORY_SERVER] {
            let (_endpoint, obs) = obs(pages);
            assert_eq!(obs.projects().await.unwrap(), [a.clone()]);
            // A repository with none of EC2's architectures is none.
            let listed = Repository {
                name: images.clone(),
                archs: vec![Arch::X86_64, Arch::Aarch64],
            };
            assert_eq!(obs.repositories(&a).await.unwrap(), [listed]);
            let packages = obs.packages(&a, &images, Arch::X86_64).await.unwrap();
            assert_eq!(packages, [leap.clone()]);
            let found = obs.images(&a, &leap).await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(
                (&found[0].repository, found[0].arch),
                (&images, Arch::X86_64)
            );
            assert_eq!(found[0].file.filename, "l.raw.xz");
        }
    }

    #[tokio::test]
    async fn a_project_that_is_not_there_is_told() {
        let (_endpoint, obs) = obs(SOURCE_SERVER);
        let error = obs
            .repositories(&"gone".parse().unwrap())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ObsError::Refused { status, .. } if *status == StatusCode::NOT_FOUND),
            "{error}"
        );
    }

    #[test]
    fn only_the_public_api_is_public() {
        for (url, public) in [
            ("https://api.opensuse.org/public", true),
            ("https://api.opensuse.org/public/", true),
            ("https://tom:secret@api.opensuse.org/public", false),
            ("https://api.opensuse.org", false),
            ("http://host:5252", false),
        ] {
            assert_eq!(Obs::new(url).unwrap().is_public(), public, "{url}");
        }
    }
}
