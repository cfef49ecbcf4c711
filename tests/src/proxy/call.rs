//! Which AWS call a request is, by the names that the functions' failures have, too (`cloudupload::aws::Failure`).

use std::fmt;

use hyper::{HeaderMap, header::AUTHORIZATION, http::request::Parts};

/// A call, as in `s3:UploadPart`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub service: String,
    pub operation: String,
}

impl Call {
    /// The call of a request to that service. Requests to EC2 and STS name it in the body.
    ///
    /// An unknown operation gets its HTTP method as its name, so that it is counted all the same.
    pub fn of(service: &str, head: &Parts, body: &[u8]) -> Self {
        let (method, path) = (head.method.as_str(), head.uri.path());
        let operation = if let Some(target) = head.headers.get("x-amz-target") {
            let target = target.to_str().unwrap_or_default();
            target.rsplit('.').next()
        } else if service == "s3" {
            s3(method, path, head.uri.query().unwrap_or_default())
        } else if service == "lambda" {
            let invokes =
                path.starts_with("/2015-03-31/functions/") && path.ends_with("/invocations");
            invokes.then_some("Invoke")
        } else if service == "ebs" {
            ebs(method, path)
        } else {
            let form = std::str::from_utf8(body).unwrap_or_default();
            form.split('&')
                .find_map(|pair| pair.strip_prefix("Action="))
        };
        Self {
            service: service.to_owned(),
            operation: operation.unwrap_or(method).to_owned(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.operation)
    }
}

/// The service that a request was signed for. None if it is not signed.
pub fn service(headers: &HeaderMap) -> Option<&str> {
    let signature = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = signature.split_once("Credential=")?;
    // AKIA.../20260101/eu-central-1/s3/aws4_request
    credential.split(',').next()?.rsplit('/').nth(1)
}

/// What a path names, in the path style that the SDK chooses for an endpoint that is an IP address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Bucket,
    Object,
}

/// Method, path, the parameter that identifies the call, and the call. Without a parameter, the request has none.
const S3: &[(&str, Path, Option<&str>, &str)] = &[
    ("PUT", Path::Bucket, None, "CreateBucket"),
    ("HEAD", Path::Bucket, None, "HeadBucket"),
    ("GET", Path::Bucket, Some("list-type"), "ListObjectsV2"),
    ("GET", Path::Bucket, Some("uploads"), "ListMultipartUploads"),
    (
        "GET",
        Path::Bucket,
        Some("lifecycle"),
        "GetLifecycleConfiguration",
    ),
    (
        "PUT",
        Path::Bucket,
        Some("lifecycle"),
        "PutLifecycleConfiguration",
    ),
    (
        "PUT",
        Path::Bucket,
        Some("publicAccessBlock"),
        "PutBucketPublicAccessBlock",
    ),
    ("GET", Path::Object, None, "GetObject"),
    ("HEAD", Path::Object, None, "HeadObject"),
    ("PUT", Path::Object, None, "PutObject"),
    ("DELETE", Path::Object, None, "DeleteObject"),
    (
        "POST",
        Path::Object,
        Some("uploads"),
        "CreateMultipartUpload",
    ),
    ("PUT", Path::Object, Some("partNumber"), "UploadPart"),
    ("GET", Path::Object, Some("uploadId"), "ListParts"),
    (
        "POST",
        Path::Object,
        Some("uploadId"),
        "CompleteMultipartUpload",
    ),
    (
        "DELETE",
        Path::Object,
        Some("uploadId"),
        "AbortMultipartUpload",
    ),
];

fn s3(method: &str, path: &str, query: &str) -> Option<&'static str> {
    let (_, key) = path.strip_prefix('/')?.split_once('/').unwrap_or_default();
    let path = if key.is_empty() {
        Path::Bucket
    } else {
        Path::Object
    };
    let keys = query.split('&').filter_map(|pair| pair.split('=').next());
    // Not all calls have `x-id`, by which the SDK names the call.
    let keys: Vec<&str> = keys.filter(|key| !["", "x-id"].contains(key)).collect();
    S3.iter()
        .find(|(its_method, its_path, parameter, _)| {
            let named = match parameter {
                Some(parameter) => keys.contains(parameter),
                None => keys.is_empty(),
            };
            *its_method == method && *its_path == path && named
        })
        .map(|(.., name)| *name)
}

/// The last words of a path name the block or the snapshot (EBS direct API reference, "Request Syntax" of each action).
fn ebs(method: &str, path: &str) -> Option<&'static str> {
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, words.as_slice()) {
        ("POST", ["snapshots"]) => Some("StartSnapshot"),
        ("POST", ["snapshots", "completion", _]) => Some("CompleteSnapshot"),
        ("PUT", ["snapshots", _, "blocks", _]) => Some("PutSnapshotBlock"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn named(
        service_signed: &str,
        method: &str,
        uri: &str,
        target: Option<&str>,
        body: &str,
    ) -> String {
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential=ASIA/20260101/eu-central-1/{service_signed}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, signature);
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let service = service(&head.headers).expect("the request is signed");
        Call::of(service, &head, body.as_bytes()).to_string()
    }

    #[test]
    fn json_services_name_the_call_in_a_header() {
        for (service, target, name) in [
            (
                "dynamodb",
                "DynamoDB_20120810.UpdateItem",
                "dynamodb:UpdateItem",
            ),
            (
                "dynamodb",
                "DynamoDB_20120810.TransactWriteItems",
                "dynamodb:TransactWriteItems",
            ),
            (
                "states",
                "AWSStepFunctions.SendTaskSuccess",
                "states:SendTaskSuccess",
            ),
            ("logs", "Logs_20140328.PutLogEvents", "logs:PutLogEvents"),
            ("events", "AWSEvents.PutEvents", "events:PutEvents"),
        ] {
            assert_eq!(named(service, "POST", "/", Some(target), "{}"), name);
        }
    }

    #[test]
    fn ec2_and_sts_name_the_call_in_the_body() {
        for (service, body, name) in [
            (
                "ec2",
                "Action=ImportSnapshot&Version=2016-11-15",
                "ec2:ImportSnapshot",
            ),
            (
                "sts",
                "Action=AssumeRole&Version=2011-06-15",
                "sts:AssumeRole",
            ),
            ("ec2", "", "ec2:POST"),
        ] {
            assert_eq!(named(service, "POST", "/", None, body), name);
        }
    }

    #[test]
    fn lambda_names_the_call_in_the_path() {
        let invocation = "/2015-03-31/functions/cloudupload-Dispatch-1A2B3C/invocations";
        assert_eq!(
            named("lambda", "POST", invocation, None, "{}"),
            "lambda:Invoke"
        );
        assert_eq!(
            named("lambda", "GET", "/2015-03-31/functions", None, ""),
            "lambda:GET"
        );
    }

    #[test]
    fn s3_names_the_call_by_method_path_and_query() {
        for (method, uri, name) in [
            ("PUT", "/b", "s3:CreateBucket"),
            ("PUT", "/b/", "s3:CreateBucket"),
            ("HEAD", "/b", "s3:HeadBucket"),
            ("GET", "/b?lifecycle", "s3:GetLifecycleConfiguration"),
            ("PUT", "/b?lifecycle", "s3:PutLifecycleConfiguration"),
            (
                "PUT",
                "/b?publicAccessBlock",
                "s3:PutBucketPublicAccessBlock",
            ),
            ("GET", "/b?uploads&prefix=job-1", "s3:ListMultipartUploads"),
            ("GET", "/b?list-type=2&prefix=job-1", "s3:ListObjectsV2"),
            ("GET", "/b?versioning", "s3:GET"),
            ("GET", "/", "s3:GET"),
            ("GET", "/b/job-1/disk.raw.xz?x-id=GetObject", "s3:GetObject"),
            ("HEAD", "/b/job-1/disk.raw.xz", "s3:HeadObject"),
            ("PUT", "/b/job-1/disk.raw.xz?x-id=PutObject", "s3:PutObject"),
            (
                "DELETE",
                "/b/job-1/disk.raw.xz?x-id=DeleteObject",
                "s3:DeleteObject",
            ),
            ("GET", "/b/job-1/disk.raw.xz?tagging", "s3:GET"),
            ("POST", "/b/job-1.raw?uploads", "s3:CreateMultipartUpload"),
            (
                "PUT",
                "/b/job-1.raw?x-id=UploadPart&partNumber=1&uploadId=u",
                "s3:UploadPart",
            ),
            (
                "GET",
                "/b/job-1.raw?x-id=ListParts&uploadId=u",
                "s3:ListParts",
            ),
            (
                "POST",
                "/b/job-1.raw?uploadId=u",
                "s3:CompleteMultipartUpload",
            ),
            (
                "DELETE",
                "/b/job-1.raw?x-id=AbortMultipartUpload&uploadId=u",
                "s3:AbortMultipartUpload",
            ),
        ] {
            assert_eq!(named("s3", method, uri, None, ""), name, "{method} {uri}");
        }
    }

    #[test]
    fn ebs_names_the_call_by_method_and_path() {
        for (method, uri, name) in [
            ("POST", "/snapshots", "ebs:StartSnapshot"),
            ("PUT", "/snapshots/snap-1/blocks/7", "ebs:PutSnapshotBlock"),
            (
                "POST",
                "/snapshots/completion/snap-1",
                "ebs:CompleteSnapshot",
            ),
            ("GET", "/snapshots/snap-1/blocks", "ebs:GET"),
        ] {
            assert_eq!(named("ebs", method, uri, None, ""), name);
        }
    }

    #[test]
    fn who_signs_nothing_calls_no_service() {
        assert_eq!(service(&HeaderMap::new()), None);
    }
}
