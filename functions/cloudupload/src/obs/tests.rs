//! The client against an OBS that answers as the real one does.

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

fn request() -> UploadRequest {
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
    let found = obs.find(BuildPath::from(&request()), name.as_ref()).await;
    asked.join().unwrap();
    found.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_list_is_asked_for_with_basic_auth_and_an_encoded_path() {
    let (obs, asked) = obs(&[&list(&["a.raw"])]);
    let found = obs
        .build_results(BuildPath::from(&request()))
        .await
        .unwrap();
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
        error.starts_with("remote error: project 'Cloud:Images' does not exist (http://127.0.0.1:"),
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
        error
            .starts_with("OBS answered with something else than a list of build results (GET http"),
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
        .build_results(BuildPath::from(&request()))
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
        let mut download = obs.download(&request(), from).await?;
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
    let line =
        "get /public/build/cloud:images/images+x/x86_64/leap%20ec2:flavor%25/a.raw.xz http/1.1\n";
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
async fn a_part_of_a_file_is_asked_for_by_its_first_and_last_byte() {
    let part = answer(
        "206 Partial Content",
        "Content-Range: bytes 4-6/10\r\n",
        "456",
    );
    let (obs, asked) = obs(&[&part]);
    let download = obs.download_part(&request(), 4..7).await.unwrap();
    assert_eq!((download.from, download.end, download.size), (4, 7, 10));
    assert!(
        asked.join().unwrap()[0]
            .to_lowercase()
            .contains("\nrange: bytes=4-6\n")
    );
}

async fn sha256(answers: &[&str]) -> Result<Option<String>, String> {
    let (obs, asked) = obs(answers);
    let sum = obs.sha256(&request()).await;
    let asked = asked.join().unwrap();
    assert!(
        asked[0].contains("/a.raw.xz.sha256 HTTP/1.1\n"),
        "{}",
        asked[0]
    );
    sum.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_sum_beside_a_file_is_read() {
    let sum = "0123456789abcdef".repeat(4);
    let text = answer("200 OK", "", &format!("{sum}  a.raw.xz\n"));
    assert_eq!(sha256(&[&text]).await, Ok(Some(sum)));
    let none = answer(
        "404 Not Found",
        "",
        "<status code=\"404\"><summary>none</summary></status>",
    );
    assert_eq!(sha256(&[&none]).await, Ok(None));
}

#[tokio::test]
async fn a_sum_that_cannot_be_read_is_an_error_that_says_why() {
    let long = answer("200 OK", "", &"x".repeat(LONGEST_CHECKSUM + 1));
    for (response, reason) in [
        (long, ": it is too long"),
        (
            answer("200 OK", "", "<html>"),
            ": it has no line with a SHA-256",
        ),
    ] {
        let error = sha256(&[&response]).await.unwrap_err();
        assert!(
            error.starts_with("OBS answered with something else than a SHA-256 sum (GET http")
                && error.ends_with(reason),
            "{error}"
        );
    }
    let error = sha256(&[&answer("403 Forbidden", "", "")])
        .await
        .unwrap_err();
    assert!(
        error.starts_with("remote error: 403 Forbidden (http"),
        "{error}"
    );
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
