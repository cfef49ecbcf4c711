//! A call: which one it is, and what it asks for.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read},
    net::TcpStream,
};

use serde_json::Value;
use url::form_urlencoded;

use crate::Answer;

/// A call that came in.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `PutItem`; `OBS` for a call that is not signed.
    pub name: String,
    pub method: String,
    /// As it was sent, without the query.
    pub path: String,
    /// Those of the query, and of the form that the body is in the protocols of EC2 and STS.
    pub parameters: BTreeMap<String, String>,
    /// With names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// The service that the call was signed for.
    service: String,
}

impl Call {
    pub(crate) fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut headers = BTreeMap::new();
        for line in reader.by_ref().lines() {
            let line = line?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length");
        let length = length.and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        reader.read_exact(&mut body)?;

        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut parameters = BTreeMap::new();
        parameters.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
        let is_form = headers
            .get("content-type")
            .is_some_and(|kind| kind == "application/x-www-form-urlencoded");
        if is_form {
            parameters.extend(form_urlencoded::parse(&body).into_owned());
        }
        let service = scope(&headers)
            .map_or("obs", |scope| scope.service)
            .to_owned();
        Ok(Self {
            name: name(&service, &method, path, &parameters, &headers),
            path: path.to_owned(),
            method,
            parameters,
            headers,
            body,
            service,
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The parameter of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn parameter(&self, name: &str) -> &str {
        match self.parameters.get(name) {
            Some(value) => value,
            None => panic!("{} has no {name}: {:?}", self.name, self.parameters),
        }
    }

    /// The access key that the call was signed with.
    pub fn access_key(&self) -> Option<&str> {
        Some(scope(&self.headers)?.access_key)
    }

    /// The region that the call was signed for.
    pub fn region(&self) -> Option<&str> {
        Some(scope(&self.headers)?.region)
    }

    /// A result of EC2 or STS (EC2 developer guide, "Query requests for Amazon EC2"; STS API reference, AssumeRole,
    /// "Sample Response").
    pub fn result(&self, xml: &str) -> Answer {
        let name = &self.name;
        Answer::ok(match self.service.as_str() {
            "ec2" => format!(
                "<{name}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r-1</requestId>{xml}\
                 </{name}Response>"
            ),
            "sts" => format!(
                "<{name}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{name}Result>{xml}</{name}Result>\
                 <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></{name}Response>"
            ),
            service => panic!("the answers of {service} have shapes of their own"),
        })
    }

    /// The credentials that AssumeRole gives (STS API reference, AssumeRole, "Sample Response"): their access key is
    /// `ASIASESSION`.
    pub fn credentials(&self) -> Answer {
        self.result(
            "<Credentials><AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token</SessionToken><Expiration>2126-01-01T00:00:00Z</Expiration></Credentials>",
        )
    }

    /// An error in the shape of the call's service: EC2 developer guide, "Error codes for the Amazon EC2 API", "Example
    /// error response"; STS API reference, "Common Errors"; S3 API reference, "Error responses"; DynamoDB developer
    /// guide, "Error handling with DynamoDB" (Step Functions and CloudWatch Logs speak the same protocol).
    pub fn refusal(&self, status: u16, code: &str, message: &str) -> Answer {
        let error = format!("<Code>{code}</Code><Message>{message}</Message>");
        let body = match self.service.as_str() {
            // "A HEAD request … the response doesn't include a message body" (S3 API reference, HeadBucket).
            "s3" if self.method == "HEAD" => String::new(),
            "s3" => format!("<Error>{error}<RequestId>r-1</RequestId></Error>"),
            "ec2" => format!(
                "<Response><Errors><Error>{error}</Error></Errors><RequestID>r-1</RequestID></Response>"
            ),
            "sts" => format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>{error}\
                 </Error><RequestId>r-1</RequestId></ErrorResponse>"
            ),
            "obs" => {
                format!("<status code=\"{status}\">\n  <summary>{message}</summary>\n</status>\n")
            }
            _ => serde_json::json!({"__type": format!("com.amazonaws#{code}"), "message": message})
                .to_string(),
        };
        Answer::new(status, body)
    }
}

/// What a request was signed for (AWS General Reference, "Create a signed AWS API request").
struct Scope<'a> {
    access_key: &'a str,
    region: &'a str,
    service: &'a str,
}

fn scope(headers: &BTreeMap<String, String>) -> Option<Scope<'_>> {
    let (_, credential) = headers.get("authorization")?.split_once("Credential=")?;
    let scope: Vec<&str> = credential.split(',').next()?.split('/').collect();
    let &[access_key, _, region, service, _] = scope.as_slice() else {
        return None;
    };
    Some(Scope {
        access_key,
        region,
        service,
    })
}

fn name(
    service: &str,
    method: &str,
    path: &str,
    parameters: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
) -> String {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.rsplit('.').next());
    let action = parameters.get("Action").map(String::as_str);
    let name = match service {
        "obs" => Some("OBS"),
        "s3" => s3_name(method, path, parameters),
        "ebs" => ebs_name(method, path),
        // Lambda API reference, Invoke, "Request Syntax".
        "lambda" => path.ends_with("/invocations").then_some("Invoke"),
        _ => target.or(action),
    };
    name.unwrap_or(method).to_owned()
}

/// EBS direct API reference, "Request Syntax" of each action.
fn ebs_name(method: &str, path: &str) -> Option<&'static str> {
    let mut words = path.trim_matches('/').split('/');
    match (method, words.next()?, words.next(), words.next()) {
        ("POST", "snapshots", None, None) => Some("StartSnapshot"),
        ("POST", "snapshots", Some("completion"), Some(_)) => Some("CompleteSnapshot"),
        ("PUT", "snapshots", Some(_), Some("blocks")) => Some("PutSnapshotBlock"),
        _ => None,
    }
}

/// Method, whether the path is that of an object, the parameter that tells, and the name. The first that fits counts.
const S3: &[(&str, bool, &str, &str)] = &[
    ("HEAD", false, "", "HeadBucket"),
    ("PUT", false, "lifecycle", "PutLifecycleConfiguration"),
    (
        "PUT",
        false,
        "publicAccessBlock",
        "PutBucketPublicAccessBlock",
    ),
    ("PUT", false, "", "CreateBucket"),
    ("GET", false, "lifecycle", "GetLifecycleConfiguration"),
    ("GET", false, "uploads", "ListMultipartUploads"),
    ("POST", true, "uploads", "CreateMultipartUpload"),
    ("PUT", true, "partNumber", "UploadPart"),
    ("GET", true, "uploadId", "ListParts"),
    ("POST", true, "uploadId", "CompleteMultipartUpload"),
    ("DELETE", true, "uploadId", "AbortMultipartUpload"),
    ("HEAD", true, "", "HeadObject"),
    ("GET", true, "", "GetObject"),
    ("DELETE", true, "", "DeleteObject"),
];

/// The path style is what the SDK chooses for an endpoint that is an IP address.
fn s3_name(
    method: &str,
    path: &str,
    parameters: &BTreeMap<String, String>,
) -> Option<&'static str> {
    let is_object = path.trim_matches('/').contains('/');
    S3.iter()
        .find(|(its_method, of_object, parameter, _)| {
            *its_method == method
                && *of_object == is_object
                && (parameter.is_empty() || parameters.contains_key(*parameter))
        })
        .map(|(.., name)| *name)
}
