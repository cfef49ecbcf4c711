//! Uploads against an S3 that answers as its API reference says.

use std::time::Duration;

use fake_endpoint::{Answer, Call, Endpoint, s3};
use tokio::time::{sleep, timeout};

use super::*;

fn object_at(endpoint: &Endpoint) -> Location {
    Location {
        s3: Client::new(&endpoint.config()),
        bucket: "staging".to_owned(),
        key: "job-1/leap.raw".to_owned(),
        owner: "123456789012".to_owned(),
    }
}

fn upload_at(endpoint: &Endpoint) -> Upload {
    object_at(endpoint).upload("u-1".to_owned())
}

#[tokio::test]
async fn an_upload_begins_with_the_checksum_of_its_parts() {
    let endpoint = Endpoint::new(|_| s3::upload("u-1"));
    let upload = object_at(&endpoint).begin().await.unwrap();
    assert_eq!(upload.id(), "u-1");
    let calls = endpoint.calls();
    assert_eq!(endpoint.names(), ["CreateMultipartUpload"]);
    assert_eq!(calls[0].path, "/staging/job-1/leap.raw");
    assert_eq!(calls[0].headers["x-amz-checksum-algorithm"], "CRC32");
    assert_eq!(
        calls[0].headers["x-amz-expected-bucket-owner"],
        "123456789012"
    );

    let endpoint = Endpoint::new(|_| Answer::ok("<InitiateMultipartUploadResult/>"));
    let failure = object_at(&endpoint).begin().await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "s3:CreateMultipartUpload failed: the answer has no upload id"
    );
}

const MIB: usize = 1 << 20;

#[tokio::test]
async fn no_more_parts_are_in_flight_than_memory_has_room_for() {
    for (size, in_flight) in [(8 * MIB, 4), (20 * MIB, 1)] {
        let endpoint = Endpoint::new(|_| Answer::never());
        let mut writer = Writer::new(upload_at(&endpoint));
        let part = Bytes::from(vec![7; size]);
        for number in 1..=in_flight {
            writer.put(number, part.clone()).await.unwrap();
        }
        let waits = timeout(Duration::from_millis(100), writer.put(in_flight + 1, part)).await;
        assert!(waits.is_err());
        while endpoint.names().len() < in_flight as usize {
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(endpoint.most_at_once("UploadPart"), in_flight as usize);
    }
}

#[tokio::test]
async fn a_part_is_sent_whole_and_under_its_number() {
    let endpoint = Endpoint::new(|_| Answer::ok("").header("ETag", "\"e\""));
    let mut writer = Writer::new(upload_at(&endpoint));
    writer.put(2, Bytes::from_static(b"two")).await.unwrap();
    writer.flush().await.unwrap();
    let calls = endpoint.calls();
    assert_eq!(calls[0].parameter("partNumber"), "2");
    assert_eq!(calls[0].parameter("uploadId"), "u-1");
    assert_eq!(calls[0].body, b"two");
}

#[tokio::test]
async fn a_part_that_fails_fails_the_writer() {
    let endpoint = Endpoint::new(|call| match call.parameter("partNumber") {
        "1" => call.refusal(403, "AccessDenied", "Access Denied"),
        _ => Answer::ok(""),
    });
    let mut writer = Writer::new(upload_at(&endpoint));
    for number in 1..=2 {
        writer.put(number, Bytes::from_static(b"x")).await.unwrap();
    }
    let failure = writer.flush().await.unwrap_err();
    assert!(
        failure.has_code("AccessDenied") && !failure.transient,
        "{failure}"
    );
}

#[tokio::test]
async fn an_object_is_made_of_the_parts_of_all_pages() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "ListParts" if call.parameters.contains_key("part-number-marker") => {
            assert_eq!(call.parameter("part-number-marker"), "2");
            s3::parts(&[(3, 5)], None)
        }
        "ListParts" => s3::parts(&[(1, 10), (2, 10)], Some(2)),
        _ => s3::completed("whole-3"),
    });
    let etag = upload_at(&endpoint).complete(25).await.unwrap();
    assert_eq!(etag, "\"whole-3\"");
    assert_eq!(
        endpoint.names(),
        ["ListParts", "ListParts", "CompleteMultipartUpload"]
    );
    let body = String::from_utf8(endpoint.calls()[2].body.clone()).unwrap();
    let parts: Vec<&str> = body.split("<Part>").skip(1).collect();
    assert_eq!(parts.len(), 3);
    for (number, part) in (1..).zip(parts) {
        for element in [
            format!("<PartNumber>{number}</PartNumber>"),
            format!("<ETag>&quot;e{number}&quot;</ETag>"),
            format!("<ChecksumCRC32>c{number}==</ChecksumCRC32>"),
        ] {
            assert!(part.contains(&element), "{part}");
        }
    }
}

#[tokio::test]
async fn parts_that_are_not_the_object_are_not_completed() {
    for (parts, error) in [
        (
            vec![(1, 10), (3, 10)],
            "part 2 of the upload of s3://staging/job-1/leap.raw is missing",
        ),
        (
            vec![(2, 20)],
            "part 1 of the upload of s3://staging/job-1/leap.raw is missing",
        ),
        (
            vec![(1, 10), (2, 9)],
            "the parts of the upload of s3://staging/job-1/leap.raw have 19 bytes, not 20",
        ),
        (
            vec![],
            "the parts of the upload of s3://staging/job-1/leap.raw have 0 bytes, not 20",
        ),
    ] {
        let endpoint = Endpoint::new(move |_| s3::parts(&parts, None));
        let refused = upload_at(&endpoint).complete(20).await.unwrap_err();
        assert_eq!(refused.to_string(), error);
        assert_eq!(endpoint.names(), ["ListParts"]);
    }
}

fn no_such_upload(call: &Call) -> Answer {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                   aborted or completed.";
    call.refusal(404, "NoSuchUpload", message)
}

fn head(size: u64) -> Answer {
    Answer::ok("")
        .header("ETag", "\"whole-3\"")
        .header("Content-Length", size.to_string())
}

#[tokio::test]
async fn an_upload_that_is_complete_already_is_told_by_its_object() {
    for last_that_knows in ["", "ListParts"] {
        let endpoint = Endpoint::new(move |call| match call.name.as_str() {
            "HeadObject" => head(10),
            name if name == last_that_knows => s3::parts(&[(1, 10)], None),
            _ => no_such_upload(call),
        });
        let etag = upload_at(&endpoint).complete(10).await.unwrap();
        assert_eq!(etag, "\"whole-3\"");
        assert_eq!(endpoint.names().last().unwrap(), "HeadObject");
    }
}

#[tokio::test]
async fn an_upload_that_was_aborted_is_an_error() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "HeadObject" => call.refusal(404, "NotFound", ""),
        _ => no_such_upload(call),
    });
    let error = upload_at(&endpoint).complete(10).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "s3:HeadObject failed: NotFound: HTTP status 404"
    );

    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "HeadObject" => head(9),
        _ => no_such_upload(call),
    });
    let error = upload_at(&endpoint).complete(10).await.unwrap_err();
    assert!(matches!(
        error,
        MultipartError::Size {
            found: 9,
            expected: 10,
            ..
        }
    ));
}

/// "A request could return a 200 OK and then contain an error" (API reference, CompleteMultipartUpload).
#[tokio::test]
async fn an_error_within_a_good_answer_is_an_error() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "ListParts" => s3::parts(&[(1, 10)], None),
        _ => Answer::ok("<Error><Code>InternalError</Code><Message>try again</Message></Error>"),
    });
    match upload_at(&endpoint).complete(10).await {
        Err(MultipartError::Aws(failure)) => {
            assert!(failure.has_code("InternalError") && failure.transient);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_upload_of_exactly_that_key_is_aborted_before_the_object_goes() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "ListMultipartUploads" if call.parameters.contains_key("key-marker") => {
            assert_eq!(call.parameter("key-marker"), "job-1/leap.raw.xz");
            assert_eq!(call.parameter("upload-id-marker"), "u-2");
            s3::uploads(&[("job-1/leap.raw", "u-3")], false)
        }
        "ListMultipartUploads" => {
            assert_eq!(call.parameter("prefix"), "job-1/leap.raw");
            s3::uploads(
                &[("job-1/leap.raw", "u-1"), ("job-1/leap.raw.xz", "u-2")],
                true,
            )
        }
        // Somebody else was quicker.
        "AbortMultipartUpload" if call.parameter("uploadId") == "u-1" => no_such_upload(call),
        _ => Answer::new(204, ""),
    });
    object_at(&endpoint).remove().await.unwrap();
    assert_eq!(
        endpoint.names(),
        [
            "ListMultipartUploads",
            "AbortMultipartUpload",
            "ListMultipartUploads",
            "AbortMultipartUpload",
            "DeleteObject"
        ]
    );
    let aborted = endpoint.calls_of("AbortMultipartUpload");
    let aborted: Vec<&str> = aborted
        .iter()
        .map(|call| call.parameter("uploadId"))
        .collect();
    assert_eq!(aborted, ["u-1", "u-3"]);
    for call in endpoint.calls() {
        assert_eq!(call.headers["x-amz-expected-bucket-owner"], "123456789012");
    }
}

#[tokio::test]
async fn nothing_is_left_to_remove_where_there_is_no_bucket() {
    let endpoint = Endpoint::new(|call| {
        call.refusal(404, "NoSuchBucket", "The specified bucket does not exist")
    });
    object_at(&endpoint).remove().await.unwrap();
    assert_eq!(endpoint.names(), ["ListMultipartUploads"]);
}

#[tokio::test]
async fn a_removal_that_is_refused_is_an_error() {
    for refused in [
        "ListMultipartUploads",
        "AbortMultipartUpload",
        "DeleteObject",
    ] {
        let endpoint = Endpoint::new(move |call| match call.name.as_str() {
            name if name == refused => call.refusal(403, "AccessDenied", "Access Denied"),
            "ListMultipartUploads" => s3::uploads(&[("job-1/leap.raw", "u-1")], false),
            _ => Answer::new(204, ""),
        });
        let failure = object_at(&endpoint).remove().await.unwrap_err();
        assert!(failure.has_code("AccessDenied"), "{failure}");
        assert_eq!(endpoint.names().last().unwrap(), refused);
    }
}

#[test]
fn a_file_is_cut_into_parts_of_one_size_but_for_the_last() {
    let lengths = |file| {
        let parts = Parts::of(file);
        let lengths: Vec<u64> = (1..=parts.count())
            .filter_map(|number| parts.length(number))
            .collect();
        assert_eq!(lengths.iter().sum::<u64>(), file);
        assert_eq!(parts.length(0), None);
        assert_eq!(parts.length(parts.count() + 1), None);
        (lengths.len(), lengths[0], lengths[lengths.len() - 1])
    };
    let part = 8 << 20;
    assert_eq!(lengths(1), (1, 1, 1));
    assert_eq!(lengths(part), (1, part, part));
    assert_eq!(lengths(part + 1), (2, part, 1));
    assert_eq!(lengths(10_000 * part), (10_000, part, part));
    let larger = 9 << 20;
    assert_eq!(lengths(10_000 * part + 1), (8_889, larger, (8 << 20) + 1));
    let largest = 5 << 30;
    assert_eq!(lengths(Parts::LARGEST_FILE), (10_000, largest, largest));
}

#[test]
fn a_crc32_is_four_bytes_in_base64() {
    let sum: Crc32 = "y/Q5Jg==".parse().unwrap();
    assert_eq!(sum, Crc32::from(0xcbf4_3926));
    assert_eq!(sum.to_string(), "y/Q5Jg==");
    for text in ["", "y/Q5", "cbf43926", "y/Q5Jh==", "y/Q5JgAA"] {
        assert!(text.parse::<Crc32>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_url_is_signed_for_one_part_and_its_length() {
    let endpoint = Endpoint::new(|call| panic!("{} is not needed", call.name));
    let valid = Duration::from_secs(60);
    let url = upload_at(&endpoint).url(3, 7, valid).await.unwrap();
    let (path, query) = url.split_once('?').unwrap();
    assert!(path.ends_with("/staging/job-1/leap.raw"), "{url}");
    for parameter in [
        "partNumber=3",
        "uploadId=u-1",
        "X-Amz-Expires=60",
        "X-Amz-SignedHeaders=content-length%3Bhost",
    ] {
        assert!(query.split('&').any(|found| found == parameter), "{url}");
    }
    // A checksum in the URL would be one of bytes that nobody knows yet.
    assert!(!query.contains("checksum"), "{url}");
}

#[tokio::test]
async fn what_is_missing_of_a_push_is_known_from_s3() {
    let endpoint = Endpoint::new(|_| s3::parts(&[(1, 8 << 20), (2, 5), (3, 9)], None));
    let upload = upload_at(&endpoint);
    let parts = Parts::of((32 << 20) - 1);
    assert_eq!(upload.missing(parts).await.unwrap(), [2, 3, 4]);
    let parts = Parts::of((16 << 20) + 9);
    assert_eq!(upload.missing(parts).await.unwrap(), [2]);
}

#[tokio::test]
async fn the_object_of_a_push_has_the_checksum_that_was_said() {
    let endpoint = Endpoint::new(|call| match call.name.as_str() {
        "CreateMultipartUpload" => s3::upload("u-1"),
        "ListParts" => s3::parts(&[(1, 9)], None),
        "CompleteMultipartUpload" if call.headers["x-amz-checksum-crc32"] == "y/Q5Jg==" => {
            s3::completed("whole-1")
        }
        _ => call.refusal(400, "BadDigest", "The CRC32 you specified did not match"),
    });
    let upload = object_at(&endpoint).begin_push().await.unwrap();
    let headers = |call: usize| endpoint.calls()[call].headers.clone();
    assert_eq!(headers(0)["x-amz-checksum-type"], "FULL_OBJECT");
    let etag = upload.complete_push(9, 0xcbf4_3926.into()).await.unwrap();
    assert_eq!(etag, "\"whole-1\"");
    assert_eq!(headers(2)["x-amz-checksum-type"], "FULL_OBJECT");
    let error = upload.complete_push(9, 7.into()).await.unwrap_err();
    assert!(matches!(error, MultipartError::Checksum(sum) if sum == 7.into()));
    assert!(!crate::error::is_transient(&error), "{error}");
}
