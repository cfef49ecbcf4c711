use std::{io::Read, sync::Arc};

use flate2::read::GzDecoder;
use lambda_http::{
    Body,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::header::{ACCEPT_ENCODING, IF_NONE_MATCH},
};

use super::world::World;
use crate::sample_event::event;

/// A world in which nothing is asked for, and nobody says who they are.
fn world() -> World {
    let mut world = World::new(|call, _| panic!("{call}"));
    world.credentials = None;
    world
}

fn text(response: ApiGatewayV2httpResponse) -> String {
    match response.body {
        Some(Body::Text(text)) => text,
        body => panic!("{body:?} is not text"),
    }
}

const FILES: [(&str, &str); 4] = [
    ("/", "text/html; charset=utf-8"),
    ("/page/style.css", "text/css; charset=utf-8"),
    ("/page/page.js", "text/javascript; charset=utf-8"),
    ("/page/icon.svg", "image/svg+xml"),
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

#[tokio::test]
async fn the_page_is_there_without_a_secret_and_costs_no_call() {
    let world = world();
    for (path, media_type) in FILES {
        let response = world.send("GET", path, "").await;
        assert_eq!(response.status_code, 200, "{path}");
        for (header, value) in [
            ("content-type", media_type),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-cache"),
            ("vary", "accept-encoding"),
        ] {
            assert_eq!(response.headers[header], value, "{path}: {header}");
        }
        assert!(!response.headers.contains_key("content-encoding"));
        assert!(!response.is_base64_encoded);
        assert!(!text(response).is_empty());
    }
    assert_eq!(world.names_of_calls(), [""; 0]);
}

#[tokio::test]
async fn all_that_the_page_loads_is_there() {
    let world = world();
    let index = text(world.send("GET", "/", "").await);
    let loaded = index
        .split(['"', '\''])
        .filter(|text| text.starts_with("page/"));
    let mut loaded: Vec<_> = loaded.map(|path| format!("/{path}")).collect();
    loaded.sort();
    loaded.dedup();
    assert_eq!(
        loaded,
        ["/page/icon.svg", "/page/page.js", "/page/style.css"]
    );
    for path in loaded {
        assert_eq!(
            world.send("GET", &path, "").await.status_code,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn head_gets_the_headers_alone() {
    let world = world();
    for (path, _) in FILES {
        let get = world.send("GET", path, "").await;
        let head = world.send("HEAD", path, "").await;
        assert_eq!((head.status_code, head.body), (200, Some(Body::Empty)));
        assert_eq!(head.headers, get.headers);
    }
}

#[tokio::test]
async fn the_page_is_compressed_for_whoever_accepts_it() {
    let world = world();
    for (path, _) in FILES {
        let plain = text(world.send("GET", path, "").await);
        let mut event = event("GET", path, "", b"");
        event
            .headers
            .insert(ACCEPT_ENCODING, "gzip, br".parse().unwrap());
        let response = world.answer(event).await;
        assert_eq!(response.headers["content-encoding"], "gzip");
        assert!(response.is_base64_encoded);
        let Some(Body::Binary(bytes)) = response.body else {
            panic!("{path} is not compressed");
        };
        let mut unpacked = String::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, plain);
    }
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let world = world();
    let mut etags = Vec::new();
    for (path, _) in FILES {
        let etag = world.send("GET", path, "").await.headers["etag"].clone();
        let tag = etag.to_str().unwrap();
        assert!(tag.starts_with("W/\""), "{tag}");
        for (held, status) in [
            (tag.to_owned(), 304),
            (tag.trim_start_matches("W/").to_owned(), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("W/\"other\"".to_owned(), 200),
            (String::new(), 200),
        ] {
            let mut event = event("GET", path, "", b"");
            event.headers.insert(IF_NONE_MATCH, held.parse().unwrap());
            let response = world.answer(event).await;
            assert_eq!(response.status_code, status, "{path}: {held}");
            assert_eq!(response.headers["etag"], etag);
            assert_eq!(response.body == Some(Body::Empty), status == 304);
        }
        etags.push(etag);
    }
    etags.dedup();
    assert_eq!(etags.len(), FILES.len());
}

#[tokio::test]
async fn the_page_is_for_the_networks_that_may_call() {
    let mut world = world();
    let api = Arc::get_mut(&mut world.api).unwrap();
    api.gate.networks = "198.51.100.0/24".parse().unwrap();
    for (path, _) in FILES {
        let response = world.send("GET", path, "").await;
        assert_eq!(response.status_code, 403);
        assert_eq!(
            response.headers["content-type"],
            "text/plain; charset=utf-8"
        );
        assert_eq!(text(response), "calls from 192.0.2.1 are not allowed");
    }
}

#[tokio::test]
async fn everything_else_is_as_it_was_without_the_page() {
    let world = world();
    for (method, path) in [
        ("POST", "/"),
        ("DELETE", "/page/page.js"),
        ("GET", ""),
        ("GET", "//"),
        ("GET", "/page"),
        ("GET", "/page/"),
        ("GET", "/page/style.css/"),
        ("GET", "/index.html"),
        ("GET", "/favicon.ico"),
    ] {
        let response = world.send(method, path, "").await;
        assert_eq!(response.status_code, 401, "{method} {path}");
        assert_eq!(response.headers["content-type"], "text/xml");
        assert_eq!(
            response.headers["www-authenticate"],
            "Basic realm=\"cloudupload\""
        );
        assert!(!response.headers.contains_key("content-security-policy"));
    }
}
