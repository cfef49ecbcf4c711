//! The sink, with the requests of a client that pushes.

use reqwest::{Client, Response, header::CONTENT_LENGTH};

use super::*;

const MD5: Likeness = Likeness {
    md5: true,
    pace: None,
};

struct Scene {
    client: Client,
    url: String,
}

async fn scene(likeness: Likeness) -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(Sink::new(likeness).serve(listener));
    Scene {
        client: Client::builder().no_proxy().build().expect("a client"),
        url: format!("http://{address}"),
    }
}

impl Scene {
    async fn put(&self, query: &str, data: impl Into<Bytes>) -> Response {
        let url = format!("{}/staging/job-1/image.raw.xz?{query}", self.url);
        let request = self.client.put(url).body(data.into());
        request.send().await.expect("an answer")
    }

    async fn get(&self, id: &str) -> Response {
        let request = self.client.get(format!("{}/_sink/uploads/{id}", self.url));
        request.send().await.expect("an answer")
    }

    async fn received(&self, id: &str) -> UploadSummary {
        let body = self.get(id).await.text().await.expect("a body");
        serde_json::from_str(&body).expect("what came")
    }
}

fn etag(answer: &Response) -> &str {
    answer.headers()["ETag"].to_str().expect("ASCII")
}

#[tokio::test]
async fn parts_in_any_order_are_one_object() {
    let scene = scene(Likeness::default()).await;
    for (number, data) in [(3, "789"), (1, "1234"), (2, "56")] {
        let query = format!("X-Amz-Expires=3600&partNumber={number}&uploadId=a");
        let answer = scene.put(&query, data).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let received = scene.received("a").await;
    // The check value of CRC-32/ISO-HDLC is that of "123456789": CBF43926.
    let crc32 = BASE64_STANDARD.encode([0xcb, 0xf4, 0x39, 0x26]);
    assert_eq!((received.size, received.parts, received.puts), (9, 3, 3));
    assert_eq!(received.crc32, crc32);
    assert!(received.seconds > 0.0);
}

#[tokio::test]
async fn a_part_that_is_put_again_counts_once() {
    let scene = scene(Likeness::default()).await;
    for data in ["123456780", "123456789"] {
        scene.put("partNumber=1&uploadId=a", data).await;
    }
    let received = scene.received("a").await;
    assert_eq!((received.size, received.parts, received.puts), (9, 1, 2));
    assert_eq!(
        received.crc32,
        BASE64_STANDARD.encode([0xcb, 0xf4, 0x39, 0x26])
    );
}

#[tokio::test]
async fn the_etag_is_the_md5_if_that_is_wanted() {
    // RFC 1321, A.5: the MD5 of "abc".
    const ABC: &str = "\"900150983cd24fb0d6963f7d28e17f72\"";
    let answer = scene(MD5).await.put("partNumber=1&uploadId=a", "abc").await;
    assert_eq!(etag(&answer), ABC);
    let answer = scene(Likeness::default())
        .await
        .put("partNumber=1&uploadId=a", "abc")
        .await;
    assert_ne!(etag(&answer), ABC);
}

#[tokio::test]
async fn no_connection_is_faster_than_the_pace() {
    let likeness = Likeness {
        md5: false,
        pace: Some(1 << 20),
    };
    let scene = scene(likeness).await;
    let part = vec![7; 100 << 10];
    let answer = scene.put("partNumber=1&uploadId=a", part).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let seconds = scene.received("a").await.seconds;
    assert!(seconds >= 100.0 / 1024.0, "{seconds}");
}

#[tokio::test]
async fn what_is_no_part_is_refused() {
    let scene = scene(Likeness::default()).await;
    for query in [
        "",
        "uploadId=a",
        "partNumber=1",
        "partNumber=0&uploadId=a",
        "partNumber=10001&uploadId=a",
    ] {
        assert_eq!(
            scene.put(query, "abc").await.status(),
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
    assert_eq!(scene.get("a").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_part_that_breaks_off_is_not_there() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    let scene = scene(Likeness::default()).await;
    let address = scene.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "PUT /staging/a?partNumber=1&uploadId=a HTTP/1.1\r\nHost: s3\r\n{CONTENT_LENGTH}: 4\r\n\r\n123"
    );
    stream
        .write_all(head.as_bytes())
        .await
        .expect("it is taken");
    stream.shutdown().await.expect("it is open");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("the sink hangs up");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(scene.get("a").await.status(), StatusCode::NOT_FOUND);
}
