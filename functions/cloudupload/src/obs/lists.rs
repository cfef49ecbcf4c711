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

    /// The repositories of a project. Those of a repository server may have less architectures than it says.
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
