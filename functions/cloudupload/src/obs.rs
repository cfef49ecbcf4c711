//! OBS's build results over HTTP: what there is, and the files themselves. The repository server, the source server and
//! the public API all serve them under the same paths.

mod checksum;
mod download;
mod lists;
pub mod read;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, ops::Range, time::Duration};

use quick_xml::DeError;
use reqwest::{Client, Response, StatusCode, Url, header::RANGE};

pub use self::{
    download::Download,
    lists::{Image, Repository as ListedRepository},
    read::Binary,
};
use crate::{
    job::UploadRequest,
    names::{Arch, FileName, Package, Project, Repository},
    retry::RetryBudget,
};

/// How long it may take to connect to OBS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long OBS may be silent in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a list may take, all tries together: somebody waits for an HTTP answer meanwhile.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);

/// Attempts at a list, while the connection fails or OBS is in trouble.
const LIST_BUDGET: RetryBudget = RetryBudget {
    attempts: 3,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(2),
};

/// More than any list of build results has; what is longer did not come from OBS.
const LONGEST_LIST: usize = 16 << 20;

/// More than a file with a checksum has, signature and all.
const LONGEST_CHECKSUM: usize = 64 << 10;

/// Endings of the files that are cloud images.
const CLOUD_IMAGES: [&str; 5] = [".raw.xz", ".vhdfixed.xz", ".raw", ".raw.gz", ".raw.zst"];

/// Why OBS cannot be used at all. It does not repeat the base URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum BadObsUrl {
    #[error("OBS_URL is not a URL such as http://host:5252")]
    NotAUrl,
    #[error("OBS_URL does not begin with http:// or https://")]
    Scheme,
    #[error("OBS_URL has a query or a fragment")]
    Query,
    #[error("TLS cannot be set up on this machine: {}", causes(.0))]
    Tls(reqwest::Error),
}

fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // They fail for URLs that cannot have credentials to begin with.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// The package build that build results belong to.
#[derive(Clone, Copy, Debug)]
pub struct BuildPath<'a> {
    pub project: &'a Project,
    pub repository: &'a Repository,
    pub arch: Arch,
    pub package: &'a Package,
}

impl<'a> From<&'a UploadRequest> for BuildPath<'a> {
    fn from(request: &'a UploadRequest) -> Self {
        Self {
            project: &request.project,
            repository: &request.repository,
            arch: request.arch,
            package: &request.package,
        }
    }
}

impl fmt::Display for BuildPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BuildPath {
            project,
            repository,
            arch,
            package,
        } = self;
        write!(f, "{project}/{repository}/{arch}/{package}")
    }
}

/// What went wrong with OBS. The texts are for users, in OBS's words where it has some.
#[derive(Debug, thiserror::Error)]
pub enum ObsError {
    #[error("remote error: {0}  No such file or directory")]
    NoSuchFile(FileName),
    #[error("no cloud image ({}) among the build results of {path}: there is {}", CLOUD_IMAGES.map(|end| format!("*{end}")).join(", "), listed(.found))]
    NoImage { path: String, found: Vec<String> },
    #[error("more than one cloud image among the build results of {path}: say in 'filename' which one is meant of {}", listed(.found))]
    ManyImages { path: String, found: Vec<String> },
    /// OBS answered, but with an error.
    #[error("remote error: {summary} ({url})")]
    Refused {
        status: StatusCode,
        summary: String,
        url: String,
    },
    #[error("the connection to OBS failed (GET {url}): {}", causes(.source))]
    Connection { url: String, source: reqwest::Error },
    #[error("OBS did not answer within {} s (GET {url})", LIST_TIMEOUT.as_secs())]
    TooSlow { url: String },
    #[error("OBS answered with something else than {expected} (GET {url}): {reason}")]
    Unexpected {
        expected: &'static str,
        url: String,
        reason: String,
    },
}

impl ObsError {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            ObsError::Refused { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    )
            }
            ObsError::Connection { .. } | ObsError::TooSlow { .. } => true,
            _ => false,
        }
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    match names.len() {
        0 => "nothing".to_owned(),
        count if count > SHOWN => {
            format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN)
        }
        _ => names.join(", "),
    }
}

/// An HTTP client's error says little itself; what happened is in what caused it.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// OBS, seen from here.
#[derive(Clone)]
pub struct Obs {
    http: Client,
    base: Url,
}

impl Obs {
    /// `base` is a URL such as `http://host:5252` or `https://api.opensuse.org/public`. A user and password in it are
    /// sent as Basic auth and shown nowhere.
    pub fn new(base: &str) -> Result<Self, BadObsUrl> {
        let base = Url::parse(base).map_err(|_| BadObsUrl::NotAUrl)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(BadObsUrl::Scheme);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(BadObsUrl::Query);
        }
        let http = Client::builder()
            .user_agent(concat!("obs-cloudupload/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(BadObsUrl::Tls)?;
        Ok(Self { http, base })
    }

    /// Whether everybody may see what this OBS shows: it is OBS's public API, which shows no hidden project (OBS API
    /// documentation, `/public`).
    pub fn is_public(&self) -> bool {
        let path = self.base.path().trim_end_matches('/');
        path.ends_with("/public") && self.base.username().is_empty()
    }

    /// The file called `name`, or without a name the one cloud image that there is.
    pub async fn find(
        &self,
        path: BuildPath<'_>,
        name: Option<&FileName>,
    ) -> Result<Binary, ObsError> {
        let binaries = self.build_results(path).await?;
        match name {
            Some(name) => binaries
                .into_iter()
                .find(|binary| binary.filename == name.as_str())
                .ok_or_else(|| ObsError::NoSuchFile(name.clone())),
            None => the_image(path, binaries),
        }
    }

    /// Everything that was built there, in OBS's order.
    pub async fn build_results(&self, path: BuildPath<'_>) -> Result<Vec<Binary>, ObsError> {
        self.list(
            self.url(path, None),
            "a list of build results",
            read::binary_list,
        )
        .await
    }

    /// A list of OBS's, read by `read`.
    async fn list<T>(
        &self,
        url: Url,
        expected: &'static str,
        read: fn(&str) -> Result<T, DeError>,
    ) -> Result<T, ObsError> {
        let shown = without_credentials(&url);
        let asked = retried(|| self.text(url.clone(), &XML));
        let list = match tokio::time::timeout(LIST_TIMEOUT, asked).await {
            Ok(list) => list?,
            Err(_) => return Err(ObsError::TooSlow { url: shown }),
        };
        read(&list).map_err(|error| ObsError::Unexpected {
            expected,
            url: shown,
            reason: error.to_string(),
        })
    }

    /// Begins to read the requested file, from byte `from` on if OBS can do that: [`Download::from`] says where it does
    /// begin.
    pub async fn download(&self, request: &UploadRequest, from: u64) -> Result<Download, ObsError> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        self.get_file(request, range).await
    }

    /// Begins to read these bytes of the requested file, if OBS can do that: [`Download::from`] and [`Download::end`] say
    /// which bytes it does send.
    pub async fn download_part(
        &self,
        request: &UploadRequest,
        bytes: Range<u64>,
    ) -> Result<Download, ObsError> {
        let range = format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1));
        self.get_file(request, Some(range)).await
    }

    async fn get_file(
        &self,
        request: &UploadRequest,
        range: Option<String>,
    ) -> Result<Download, ObsError> {
        let url = self.url(request.into(), Some(request.filename.as_str()));
        let mut get = self.http.get(url.clone());
        if let Some(range) = range {
            get = get.header(RANGE, range);
        }
        Download::of(accepted(&url, get).await?, &url)
    }

    /// The SHA-256 that the file `FILE.sha256` beside the requested file FILE says it has, in hex. `None` if there is no
    /// such file. The signature of a signed one is not verified.
    pub async fn sha256(&self, request: &UploadRequest) -> Result<Option<String>, ObsError> {
        let name = request.filename.as_str();
        let url = self.url(request.into(), Some(&format!("{name}.sha256")));
        let text = match retried(|| self.text(url.clone(), &CHECKSUM)).await {
            Err(ObsError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
                return Ok(None);
            }
            text => text?,
        };
        checksum::sha256_of(name, &text)
            .map(Some)
            .map_err(|error| CHECKSUM.unexpected(&url, &error.to_string()))
    }

    fn url(&self, path: BuildPath<'_>, file: Option<&str>) -> Url {
        let package = [
            "build",
            path.project.as_str(),
            path.repository.as_str(),
            path.arch.as_str(),
            path.package.as_str(),
        ];
        self.url_of(package.into_iter().chain(file))
    }

    fn url_of<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(segments);
        url
    }

    async fn text(&self, url: Url, page: &Page) -> Result<String, ObsError> {
        let response = accepted(&url, self.http.get(url.clone())).await?;
        page.read(response, &url).await
    }
}

fn is_image(binary: &Binary) -> bool {
    let mut ends = CLOUD_IMAGES.iter();
    ends.any(|end| binary.filename.ends_with(end))
}

fn the_image(path: BuildPath<'_>, binaries: Vec<Binary>) -> Result<Binary, ObsError> {
    let (mut images, others): (Vec<Binary>, Vec<Binary>) = binaries.into_iter().partition(is_image);
    let names = |binaries: Vec<Binary>| binaries.into_iter().map(|b| b.filename).collect();
    match (images.pop(), images.is_empty()) {
        (Some(image), true) => Ok(image),
        (Some(image), false) => {
            images.push(image);
            Err(ObsError::ManyImages {
                path: path.to_string(),
                found: names(images),
            })
        }
        (None, _) => Err(ObsError::NoImage {
            path: path.to_string(),
            found: names(others),
        }),
    }
}

/// Makes attempts until one does not fail for a transient reason, or none is left.
async fn retried<T, Try>(mut attempt: impl FnMut() -> Try) -> Result<T, ObsError>
where
    Try: Future<Output = Result<T, ObsError>>,
{
    let mut attempts = LIST_BUDGET.start();
    loop {
        match attempt().await {
            Err(error) if error.is_transient() && attempts.again().await => {
                tracing::warn!("retry: {error}");
            }
            result => return result,
        }
    }
}

/// Sends a request. An answer with an error status becomes an error, in OBS's own words.
async fn accepted(url: &Url, request: reqwest::RequestBuilder) -> Result<Response, ObsError> {
    let response = request.send().await.map_err(connection_to(url))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let summary = XML
        .read(response, url)
        .await
        .ok()
        .and_then(|body| read::summary(&body))
        .unwrap_or_else(|| status.to_string());
    Err(ObsError::Refused {
        status,
        summary,
        url: without_credentials(url),
    })
}

fn connection_to(url: &Url) -> impl FnOnce(reqwest::Error) -> ObsError + '_ {
    |error| ObsError::Connection {
        url: without_credentials(url),
        source: error.without_url(),
    }
}

/// Text that OBS answers with.
struct Page {
    /// What it is.
    expected: &'static str,
    /// Bytes that it has at most.
    longest: usize,
}

const XML: Page = Page {
    expected: "a page of XML",
    longest: LONGEST_LIST,
};

const CHECKSUM: Page = Page {
    expected: "a SHA-256 sum",
    longest: LONGEST_CHECKSUM,
};

impl Page {
    async fn read(&self, mut response: Response, url: &Url) -> Result<String, ObsError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(connection_to(url))? {
            if body.len() + chunk.len() > self.longest {
                return Err(self.unexpected(url, "it is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| self.unexpected(url, "it is not UTF-8"))
    }

    fn unexpected(&self, url: &Url, reason: &str) -> ObsError {
        ObsError::Unexpected {
            expected: self.expected,
            url: without_credentials(url),
            reason: reason.to_owned(),
        }
    }
}
