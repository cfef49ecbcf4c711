//! What a caller requests. The input is a method, a kind of body and a target in one line, and a body in those below.

#![no_main]

use api::obs_protocol::{
    operation::Operation, parameters::Parameters, problem::Problem, request::Request,
};
use cloudupload::target::{Partition, ServiceIdentity};
use fuzz::{as_xml_has_it, seeds, text};
use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    http::{HeaderValue, Method, header::CONTENT_TYPE},
};
use libfuzzer_sys::fuzz_target;
use roxmltree::Document;
use url::form_urlencoded;

const SEEDS: [&str; 8] = [
    "POST json /cloudupload?project=Cloud%3AImages&repository=images&package=leap-ec2&arch=x86_64&user=t%C3%BCm&target=ec2\
     &filename=a+b.raw.xz\n{\"arn\":\"arn:aws:iam::123456789012:role/obs\",\"external_id\":\"id-1\",\"region\":\"us-east-1\"}",
    "GET - /cloudupload?name=1&name=02&&=x&name\n",
    "HEAD - /cloudupload/17/\n",
    "POST form /cloudupload/17?x=%zz\ncmd=kill",
    "GET - /cloudupload/17/_log?nostream=1&start=-20&end=99999999999999999999&view=entry\n",
    "POST form /cloudupload?cmd=list\nname=1&name=02",
    "POST - /cloudupload\n<clouduploadjob><details>7b7d</details><user>tom</user><target>ec2</target><project>a</project>\
     <repository>b</repository><package>c</package><arch>x86_64</arch><filename>d</filename><size>1</size></clouduploadjob>",
    "DELETE - /<&>\"\u{1}\n",
];

fuzz_target!(init: seeds::write(SEEDS), |data: &[u8]| {
    let Some(event) = event(data) else { return };
    let query = event.raw_query_string.clone().unwrap_or_default();
    check_parameters(&query);
    let request = Request::from(event);
    let service = ServiceIdentity {
        account: "999999999999".parse().unwrap(),
        partition: Partition::Aws,
    };
    match Operation::of(&request, &service) {
        Ok(operation) => check_operation(&operation, &request),
        Err(problem) => check_problem(&problem),
    }
});

fn event(data: &[u8]) -> Option<ApiGatewayV2httpRequest> {
    let end = data.iter().position(|&byte| byte == b'\n')?;
    let mut words = std::str::from_utf8(&data[..end]).ok()?.splitn(3, ' ');
    let mut event = ApiGatewayV2httpRequest::default();
    event.request_context.http.method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
    let content_type = match words.next()? {
        "form" => "application/x-www-form-urlencoded; charset=UTF-8",
        "json" => "application/json",
        _ => "text/plain",
    };
    event
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let (path, query) = words
        .next()
        .map(|target| target.split_once('?').unwrap_or((target, "")))?;
    event.raw_path = Some(path.to_owned());
    event.raw_query_string = Some(query.to_owned());
    event.body = Some(String::from_utf8_lossy(&data[end + 1..]).into_owned());
    Some(event)
}

/// Parameters are those of any form, but that a name alone is switched on, a value without a name is none, and what
/// cannot be decoded is an error.
fn check_parameters(query: &str) {
    let expected = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with('='))
        .filter_map(|pair| {
            let (name, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
            let value = if pair.contains('=') {
                value.into_owned()
            } else {
                "1".to_owned()
            };
            Some((name.into_owned(), value))
        })
        .collect::<Vec<_>>();
    let Ok(parameters) = Parameters::parse(query) else {
        let escapes = query
            .match_indices('%')
            .map(|(at, _)| query.get(at + 1..at + 3));
        let hex = |digits: Option<&str>| {
            digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let replaced = expected
            .iter()
            .any(|(name, value)| format!("{name}{value}").contains('\u{fffd}'));
        assert!(
            replaced || !escapes.into_iter().all(hex),
            "refused without need"
        );
        return;
    };
    let names = expected
        .iter()
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>();
    assert_eq!(parameters.allow(&[], &names), Ok(()));
    for name in names {
        let values = expected
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, value)| value.as_str());
        assert!(parameters.all(name).eq(values), "{name}");
    }
}

/// A job's number is the one in the path, to the letter.
fn check_operation(operation: &Operation, request: &Request) {
    match operation {
        Operation::Create(_) | Operation::Submit(_) => assert_eq!(request.method, Method::POST),
        Operation::List(_) | Operation::ListAll | Operation::Daemons(_) => {
            assert_ne!(request.method, Method::PUT);
        }
        Operation::ReceiveImage(_) => assert_eq!(request.method, Method::PUT),
        Operation::Status(id) | Operation::Kill(id) | Operation::Log(id, _) => {
            assert_eq!(
                request.path.split('/').nth(2),
                Some(id.to_string().as_str())
            );
        }
    }
}

/// A second reader finds the summary in the XML.
fn check_problem(problem: &Problem) {
    assert!(matches!(problem.status, 400 | 404));
    let xml = problem.xml();
    let document = Document::parse(&xml).unwrap();
    let status = document.root_element();
    assert!(status.has_tag_name("status"));
    assert_eq!(
        status.attribute("code"),
        Some(problem.status.to_string().as_str())
    );
    let summary = status
        .children()
        .find(|node| node.has_tag_name("summary"))
        .unwrap();
    assert_eq!(text(summary), as_xml_has_it(&problem.summary));
}
