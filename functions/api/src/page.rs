//! The page at the root of the API, for users with a token who have a browser. It is some files, which are the same for
//! everybody; its script calls `/v1` with its user's token.

use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{
            CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
};
use sha2::{Digest, Sha256};

use crate::obs_protocol::{
    answer::{Encoding, gzipped},
    problem::Problem,
};

const INDEX: &str = include_str!("../page/index.html");
const STYLE: &str = include_str!("../page/style.css");
const ICON: &str = include_str!("../page/icon.svg");

/// Its parts one after the other, so that a browser needs one request for all of them.
const SCRIPT: &str = concat!(
    include_str!("../page/script/service.js"),
    include_str!("../page/script/elements.js"),
    include_str!("../page/script/words.js"),
    include_str!("../page/script/poll.js"),
    include_str!("../page/script/sign-in.js"),
    include_str!("../page/script/role.js"),
    include_str!("../page/script/offers.js"),
    include_str!("../page/script/upload.js"),
    include_str!("../page/script/jobs.js"),
    include_str!("../page/script/job.js"),
    include_str!("../page/script/tokens.js"),
    include_str!("../page/script/page.js"),
);

/// What a browser may load and call for the page: this service and nothing else. One directive a line.
const POLICY: &str = include_str!("../page/content-security-policy.txt");

/// The most bytes of all files together.
const MAX_BYTES: usize = 60 << 10;
const _: () = assert!(INDEX.len() + STYLE.len() + ICON.len() + SCRIPT.len() <= MAX_BYTES);

/// The headers of every file beside its own.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    // Looked up again each time, which costs a 304: after an update, a browser must not mix files of two versions.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (VARY, HeaderValue::from_static("accept-encoding")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFile {
    Index,
    Style,
    Script,
    Icon,
}

impl PageFile {
    /// The file that is requested, if any is.
    pub fn requested(event: &ApiGatewayV2httpRequest) -> Option<Self> {
        if !matches!(
            event.request_context.http.method,
            Method::GET | Method::HEAD
        ) {
            return None;
        }
        match event.raw_path.as_deref()? {
            "/" => Some(PageFile::Index),
            "/page/style.css" => Some(PageFile::Style),
            "/page/page.js" => Some(PageFile::Script),
            "/page/icon.svg" => Some(PageFile::Icon),
            _ => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            PageFile::Index => INDEX,
            PageFile::Style => STYLE,
            PageFile::Script => SCRIPT,
            PageFile::Icon => ICON,
        }
    }

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            PageFile::Index => "text/html; charset=utf-8",
            PageFile::Style => "text/css; charset=utf-8",
            PageFile::Script => "text/javascript; charset=utf-8",
            PageFile::Icon => "image/svg+xml",
        })
    }

    /// Weak, because the file has it compressed and as it is (RFC 9110, 8.8.1).
    fn etag(self) -> HeaderValue {
        let digest = hex::encode(&Sha256::digest(self.text())[..16]);
        HeaderValue::try_from(format!("W/\"{digest}\"")).expect("hex digits can be in a header")
    }

    /// The answer to a request with these headers.
    pub fn answer(self, request: &HeaderMap) -> ApiGatewayV2httpResponse {
        let mut response = ApiGatewayV2httpResponse::default();
        let etag = self.etag();
        let headers = &mut response.headers;
        headers.extend(HEADERS);
        headers.insert(CONTENT_SECURITY_POLICY, policy());
        if is_held(request, &etag) {
            headers.insert(ETAG, etag);
            response.status_code = 304;
            response.body = Some(Body::Empty);
            return response;
        }
        headers.insert(ETAG, etag);
        headers.insert(CONTENT_TYPE, self.media_type());
        response.status_code = 200;
        response.body = Some(match Encoding::accepted(request) {
            Encoding::Identity => Body::Text(self.text().to_owned()),
            Encoding::Gzip => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response.is_base64_encoded = true;
                Body::Binary(gzipped(self.text()).expect("writing into memory does not fail"))
            }
        });
        response
    }
}

/// An error, for people.
pub fn problem(problem: &Problem) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = problem.status.into();
    response.headers.extend(HEADERS);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers.insert(CONTENT_TYPE, text);
    response.body = Some(Body::Text(problem.summary.clone()));
    response
}

fn policy() -> HeaderValue {
    let directives: Vec<_> = POLICY.lines().collect();
    HeaderValue::try_from(directives.join("; ")).expect("the policy is printable ASCII")
}

/// Whether the browser has this version already (RFC 9110, 13.1.2).
fn is_held(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let own = etag.to_str().map(opaque).unwrap_or_default();
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(opaque)
        .any(|held| held == own || held == "*")
}

#[cfg(test)]
mod tests {
    use cloudupload::target::{Partition, Region};

    use super::*;

    #[test]
    fn the_regions_that_the_page_offers_exist() {
        let (_, list) = INDEX.split_once("<datalist id=\"regions\">").unwrap();
        let (list, _) = list.split_once("</datalist>").unwrap();
        let options = list.split("<option>").skip(1);
        let regions: Vec<_> = options
            .map(|option| option.split_once('<').unwrap().0)
            .collect();
        assert!(regions.contains(&"eu-central-1"));
        for region in regions {
            assert!(
                Region::of_partition(region, Partition::Aws).is_ok(),
                "{region}"
            );
        }
    }

    #[test]
    fn nothing_in_the_page_is_run_or_styled_inline() {
        for inline in ["<style", " style=", "javascript:", " onclick=", " onload="] {
            assert!(!INDEX.contains(inline), "{inline}");
        }
        assert_eq!(INDEX.matches("<script").count(), 1);
        for unsafe_sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!SCRIPT.contains(unsafe_sink), "{unsafe_sink}");
        }
    }
}
