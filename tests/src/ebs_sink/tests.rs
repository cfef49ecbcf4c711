//! The sink, with the requests of a writer.

use reqwest::{Client, Response};

use super::*;

struct Scene {
    client: Client,
    url: String,
}

async fn scene() -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!(
        "http://{}",
        listener.local_addr().expect("it has an address")
    );
    tokio::spawn(Sink::new().serve(listener));
    let client = Client::builder().no_proxy().build().expect("a client");
    Scene { client, url }
}

impl Scene {
    async fn start(&self) -> String {
        let request = self.client.post(format!("{}/snapshots", self.url));
        let answer = request
            .body(r#"{"VolumeSize": 1}"#)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 201);
        let body = answer.text().await.expect("a body");
        let started: Value = serde_json::from_str(&body).expect("JSON");
        started["SnapshotId"].as_str().expect("an id").to_owned()
    }

    async fn put(&self, id: &str, index: u64, data: Vec<u8>, checksum: &str) -> Response {
        let request = self
            .client
            .put(format!("{}/snapshots/{id}/blocks/{index}", self.url));
        let request = request.header("x-amz-Checksum", checksum).body(data);
        request.send().await.expect("an answer")
    }

    async fn complete(&self, id: &str, blocks: u64) -> StatusCode {
        let request = self
            .client
            .post(format!("{}/snapshots/completion/{id}", self.url));
        let request = request.header("x-amz-ChangedBlocksCount", blocks);
        request.send().await.expect("an answer").status()
    }

    async fn written(&self, id: &str) -> Written {
        let request = self
            .client
            .get(format!("{}/_sink/snapshots/{id}", self.url));
        let body = request
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a body");
        serde_json::from_str(&body).expect("what was written")
    }
}

fn block(byte: u8) -> (Vec<u8>, String) {
    let data = vec![byte; BLOCK as usize];
    let checksum = BASE64_STANDARD.encode(Sha256::digest(&data));
    (data, checksum)
}

#[tokio::test]
async fn blocks_are_counted_once_and_checked() {
    let scene = scene().await;
    let id = scene.start().await;
    let ((first, first_sum), (second, second_sum)) = (block(1), block(2));
    for (index, data, sum) in [
        (9, &second, &second_sum),
        (0, &first, &first_sum),
        (0, &first, &first_sum),
    ] {
        assert_eq!(scene.put(&id, index, data.clone(), sum).await.status(), 201);
    }
    for (index, data, sum) in [
        (1, second.clone(), &first_sum),
        (1, first[1..].to_vec(), &first_sum),
        (2048, first.clone(), &first_sum),
    ] {
        let answer = scene.put(&id, index, data, sum).await;
        assert_eq!(answer.headers()["x-amzn-errortype"], "ValidationException");
    }
    assert_eq!(scene.complete(&id, 3).await, 400);
    assert_eq!(scene.complete(&id, 2).await, 202);
    let linear = [Sha256::digest(&first), Sha256::digest(&second)].concat();
    let written = Written {
        blocks: 2,
        puts: 3,
        checksum: BASE64_STANDARD.encode(Sha256::digest(linear)),
        complete: true,
    };
    assert_eq!(scene.written(&id).await, written);
    assert_eq!(scene.put(&id, 1, first, &first_sum).await.status(), 400);
    let (data, sum) = block(3);
    assert_eq!(scene.put("snap-2", 0, data, &sum).await.status(), 404);
}
