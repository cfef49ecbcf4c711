//! The API's answers, through the real gateway event. The texts are those that an OBS backend gives.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{JobId, Stack, Upload, disk, unique};

/// The status and the summary of an error, whose form has to be OBS's.
async fn error_in(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "text/xml");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let xml = answer.text().await.expect("the answer is text");
    let summary = xml
        .strip_prefix(&format!("<status code=\"{status}\">\n  <summary>"))
        .and_then(|rest| rest.split_once("</summary>\n"))
        .unwrap_or_else(|| panic!("not OBS's error: {xml}"))
        .0;
    let plain = summary
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"");
    (status, plain.replace("&amp;", "&"))
}

async fn request_error(stack: &Stack, method: Method, path: &str) -> (u16, String) {
    error_in(stack.request(method, path).await).await
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let stack = Stack::new().await;
    for (method, path, status, summary) in [
        (Method::GET, "/cloudupload/999999", 404, "no such job"),
        (
            Method::GET,
            "/cloudupload/999999/_log?nostream=1",
            404,
            "no such job",
        ),
        (
            Method::POST,
            "/cloudupload/999999?cmd=kill",
            404,
            "no such job",
        ),
        (
            Method::GET,
            "/cloudupload?name=abc",
            400,
            "not a number: 'abc'",
        ),
        (
            Method::GET,
            "/cloudupload?foo=1",
            400,
            "unknown parameter 'foo'",
        ),
        (
            Method::DELETE,
            "/cloudupload/1",
            400,
            "unknown request: DELETE:/cloudupload/1",
        ),
        (Method::GET, "/about", 400, "unknown request: GET:/about"),
        (
            Method::POST,
            "/cloudupload?project=../x",
            400,
            "projid '../x' is illegal",
        ),
        (
            Method::POST,
            "/cloudupload",
            400,
            "parameter 'project' is missing",
        ),
    ] {
        let answer = request_error(&stack, method.clone(), path).await;
        assert_eq!(answer, (status, summary.to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_used() {
    let stack = Stack::new().await;
    let upload = stack.upload("bad-body", "disk.raw.xz");
    for (key, value, words) in [
        ("arn", json!(null), vec!["arn is missing"]),
        ("arn", json!("arn:aws:iam::123:role/x"), vec!["12 digits"]),
        (
            "arn",
            json!("arn:aws:iam::000000000000:role/x"),
            vec!["own account"],
        ),
        ("external_id", json!(""), vec!["external_id"]),
        (
            "region",
            json!("mars-1"),
            vec!["mars-1", "eu-central-1", "us-east-1"],
        ),
        (
            "region",
            json!("cn-north-1"),
            vec!["cn-north-1", "eu-central-1"],
        ),
        ("ami_name", json!("a*b"), vec!["ami_name"]),
        ("ami_name", json!(7), vec!["ami_name must be a string"]),
    ] {
        let mut upload = upload.clone();
        upload.body[key] = value.clone();
        let (status, summary) = error_in(stack.post(&upload).await).await;
        assert_eq!(status, 400, "{summary}");
        for word in words {
            assert!(summary.contains(word), "{key} {value}: {summary}");
        }
    }
    let upload = Upload {
        body: Value::String("text".to_owned()),
        ..upload
    };
    assert_eq!(error_in(stack.post(&upload).await).await.0, 400);
}

#[tokio::test]
async fn what_obs_does_not_have() {
    let stack = Stack::new().await;
    let upload = stack.upload("nothing", "x.raw.xz");
    let (status, summary) = error_in(stack.post(&upload).await).await;
    let expected = "remote error: x.raw.xz  No such file or directory";
    assert_eq!((status, summary.as_str()), (404, expected));
    let ppc = Upload {
        arch: "ppc64le".to_owned(),
        ..upload
    };
    let (status, summary) = error_in(stack.post(&ppc).await).await;
    assert_eq!(status, 400);
    assert!(summary.contains("x86_64, aarch64"), "{summary}");
}

#[tokio::test]
async fn without_a_file_name_the_one_image_is_meant() {
    let stack = Stack::new().await;
    let image = stack.upload(&format!("one-image-{}", unique()), "only.raw.xz");
    stack.build(&image, &disk::disk().await.xz).await;
    let checksum = Upload {
        filename: "only.raw.xz.sha256".to_owned(),
        ..image.clone()
    };
    stack.build(&checksum, b"0").await;
    let job = stack.post_without_filename(&image).await;
    assert_eq!(job.status(), StatusCode::OK);
    let xml = job.text().await.expect("the answer is text");
    assert!(xml.contains("<filename>only.raw.xz</filename>"), "{xml}");

    let second = Upload {
        filename: "second.vhdfixed.xz".to_owned(),
        ..image.clone()
    };
    stack.build(&second, b"0").await;
    let (status, summary) = error_in(stack.post_without_filename(&image).await).await;
    assert_eq!(status, 400);
    assert!(
        summary.contains("only.raw.xz, second.vhdfixed.xz"),
        "{summary}"
    );
}

/// An upload that is accepted, and whose job fails.
async fn failing_upload(stack: &Stack, package: &str) -> Upload {
    let upload = stack.upload(package, "disk.raw.xz");
    stack.build(&upload, b"this is no disk").await;
    upload
}

#[tokio::test]
async fn lists() {
    let stack = Stack::new().await;
    let upload = failing_upload(&stack, "lists").await;
    let a = stack.create(&upload).await.id();
    let b = stack.create(&upload).await.id();
    let c = stack.create(&upload).await.id();

    // In the order of the request, unknown jobs left out, repeated ones twice; more names than DynamoDB takes at once.
    let unknown: String = (0..150)
        .map(|n| format!("&name={}", 1_000_000 + n))
        .collect();
    let path = format!("/cloudupload?name={c}&name={a}&name={c}{unknown}&name={b}");
    let list = stack.get_text(&path).await;
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  <clouduploadjob name=\"")?
                .strip_suffix("\">")
        })
        .collect();
    assert_eq!(names, [c, a, c, b].map(|id| id.to_string()));
    assert_eq!(
        stack.get_text("/cloudupload?name=1000000").await,
        "<clouduploadjoblist>\n</clouduploadjoblist>\n"
    );
    let all = stack.get_text("/cloudupload").await;
    let place = |id: JobId| all.find(&format!("<clouduploadjob name=\"{id}\">"));
    assert!(
        place(a).is_some() && place(a) < place(b) && place(b) < place(c),
        "{all}"
    );
    for id in [a, b, c] {
        stack.failure(id).await;
    }
}

#[tokio::test]
async fn logs() {
    let stack = Stack::new().await;
    let upload = failing_upload(&stack, "logs").await;
    let id = stack.create(&upload).await.id();
    let job = stack.failure(id).await;
    let log = stack.log(id).await;
    assert!(log.contains(job.details()), "{log}");
    let path = format!("/cloudupload/{id}/_log?nostream=1");
    let piece = stack.get(&format!("{path}&start=3&end=10")).await;
    assert_eq!(piece.headers()["content-type"], "text/plain");
    assert_eq!(piece.text().await.expect("the log is text"), log[3..10]);
    let end = stack.get_text(&format!("{path}&start=-5")).await;
    assert_eq!(end, log[log.len() - 5..]);
    let past = log.len() + 1;
    let answer = request_error(&stack, Method::GET, &format!("{path}&start={past}")).await;
    assert_eq!(answer, (400, format!("start out of range: {past}")));
    let entry = stack
        .get_text(&format!("/cloudupload/{id}/_log?view=entry"))
        .await;
    let size = log.len();
    let start = format!("<directory>\n  <entry name=\"_log\" size=\"{size}\" mtime=\"");
    assert!(entry.starts_with(&start), "{entry}");
}
