use lambda_http::Body;
use serde_json::{Value, json};

use super::{World, error_with_details_xml, error_xml, item, job_xml, ok, refused};

const CREATE: &str = "/cloudupload?project=Cloud%3AImages&repository=images&package=leap-ec2&arch=x86_64\
                      &user=tom&target=ec2&filename=leap-ec2.x86_64-15.6.raw.xz";

const WISH: &str = r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"top-secret","region":"us-east-1"}"#;

const BUILD_RESULTS: &str = "<binarylist>\n  \
    <binary filename=\"_buildenv\" size=\"100\" mtime=\"1795445000\" />\n  \
    <binary filename=\"leap-ec2.x86_64-15.6.raw.xz\" size=\"23097940\" mtime=\"1795445000\" />\n\
    </binarylist>\n";

/// Everything that a create call needs.
fn creating(call: &str, body: &Value) -> (u16, String) {
    match call {
        "OBS" => ok(BUILD_RESULTS),
        "UpdateItem" if body["Key"]["id"]["S"] == "counter" => {
            ok(json!({"Attributes": {"taken": {"N": "1"}}}))
        }
        "TransactWriteItems" => ok("{}"),
        "StartExecution" => ok(json!({"executionArn": "arn:x", "startDate": 1795445844})),
        call => panic!("{call} is not needed: {body}"),
    }
}

#[tokio::test]
async fn a_job_is_created_with_no_more_calls_than_it_takes() {
    let world = World::new(creating);
    let response = world.send("POST", CREATE, WISH).await;
    assert_eq!(response.headers["content-type"], "text/xml");
    assert_eq!(response.headers["cache-control"], "no-cache");
    let Some(Body::Text(xml)) = response.body else {
        panic!("the answer is text");
    };
    let (before, rest) = xml.split_once("<created>").unwrap();
    let (_, after) = rest.split_once("</created>").unwrap();
    let xml = format!("{before}<created>1795445844</created>{after}");
    assert_eq!(xml, job_xml("1", "created", "waiting to receive image"));

    let calls = world.calls();
    assert_eq!(
        world.names_of_calls(),
        [
            "OBS",
            "UpdateItem",
            "TransactWriteItems",
            "PutEvents",
            "DeleteItem",
            "StartExecution"
        ]
    );
    assert_eq!(
        calls[2].1["TransactItems"][0]["Put"]["Item"]["order"]["M"]["ec2"]["M"]["ami_name"]["S"],
        "leap-ec2.x86_64-15.6"
    );
    assert_eq!(calls[5].1["name"], "job-1");
    assert_eq!(calls[5].1["input"], r#"{"job":"1"}"#);
}

/// A body with these wishes.
fn wishing(wishes: &Value) -> String {
    let mut body: Value = serde_json::from_str(WISH).unwrap();
    for (key, value) in wishes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

#[tokio::test]
async fn wishes_are_in_the_record_beside_the_rest_of_the_target() {
    let wishes = json!({
        "route": "import", "boot_mode": "uefi", "tpm_support": "v2.0", "imds_support": "none", "ena_support": "false",
        "root_device_name": "/dev/xvda", "volume_size": "20", "tags": {"Team": "images"}, "encrypted": true,
        "kms_key_id": "alias/images", "user_id": 7,
    });
    let world = World::new(creating);
    let (status, _) = world.ask("POST", CREATE, &wishing(&wishes)).await;
    assert_eq!(status, 200);
    let (_, put) = &world.calls()[2];
    assert_eq!(
        put["TransactItems"][0]["Put"]["Item"]["order"]["M"]["ec2"]["M"],
        json!({
            "role": {"S": "arn:aws:iam::123456789012:role/obs"}, "external_id": {"S": "top-secret"},
            "region": {"S": "us-east-1"}, "ami_name": {"S": "leap-ec2.x86_64-15.6"}, "route": {"S": "import"},
            "boot_mode": {"S": "uefi"}, "tpm_support": {"S": "v2.0"}, "imds_support": {"S": "none"},
            "ena_support": {"BOOL": false}, "root_device_name": {"S": "/dev/xvda"}, "volume_size": {"N": "20"},
            "tags": {"M": {"Team": {"S": "images"}}}, "encrypted": {"BOOL": true}, "kms_key_id": {"S": "alias/images"},
        })
    );
}

#[tokio::test]
async fn a_wish_that_cannot_be_granted_is_refused_before_obs_is_asked() {
    let aarch64 = CREATE.replace("x86_64&user", "aarch64&user");
    for (target, wishes, summary) in [
        (
            CREATE,
            json!({"route": "fast"}),
            "route 'fast' is unknown: give direct, import or copy, or leave it out",
        ),
        (
            &aarch64,
            json!({"boot_mode": "uefi-preferred"}),
            "boot_mode 'uefi-preferred' is not possible on aarch64: it boots by uefi only",
        ),
        (
            CREATE,
            json!({"boot_mode": "legacy-bios", "tpm_support": "v2.0"}),
            "tpm_support 'v2.0' needs the boot_mode uefi, not legacy-bios: change one, or leave one out",
        ),
        (
            CREATE,
            json!({"ena_support": "maybe"}),
            "ena_support must be true or false",
        ),
        (
            CREATE,
            json!({"volume_size": 100_000}),
            "volume_size 100000 is out of range: a gp3 volume has 1 to 65536 GiB",
        ),
        (
            CREATE,
            json!({"tags": {"obs:job": "x"}}),
            "the tag 'obs:job' is reserved: keys that begin with obs: are the uploader's own",
        ),
        (
            CREATE,
            json!({"kms_key_id": "alias/images", "encrypted": false}),
            "kms_key_id contradicts 'encrypted': false. Leave one out",
        ),
        (
            CREATE,
            json!({"kms_key_id": "arn:aws:kms:eu-west-1:123456789012:alias/images"}),
            "kms_key_id 'arn:aws:kms:eu-west-1:123456789012:alias/images' is in the region eu-west-1, but the image goes \
             to us-east-1: give a key of that region",
        ),
    ] {
        let world = World::new(creating);
        let (status, xml) = world.ask("POST", target, &wishing(&wishes)).await;
        assert_eq!((status, xml), (400, error_xml(400, summary)), "{wishes}");
        assert_eq!(world.names_of_calls(), [""; 0]);
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_started_fails_and_the_caller_is_told() {
    let world = World::new(|call, body| match call {
        "StartExecution" => refused("AccessDeniedException", "not authorized"),
        "GetItem" => ok(json!({"Item": item("1", "failed", "x")})),
        _ => creating(call, body),
    });
    let (status, xml) = world.ask("POST", CREATE, WISH).await;
    let reason = "the upload could not be started: states:StartExecution failed: AccessDeniedException: not authorized";
    assert_eq!((status, xml), (500, error_with_details_xml(500, reason)));
    let mut calls = world.calls();
    calls.retain(|(call, _)| call == "TransactWriteItems");
    let (_, body) = calls.pop().unwrap();
    let values = body["TransactItems"][0]["Update"]["ExpressionAttributeValues"].to_string();
    assert!(
        values.contains(r#"{"S":"failed"}"#) && values.contains(reason),
        "{values}"
    );
}

#[tokio::test]
async fn a_file_that_obs_does_not_have_makes_no_job() {
    let world = World::new(|_, _| ok("<binarylist>\n</binarylist>\n"));
    let target = CREATE.replace("leap-ec2.x86_64-15.6", "x");
    let (status, xml) = world.ask("POST", &target, WISH).await;
    let summary = "remote error: x.raw.xz  No such file or directory";
    assert_eq!((status, xml), (404, error_with_details_xml(404, summary)));
    assert_eq!(world.names_of_calls(), ["OBS"]);
}

#[tokio::test]
async fn an_obs_in_trouble_is_a_bad_gateway() {
    let world = World::new(|_, _| (403, error_xml(403, "forbidden")));
    let (status, xml) = world.ask("POST", CREATE, WISH).await;
    assert_eq!(status, 502);
    assert!(
        xml.contains("<summary>remote error: forbidden (http://127.0.0.1:"),
        "{xml}"
    );
}
