//! OBS's build results over HTTP: what there is, and the files themselves. The repository server, the source server and
//! the public API all serve them under the same paths.

use std::{fmt, future::Future, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, RANGE},
};

use crate::{
    backoff,
    job::Order,
    names::{Arch, FileName, Package, Project, Repository},
    xml::{self, Binary},
};

/// How long a connection to OBS may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long OBS may be silent in the middle of an answer.
const STALL: Duration = Duration::from_secs(30);

/// How long a list may take, all tries together: somebody waits for an HTTP answer meanwhile.
const LIST: Duration = Duration::from_secs(15);

/// How often a list is asked for, if the connection fails or OBS is in trouble.
const TRIES: u32 = 3;

/// The longest pause before the second try.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause at all: somebody waits for an answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// More than any list of build results has; what is longer did not come from OBS.
const LONGEST_LIST: usize = 16 << 20;

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

/// Whose build results are meant.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub project: &'a Project,
    pub repository: &'a Repository,
    pub arch: Arch,
    pub package: &'a Package,
}

impl<'a> From<&'a Order> for Place<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            project: &order.project,
            repository: &order.repository,
            arch: order.arch,
            package: &order.package,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
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
    #[error("no cloud image ({}) among the build results of {place}: there is {}", CLOUD_IMAGES.map(|end| format!("*{end}")).join(", "), listed(.found))]
    NoImage { place: String, found: Vec<String> },
    #[error("more than one cloud image among the build results of {place}: say in 'filename' which one is meant of {}", listed(.found))]
    ManyImages { place: String, found: Vec<String> },
    /// OBS answered, but with an error.
    #[error("remote error: {summary} ({url})")]
    Refused {
        status: StatusCode,
        summary: String,
        url: String,
    },
    #[error("the connection to OBS failed (GET {url}): {}", causes(.source))]
    Connection { url: String, source: reqwest::Error },
    #[error("OBS did not answer within {} s (GET {url})", LIST.as_secs())]
    TooSlow { url: String },
    #[error("OBS answered with something else than {expected} (GET {url}): {reason}")]
    Unexpected {
        expected: &'static str,
        url: String,
        reason: String,
    },
}

impl ObsError {
    /// Whether the same request may well succeed a little later.
    pub fn is_passing(&self) -> bool {
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
            .connect_timeout(CONNECT)
            .read_timeout(STALL)
            .build()
            .map_err(BadObsUrl::Tls)?;
        Ok(Self { http, base })
    }

    /// The file called `name`, or without a name the one cloud image that there is.
    pub async fn find(
        &self,
        place: Place<'_>,
        name: Option<&FileName>,
    ) -> Result<Binary, ObsError> {
        let binaries = self.build_results(place).await?;
        match name {
            Some(name) => binaries
                .into_iter()
                .find(|binary| binary.filename == name.as_str())
                .ok_or_else(|| ObsError::NoSuchFile(name.clone())),
            None => the_image(place, binaries),
        }
    }

    /// Everything that was built there, in OBS's order.
    pub async fn build_results(&self, place: Place<'_>) -> Result<Vec<Binary>, ObsError> {
        let url = self.url(place, None);
        let shown = without_credentials(&url);
        let list = match tokio::time::timeout(LIST, retried(|| self.text(url.clone()))).await {
            Ok(list) => list?,
            Err(_) => return Err(ObsError::TooSlow { url: shown }),
        };
        xml::read_binary_list(&list).map_err(|error| ObsError::Unexpected {
            expected: "a list of build results",
            url: shown,
            reason: error.to_string(),
        })
    }

    /// Starts to read the file of an order, at byte `from` if OBS can do that: [`Download::from`] says where it does
    /// begin.
    pub async fn download(&self, order: &Order, from: u64) -> Result<Download, ObsError> {
        let url = self.url(order.into(), Some(&order.filename));
        let mut request = self.http.get(url.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        Download::of(accepted(&url, request).await?, &url)
    }

    fn url(&self, place: Place<'_>, name: Option<&FileName>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend([
                "build",
                place.project.as_str(),
                place.repository.as_str(),
                place.arch.as_str(),
                place.package.as_str(),
            ])
            .extend(name.map(FileName::as_str));
        url
    }

    async fn text(&self, url: Url) -> Result<String, ObsError> {
        let response = accepted(&url, self.http.get(url.clone())).await?;
        body(response, &url).await
    }
}

fn the_image(place: Place<'_>, binaries: Vec<Binary>) -> Result<Binary, ObsError> {
    let (mut images, others): (Vec<Binary>, Vec<Binary>) =
        binaries.into_iter().partition(|binary| {
            CLOUD_IMAGES
                .iter()
                .any(|end| binary.filename.ends_with(end))
        });
    let names = |binaries: Vec<Binary>| binaries.into_iter().map(|b| b.filename).collect();
    match (images.pop(), images.is_empty()) {
        (Some(image), true) => Ok(image),
        (Some(image), false) => {
            images.push(image);
            Err(ObsError::ManyImages {
                place: place.to_string(),
                found: names(images),
            })
        }
        (None, _) => Err(ObsError::NoImage {
            place: place.to_string(),
            found: names(others),
        }),
    }
}

/// Tries again, after a random pause, what failed for a reason that may be gone by then.
async fn retried<T, Try>(mut attempt: impl FnMut() -> Try) -> Result<T, ObsError>
where
    Try: Future<Output = Result<T, ObsError>>,
{
    for tried in 0..TRIES - 1 {
        match attempt().await {
            Err(error) if error.is_passing() => {
                tracing::warn!("trying again: {error}");
                tokio::time::sleep(backoff::pause(tried, PAUSE, LONGEST_PAUSE)).await;
            }
            result => return result,
        }
    }
    attempt().await
}

/// Sends a request; an answer that is an error becomes one, with OBS's own words for it.
async fn accepted(url: &Url, request: reqwest::RequestBuilder) -> Result<Response, ObsError> {
    let response = request.send().await.map_err(connection_to(url))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let summary = body(response, url)
        .await
        .ok()
        .and_then(|body| xml::read_summary(&body))
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

async fn body(mut response: Response, url: &Url) -> Result<String, ObsError> {
    let unexpected = |reason: &str| ObsError::Unexpected {
        expected: "a page of XML",
        url: without_credentials(url),
        reason: reason.to_owned(),
    };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection_to(url))? {
        if body.len() + chunk.len() > LONGEST_LIST {
            return Err(unexpected("it is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| unexpected("it is not UTF-8"))
}

/// A file on its way.
#[derive(Debug)]
pub struct Download {
    response: Response,
    url: Url,
    /// The byte of the file at which this begins.
    pub from: u64,
    /// Bytes of the whole file.
    pub size: u64,
    /// What tells this version of the file from another, if OBS says so: an ETag or a modification time.
    pub version: Option<String>,
}

impl Download {
    fn of(response: Response, url: &Url) -> Result<Self, ObsError> {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let length = if response.status() == StatusCode::PARTIAL_CONTENT {
            header(CONTENT_RANGE).and_then(parse_content_range)
        } else {
            header(CONTENT_LENGTH).and_then(|length| Some((0, length.parse().ok()?)))
        };
        let (from, size) = length.ok_or_else(|| ObsError::Unexpected {
            expected: "a file of known length",
            url: without_credentials(url),
            reason: format!("{} with {:?}", response.status(), response.headers()),
        })?;
        Ok(Self {
            from,
            size,
            version: header(ETAG).or(header(LAST_MODIFIED)).map(str::to_owned),
            url: url.clone(),
            response,
        })
    }

    /// The next bytes, or nothing at the end. A connection that breaks, or is silent for 30 s, is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ObsError> {
        self.response
            .chunk()
            .await
            .map_err(connection_to(&self.url))
    }
}

/// The first byte and the whole size of `bytes 100-199/200`.
fn parse_content_range(value: &str) -> Option<(u64, u64)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.parse().ok()?, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread::JoinHandle,
    };

    use super::*;

    /// An OBS that gives these answers, one a connection, and then tells what it was asked.
    fn obs(answers: &[&str]) -> (Obs, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!(
            "http://tom:s%3acret@{}/public/",
            listener.local_addr().unwrap()
        );
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let asked = std::thread::spawn(move || {
            answers
                .into_iter()
                .map(|answer| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let head: Vec<String> = BufReader::new(&stream)
                        .lines()
                        .map(Result::unwrap)
                        .take_while(|line| !line.is_empty())
                        .collect();
                    stream.write_all(answer.as_bytes()).unwrap();
                    head.join("\n")
                })
                .collect()
        });
        (Obs::new(&base).unwrap(), asked)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn list(names: &[&str]) -> String {
        let binaries: String = names
            .iter()
            .map(|name| format!("  <binary filename=\"{name}\" size=\"7\" mtime=\"1\" />\n"))
            .collect();
        answer(
            "200 OK",
            "",
            &format!("<binarylist>\n{binaries}</binarylist>\n"),
        )
    }

    fn order() -> Order {
        serde_json::from_value(serde_json::json!({
            "user": "tom",
            "target": "ec2",
            "project": "Cloud:Images",
            "repository": "images+x",
            "package": "leap ec2:flavor%",
            "arch": "x86_64",
            "filename": "a.raw.xz",
            "size": 10,
            "ec2": {
                "role": "arn:aws:iam::123456789012:role/obs",
                "external_id": "id",
                "region": "us-east-1",
                "ami_name": "leap",
            },
        }))
        .unwrap()
    }

    async fn find(answers: &[&str], name: Option<&str>) -> Result<Binary, String> {
        let (obs, asked) = obs(answers);
        let name = name.map(|name| name.parse().unwrap());
        let found = obs.find(Place::from(&order()), name.as_ref()).await;
        asked.join().unwrap();
        found.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_list_is_asked_for_with_basic_auth_and_an_encoded_path() {
        let (obs, asked) = obs(&[&list(&["a.raw"])]);
        let found = obs.build_results(Place::from(&order())).await.unwrap();
        assert_eq!(found[0].filename, "a.raw");
        assert_eq!(found[0].size, 7);
        let asked = asked.join().unwrap().remove(0).to_lowercase();
        let line = "get /public/build/cloud:images/images+x/x86_64/leap%20ec2:flavor%25 http/1.1\n";
        assert!(asked.starts_with(line), "{asked}");
        // tom:s:cret
        assert!(
            asked.contains("authorization: basic dg9tonm6y3jlda=="),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_named_file_is_found_or_refused_as_obs_does() {
        let answer = list(&["_buildenv", "a.raw.xz", "b.raw.xz"]);
        assert_eq!(
            find(&[&answer], Some("b.raw.xz")).await.unwrap().filename,
            "b.raw.xz"
        );
        assert_eq!(
            find(&[&answer], Some("x.raw.xz")).await.unwrap_err(),
            "remote error: x.raw.xz  No such file or directory"
        );
    }

    #[tokio::test]
    async fn without_a_name_the_one_image_is_found() {
        let found = find(
            &[&list(&[
                "_buildenv",
                "a.raw.xz.sha256",
                "a.vhdfixed.xz",
                "a.packages",
            ])],
            None,
        )
        .await;
        assert_eq!(found.unwrap().filename, "a.vhdfixed.xz");
        let none = find(&[&list(&["_buildenv", "a.iso"])], None).await;
        assert_eq!(
            none.unwrap_err(),
            "no cloud image (*.raw.xz, *.vhdfixed.xz, *.raw, *.raw.gz, *.raw.zst) among the build results of \
             Cloud:Images/images+x/x86_64/leap ec2:flavor%: there is _buildenv, a.iso"
        );
        assert!(
            find(&[&list(&[])], None)
                .await
                .unwrap_err()
                .ends_with(": there is nothing")
        );
        let many = find(&[&list(&["a.raw", "b.raw.xz", "c"])], None).await;
        assert_eq!(
            many.unwrap_err(),
            "more than one cloud image among the build results of Cloud:Images/images+x/x86_64/leap ec2:flavor%: say \
             in 'filename' which one is meant of a.raw, b.raw.xz"
        );
    }

    #[tokio::test]
    async fn an_error_of_obs_is_passed_on_in_its_words_and_without_the_password() {
        let status = "<status code=\"404\">\n  <summary>project 'Cloud:Images' does not exist</summary>\n</status>\n";
        let error = find(&[&answer("404 Not Found", "", status)], None)
            .await
            .unwrap_err();
        assert!(
            error.starts_with(
                "remote error: project 'Cloud:Images' does not exist (http://127.0.0.1:"
            ),
            "{error}"
        );
        assert!(!error.contains("cret"), "{error}");
        let error = find(&[&answer("403 Forbidden", "", "<html>")], None)
            .await
            .unwrap_err();
        assert!(
            error.starts_with("remote error: 403 Forbidden (http://"),
            "{error}"
        );
        let error = find(&[&answer("200 OK", "", "<html></html>")], None)
            .await
            .unwrap_err();
        assert!(
            error.starts_with(
                "OBS answered with something else than a list of build results (GET http"
            ),
            "{error}"
        );
    }

    #[tokio::test]
    async fn trouble_is_tried_again() {
        let trouble = answer("503 Service Unavailable", "", "");
        let broken = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<binary";
        assert!(
            find(&[&trouble, broken, &list(&["a.raw"])], None)
                .await
                .is_ok()
        );
        let error = find(&[&trouble, &trouble, &trouble], None)
            .await
            .unwrap_err();
        assert!(
            error.starts_with("remote error: 503 Service Unavailable (http"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_obs_that_is_not_there_is_told() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let obs = Obs::new(&format!("http://tom:secret@{free}")).unwrap();
        let error = obs
            .build_results(Place::from(&order()))
            .await
            .unwrap_err()
            .to_string();
        let start = format!(
            "the connection to OBS failed (GET http://{free}/build/Cloud:Images/images+x/x86_64/"
        );
        assert!(error.starts_with(&start), "{error}");
        assert!(
            error.contains("onnection refused") && !error.contains("secret"),
            "{error}"
        );
    }

    /// Where the download begins, the file's size and version, and the text that came; and what OBS was asked.
    async fn read(
        answer: &str,
        from: u64,
    ) -> (Result<(u64, u64, Option<String>, String), String>, String) {
        let (obs, asked) = obs(&[answer]);
        let result = async {
            let mut download = obs.download(&order(), from).await?;
            let mut text = Vec::new();
            while let Some(chunk) = download.chunk().await? {
                text.extend_from_slice(&chunk);
            }
            let text = String::from_utf8(text).unwrap();
            Ok((download.from, download.size, download.version, text))
        };
        let result = result.await.map_err(|error: ObsError| error.to_string());
        (result, asked.join().unwrap().remove(0).to_lowercase())
    }

    #[tokio::test]
    async fn a_file_is_read_from_its_beginning() {
        let headers = "Last-Modified: yesterday\r\n";
        let (result, asked) = read(&answer("200 OK", headers, "0123456789"), 0).await;
        let version = Some("yesterday".to_owned());
        assert_eq!(result.unwrap(), (0, 10, version, "0123456789".to_owned()));
        let line = "get /public/build/cloud:images/images+x/x86_64/leap%20ec2:flavor%25/a.raw.xz http/1.1\n";
        assert!(
            asked.starts_with(line) && !asked.contains("range"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_file_is_read_on_where_obs_can_do_that() {
        let headers = "Content-Range: bytes 4-9/10\r\nETag: \"v1\"\r\n";
        let (result, asked) = read(&answer("206 Partial Content", headers, "456789"), 4).await;
        let version = Some("\"v1\"".to_owned());
        assert_eq!(result.unwrap(), (4, 10, version, "456789".to_owned()));
        assert!(asked.contains("\nrange: bytes=4-\n"), "{asked}");
        let (result, _) = read(&answer("200 OK", "", "0123456789"), 4).await;
        assert_eq!(result.unwrap(), (0, 10, None, "0123456789".to_owned()));
    }

    #[tokio::test]
    async fn a_file_of_unknown_length_is_an_error() {
        for response in [
            answer(
                "206 Partial Content",
                "Content-Range: bytes */10\r\n",
                "456789",
            ),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123".to_owned(),
        ] {
            let error = read(&response, 4).await.0.unwrap_err();
            let start = "OBS answered with something else than a file of known length (GET http";
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_breaks_off_is_an_error() {
        let (result, _) = read("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123", 0).await;
        let error = result.unwrap_err();
        assert!(
            error.starts_with("the connection to OBS failed (GET http"),
            "{error}"
        );
    }

    #[test]
    fn a_base_url_is_checked_and_its_password_not_told() {
        for (text, reason) in [
            (
                "tom:secret@host",
                "OBS_URL does not begin with http:// or https://",
            ),
            (
                "//tom:secret@host",
                "OBS_URL is not a URL such as http://host:5252",
            ),
            (
                "ftp://tom:secret@host",
                "OBS_URL does not begin with http:// or https://",
            ),
            (
                "http://tom:secret@host?x",
                "OBS_URL has a query or a fragment",
            ),
        ] {
            assert_eq!(Obs::new(text).err().unwrap().to_string(), reason);
        }
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 100-199/200"), Some((100, 200)));
        for value in [
            "",
            "bytes */200",
            "bytes 0-0/*",
            "bytes 1/2",
            "lines 1-2/3",
            "bytes a-b/c",
        ] {
            assert_eq!(parse_content_range(value), None, "{value}");
        }
    }
}
