//! What is no image: it is passed through. And what the relay says for itself.

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use tokio::time::timeout;

use crate::{
    cloud::{Closed, Cloud, Outcome, WAIT_TIMEOUT},
    relay::Home,
    source_server::{Sending, client},
};

const CREATED: &str = r#"<status code="created"><data name="jobid">17</data></status>"#;

fn created() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(CREATED));
    *answer.status_mut() = StatusCode::CREATED;
    answer
}

#[tokio::test]
async fn a_job_is_created_once_the_uploader_can_be_reached() {
    let home = Home::of("create");
    let closed = Closed::of([]);
    closed.cloud().answer_with(created());
    let relay = home.start(closed.cloud()).await;
    let url = format!("http://{}/cloudupload", relay.address);
    let job = "<clouduploadjob><user>tux</user></clouduploadjob>";
    let request = client().post(url).header(header::CONTENT_TYPE, "text/xml");
    let answer = tokio::spawn(request.body(job).send());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let cloud = closed.open(Duration::ZERO).await;
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.text().await.unwrap(), CREATED);
    let calls = cloud.calls("");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, "/cloudupload?push=1");
    assert_eq!(calls[0].body, job);
    assert_eq!(calls[0].headers[header::CONTENT_TYPE], "text/xml");
}

#[tokio::test]
async fn a_create_call_without_an_answer_is_not_sent_again() {
    let home = Home::of("create-once");
    let cloud = Cloud::of([]).await;
    cloud.always("POST /cloudupload?push=1", Outcome::HangUp);
    let relay = home.start(&cloud).await;
    let url = format!("http://{}/cloudupload", relay.address);
    let answer = client()
        .post(url)
        .body("<clouduploadjob/>")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/xml");
    let text = answer.text().await.unwrap();
    let begin = "<status code=\"502\">\n  <summary>the cloud uploader cannot be reached: ";
    assert!(text.starts_with(begin), "{text}");
    assert_eq!(cloud.calls("").len(), 1);
}

#[tokio::test]
async fn an_answer_comes_through_with_its_headers_and_untouched() {
    const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xc9\x4f\x07\x00";
    let home = Home::of("gzip");
    let cloud = Cloud::of([]).await;
    let mut log = Response::new(Bytes::from_static(GZIP));
    *log.status_mut() = StatusCode::PARTIAL_CONTENT;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/plain"),
        (header::CONTENT_ENCODING, "gzip"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        log.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    cloud.answer_with(log);
    let relay = home.start(&cloud).await;
    let path = "/cloudupload/17/_log?start=5&nostream=1";
    let request = client().get(format!("http://{}{path}", relay.address));
    let request = request.header(header::ACCEPT_ENCODING, "gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain");
    assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.bytes().await.unwrap(), GZIP);
    let calls = cloud.calls("GET");
    assert_eq!(calls[0].path, path);
    assert_eq!(calls[0].headers[header::ACCEPT_ENCODING], "gzip");
}

#[tokio::test]
async fn a_list_that_is_too_long_for_a_url_goes_as_a_form() {
    let home = Home::of("list");
    let cloud = Cloud::of([]).await;
    cloud.answer_with(Response::new(Bytes::from("<clouduploadjoblist/>")));
    let relay = home.start(&cloud).await;
    let names = |count: u32| {
        let names: Vec<String> = (1..=count).map(|id| format!("name={id}")).collect();
        names.join("&")
    };
    for count in [700, 1000] {
        let url = format!("http://{}/cloudupload?{}", relay.address, names(count));
        let answer = client().get(url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "<clouduploadjoblist/>");
    }
    let calls = cloud.calls("");
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (&calls[0].method, &calls[0].path),
        (
            &"GET".parse().unwrap(),
            &format!("/cloudupload?{}", names(700))
        )
    );
    assert_eq!(
        (&calls[1].method, calls[1].path.as_str()),
        (&"POST".parse().unwrap(), "/cloudupload?cmd=list")
    );
    assert_eq!(calls[1].body, names(1000));
    assert_eq!(
        calls[1].headers[header::CONTENT_TYPE],
        "application/x-www-form-urlencoded"
    );
}

#[tokio::test]
async fn an_image_needs_a_job_and_a_length() {
    let home = Home::of("image-heads");
    let cloud = Cloud::of([]).await;
    let relay = home.start(&cloud).await;
    let put = |job: &str| client().put(format!("http://{}/cloudupload/{job}", relay.address));
    for job in ["0", "017", "17a", "-1", "4294967296"] {
        let answer = put(job).body("image").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{job}");
        let text = answer.text().await.unwrap();
        assert!(
            text.contains(&format!("'{job}' is no job's number")),
            "{text}"
        );
    }
    let chunked = "PUT /cloudupload/17 HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n5\r\nimage\r\n0\r\n\r\n";
    let answer = Sending::raw(relay.address, chunked).await.answer().await;
    assert!(answer.starts_with("HTTP/1.1 411 "), "{answer}");
    assert_eq!(cloud.calls("").len(), 0);
    // The API knows no job 18.
    let answer = put("18").body("image").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("<summary>there is no such job</summary>"),
        "{text}"
    );
    assert_eq!(home.jobs(), [""; 0]);
}

#[tokio::test]
async fn a_relay_that_cannot_run_says_why_and_fails() {
    let home = Home::of("settings");
    let cloud = Cloud::of([]).await;
    let api = format!("http://{}", cloud.api);
    let taken = cloud.api.to_string();
    let cases = [
        (
            "RELAY_API",
            "",
            "RELAY_API is not set: it is the cloud uploader's address",
        ),
        (
            "RELAY_API",
            "http://example.com",
            "RELAY_API is 'http://example.com', but must be an https URL",
        ),
        ("RELAY_CALLER", "", "RELAY_CALLER is not set: "),
        (
            "RELAY_LISTEN",
            "5452",
            "RELAY_LISTEN is '5452', but must be an address such as ",
        ),
        ("RELAY_LISTEN", &taken, " cannot be listened to: "),
        (
            "RELAY_SECRET_FILE",
            "/nowhere/secret",
            "the secret cannot be read from /nowhere/secret: ",
        ),
        ("STATE_DIRECTORY", "", "STATE_DIRECTORY is not set: "),
        (
            "STATE_DIRECTORY",
            "/dev/null",
            "the folder of STATE_DIRECTORY cannot be used: ",
        ),
    ];
    for (name, value, says) in cases {
        let run = home.command(&api).env(name, value).output();
        let ended = timeout(WAIT_TIMEOUT, run)
            .await
            .expect("the relay runs")
            .unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{name}={value}: {said}");
        assert!(said.contains(says), "{name}={value}: {said}");
    }
}
