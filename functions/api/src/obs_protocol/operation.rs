//! Which operation a request means. The paths and the order of the checks are those of OBS's source server
//! (`src/backend/bs_srcserver`, its table of dispatches), so that of several mistakes the error names the one that OBS's
//! error would name.

use cloudupload::{
    job::{Cloud, JobId},
    target::{Ec2Params, ServiceIdentity},
};
use lambda_http::http::Method;

use super::{
    job_skeleton,
    log_query::LogQuery,
    parameters::{Parameters, digits},
    problem::Problem,
    request::Request,
};
use crate::api::{NewFile, NewJob, Submission};

/// What can be requested.
#[derive(Debug, PartialEq)]
pub enum Operation {
    Create(Box<NewJob>),
    /// A job as OBS's source server sends it.
    Submit(Box<Submission>),
    /// The image that the source server sends after it.
    ReceiveImage(JobId),
    /// The jobs to list, in that order; a number that no job can have is left out.
    List(Vec<JobId>),
    ListAll,
    Status(JobId),
    Kill(JobId),
    Log(JobId, LogQuery),
    /// The daemons of these types that run.
    Daemons(Vec<&'static str>),
}

impl Operation {
    pub fn of(request: &Request, service: &ServiceIdentity) -> Result<Self, Problem> {
        let path = &request.path;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (&request.method, segments.as_slice()) {
            (&Method::POST, ["", "cloudupload"]) if request.is_job_skeleton() => {
                let query = request.query()?;
                query.allow(&["push"], &[])?;
                let is_pushed = query.switch("push")?;
                let submission = job_skeleton::submission(&request.body, is_pushed, service)?;
                Ok(Operation::Submit(Box::new(submission)))
            }
            (&Method::POST, ["", "cloudupload"]) => match request.query()?.get("cmd") {
                Some(_) => list_command(request),
                None => create(request, service),
            },
            (&Method::GET | &Method::HEAD, ["", "cloudupload"]) => list(&request.query()?),
            (&Method::PUT, ["", "cloudupload", job]) => {
                request.query()?.allow(&[], &[])?;
                Ok(Operation::ReceiveImage(job_id(job)?))
            }
            (&Method::GET | &Method::HEAD, ["", "workerstatus"]) => daemons(&request.query()?),
            (&Method::GET | &Method::HEAD | &Method::POST, ["", "cloudupload", job]) => {
                let parameters = request.parameters()?;
                if request.method == Method::POST && parameters.get("cmd").is_some() {
                    command(job, &parameters)
                } else {
                    parameters.allow(&[], &[])?;
                    Ok(Operation::Status(job_id(job)?))
                }
            }
            (&Method::GET | &Method::HEAD | &Method::POST, ["", "cloudupload", job, "_log"]) => {
                let query = LogQuery::of(&request.parameters()?)?;
                Ok(Operation::Log(job_id(job)?, query))
            }
            (method, _) => Err(Problem::with_status(
                400,
                format!("unknown request: {method}:{path}"),
            )),
        }
    }
}

/// Reads the body as JSON whatever its content type: many clients call every POST a form.
fn create(request: &Request, service: &ServiceIdentity) -> Result<Operation, Problem> {
    let parameters = request.query()?;
    parameters.allow(
        &[
            "project",
            "repository",
            "arch",
            "package",
            "filename",
            "user",
            "target",
        ],
        &[],
    )?;
    let project = parameters.required("project")?;
    let repository = parameters.required("repository")?;
    let arch = parameters.required("arch")?;
    Ok(Operation::Create(Box::new(NewJob {
        project,
        repository,
        arch,
        package: parameters.required("package")?,
        file: NewFile::OfObs(parameters.optional("filename")?),
        user: parameters.required("user")?,
        target: cloud(&parameters.required::<String>("target")?)?,
        params: Ec2Params::from_json(&request.body, arch, service)?,
    })))
}

pub(super) fn cloud(target: &str) -> Result<Cloud, Problem> {
    match target {
        "ec2" => Ok(Cloud::Ec2),
        target => Err(Problem::bad_request(format!(
            "target '{target}' is not supported: valid is ec2"
        ))),
    }
}

/// A list of more jobs than API Gateway takes in a request line (10,240 bytes with the headers; API Gateway developer
/// guide, "Quotas for HTTP APIs"): their numbers are in the body.
fn list_command(request: &Request) -> Result<Operation, Problem> {
    let parameters = request.query_and_body()?;
    parameters.allow(&["cmd"], &["name"])?;
    match parameters.get("cmd").unwrap_or_default() {
        "list" => jobs(&parameters),
        command => Err(Problem::unknown_command(command)),
    }
}

fn list(parameters: &Parameters) -> Result<Operation, Problem> {
    parameters.allow(&[], &["name"])?;
    jobs(parameters)
}

fn jobs(parameters: &Parameters) -> Result<Operation, Problem> {
    if parameters.get("name").is_none() {
        return Ok(Operation::ListAll);
    }
    let names = parameters.all("name").map(digits);
    let ids = names.filter_map(|name| name.map(known_as).transpose());
    Ok(Operation::List(ids.collect::<Result<_, Problem>>()?))
}

fn command(job: &str, parameters: &Parameters) -> Result<Operation, Problem> {
    parameters.allow(&["cmd"], &[])?;
    match parameters.get("cmd").unwrap_or_default() {
        "kill" => Ok(Operation::Kill(job_id(job)?)),
        command => Err(Problem::unknown_command(command)),
    }
}

/// The daemons that OBS's own server tells of. Whoever gets the answer knows that both are there.
const DAEMONS: [&str; 2] = ["clouduploadserver", "clouduploadworker"];

fn daemons(parameters: &Parameters) -> Result<Operation, Problem> {
    parameters.allow(&[], &["arch"])?;
    if parameters.get("arch").is_none() {
        return Ok(Operation::Daemons(DAEMONS.to_vec()));
    }
    let wanted = parameters.all("arch");
    let known = wanted.filter_map(|name| DAEMONS.into_iter().find(|daemon| *daemon == name));
    Ok(Operation::Daemons(known.collect()))
}

/// The job in a path. A legal name that is not a number is that of a job that does not exist.
fn job_id(text: &str) -> Result<JobId, Problem> {
    if text.is_empty() {
        return Err(Problem::bad_request("jobid is empty"));
    }
    if text.starts_with('.') || text.contains(|c: char| c < ' ') {
        return Err(Problem::bad_request(format!("jobid '{text}' is illegal")));
    }
    digits(text)
        .ok()
        .and_then(known_as)
        .ok_or_else(Problem::no_such_job)
}

/// The job of that name. To OBS a job is a file whose name is the number, so `01` names no job.
fn known_as(digits: &str) -> Option<JobId> {
    if digits.starts_with('0') {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use cloudupload::{names::Arch, target::Partition};

    use super::*;
    use crate::sample_event::event;

    const CREATE: &str = "/cloudupload?project=Cloud%3AImages&repository=images&package=leap-ec2&arch=x86_64&user=tom&target=ec2";
    const BODY: &str =
        r#"{"arn":"arn:aws:iam::123456789012:role/obs","external_id":"id-1","region":"us-east-1"}"#;

    fn sent(
        method: &str,
        target: &str,
        content_type: &str,
        body: &str,
    ) -> Result<Operation, Problem> {
        let service = ServiceIdentity {
            account: "999999999999".parse().unwrap(),
            partition: Partition::Aws,
        };
        let event = event(method, target, content_type, body.as_bytes());
        Operation::of(&Request::from(event), &service)
    }

    fn operation(method: &str, target: &str) -> Result<Operation, Problem> {
        sent(method, target, "", "")
    }

    fn id(number: u64) -> JobId {
        JobId::new(number).unwrap()
    }

    #[test]
    fn a_create_call_is_read_as_the_frontend_and_the_wiki_send_it() {
        for (target, content_type, filename) in [
            (CREATE.to_owned(), "application/json", None),
            (CREATE.to_owned(), "application/x-www-form-urlencoded", None),
            (
                format!("{CREATE}&filename=leap%2Bx.raw.xz"),
                "application/octet-stream",
                Some("leap+x.raw.xz"),
            ),
            (CREATE.replace('?', "/?"), "", None),
        ] {
            let Operation::Create(create) = sent("POST", &target, content_type, BODY).unwrap()
            else {
                panic!("{target} is a create call");
            };
            assert_eq!(create.project.as_str(), "Cloud:Images");
            assert_eq!(create.repository.as_str(), "images");
            assert_eq!(create.package.as_str(), "leap-ec2");
            assert_eq!(create.arch, Arch::X86_64);
            assert_eq!(create.user.as_str(), "tom");
            let filename = filename.map(|name: &str| name.parse().unwrap());
            assert_eq!(create.file, NewFile::OfObs(filename));
        }
    }

    #[test]
    fn a_create_call_is_refused_for_the_first_thing_that_is_wrong() {
        let refused = |from: &str, to: &str| {
            let target = CREATE.replace(from, to);
            assert_ne!(target, CREATE, "{from} is in the call");
            sent("POST", &target, "", BODY).unwrap_err()
        };
        for (from, to, reason) in [
            (
                "project=Cloud%3AImages",
                "project=../x",
                "projid '../x' is illegal",
            ),
            (
                "project=Cloud%3AImages&",
                "",
                "parameter 'project' is missing",
            ),
            ("project=Cloud%3AImages", "project=", "projid is empty"),
            (
                "repository=images",
                "repository=a/b",
                "repoid 'a/b' is illegal",
            ),
            (
                "package=leap-ec2",
                "package=a:b:c",
                "packid 'a:b:c' is illegal",
            ),
            (
                "arch=x86_64",
                "arch=s390x",
                "arch 's390x' does not run on EC2: valid are x86_64, aarch64",
            ),
            ("user=tom", "filename=..%2Fx", "filename '../x' is illegal"),
            ("&user=tom", "", "parameter 'user' is missing"),
            (
                "user=tom",
                "user=tom&user=tim",
                "parameter 'user' set multiple times",
            ),
            ("user=tom", "user=tom&foo=1", "unknown parameter 'foo'"),
            (
                "target=ec2",
                "target=azure",
                "target 'azure' is not supported: valid is ec2",
            ),
            ("&target=ec2", "", "parameter 'target' is missing"),
        ] {
            assert_eq!(refused(from, to), Problem::bad_request(reason));
        }
        assert_eq!(
            refused("user=tom", "user=%zz").summary,
            "query string has a bad percent-encoding: '%zz'"
        );
        let error = sent("POST", CREATE, "", r#"{"arn":"x"}"#).unwrap_err();
        assert!(
            error
                .summary
                .starts_with("arn 'x' is not the ARN of an IAM role"),
            "{error:?}"
        );
    }

    #[test]
    fn a_list_keeps_order_and_repetition() {
        assert_eq!(operation("GET", "/cloudupload"), Ok(Operation::ListAll));
        assert_eq!(
            operation(
                "GET",
                "/cloudupload?name=9&name=1&name=9&name=0&name=01&name=2147483648&name=99999999999999999999"
            ),
            Ok(Operation::List(vec![id(9), id(1), id(9)]))
        );
        assert_eq!(
            operation("GET", "/cloudupload?name=0"),
            Ok(Operation::List(vec![]))
        );
        assert_eq!(
            operation("GET", "/cloudupload?name=1&name=abc"),
            Err(Problem::bad_request("not a number: 'abc'"))
        );
        assert_eq!(
            operation("GET", "/cloudupload?name=1%2C2"),
            Err(Problem::bad_request("not a number: '1,2'"))
        );
        assert_eq!(
            operation("GET", "/cloudupload?foo=1"),
            Err(Problem::bad_request("unknown parameter 'foo'"))
        );
    }

    #[test]
    fn a_list_is_asked_for_by_a_form_too() {
        for content_type in ["application/x-www-form-urlencoded", ""] {
            let listed = |target, body| sent("POST", target, content_type, body);
            assert_eq!(
                listed("/cloudupload?cmd=list", "name=9&name=1&name=0&name=9\n"),
                Ok(Operation::List(vec![id(9), id(1), id(9)]))
            );
            assert_eq!(listed("/cloudupload?cmd=list", ""), Ok(Operation::ListAll));
            assert_eq!(
                listed("/cloudupload?cmd=list", "name=abc"),
                Err(Problem::bad_request("not a number: 'abc'"))
            );
            assert_eq!(
                listed("/cloudupload?cmd=list", "foo=1"),
                Err(Problem::bad_request("unknown parameter 'foo'"))
            );
            assert_eq!(
                listed("/cloudupload?cmd=kill", "name=1"),
                Err(Problem::bad_request("unknown command 'kill'"))
            );
        }
    }

    #[test]
    fn the_source_server_s_own_requests_are_read() {
        let skeleton = "<clouduploadjob><user>tom</user><target>ec2</target><project>a</project><repository>b</repository>\
                        <package>c</package><arch>x86_64</arch><filename>d.raw.xz</filename></clouduploadjob>";
        let submitted = sent("POST", "/cloudupload", "", skeleton).unwrap();
        assert!(matches!(submitted, Operation::Submit(_)));
        // With a query it is the body of a create call, and no JSON.
        assert!(sent("POST", CREATE, "", skeleton).is_err());
        let missing = sent("POST", "/cloudupload", "", "{}").unwrap_err();
        assert_eq!(missing.summary, "parameter 'project' is missing");

        assert_eq!(
            sent("PUT", "/cloudupload/17", "", "\u{0}image"),
            Ok(Operation::ReceiveImage(id(17)))
        );
        assert_eq!(
            sent("PUT", "/cloudupload/abc", "", ""),
            Err(Problem::no_such_job())
        );

        let both = vec!["clouduploadserver", "clouduploadworker"];
        assert_eq!(
            operation("GET", "/workerstatus"),
            Ok(Operation::Daemons(both))
        );
        assert_eq!(
            operation("GET", "/workerstatus?arch=x86_64&arch=clouduploadworker"),
            Ok(Operation::Daemons(vec!["clouduploadworker"]))
        );
        assert_eq!(
            operation("GET", "/workerstatus?type=x"),
            Err(Problem::bad_request("unknown parameter 'type'"))
        );
    }

    #[test]
    fn a_status_is_asked_for_by_get_and_by_post() {
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(
                operation(method, "/cloudupload/17"),
                Ok(Operation::Status(id(17)))
            );
            assert_eq!(
                operation(method, "/cloudupload/17/"),
                Ok(Operation::Status(id(17)))
            );
        }
        for job in ["abc", "0", "017", "-1", "+1", "2147483648"] {
            assert_eq!(
                operation("GET", &format!("/cloudupload/{job}")),
                Err(Problem::no_such_job()),
                "{job}"
            );
        }
        assert_eq!(
            operation("GET", "/cloudupload/.1"),
            Err(Problem::bad_request("jobid '.1' is illegal"))
        );
        assert_eq!(
            operation("GET", "/cloudupload/1?x=1"),
            Err(Problem::bad_request("unknown parameter 'x'"))
        );
    }

    #[test]
    fn a_kill_comes_in_the_query_or_in_a_form() {
        assert_eq!(
            operation("POST", "/cloudupload/17?cmd=kill"),
            Ok(Operation::Kill(id(17)))
        );
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            sent("POST", "/cloudupload/17", form, "cmd=kill"),
            Ok(Operation::Kill(id(17)))
        );
        assert_eq!(
            operation("POST", "/cloudupload/abc?cmd=kill"),
            Err(Problem::no_such_job())
        );
        assert_eq!(
            operation("POST", "/cloudupload/17?cmd=stop"),
            Err(Problem::bad_request("unknown command 'stop'"))
        );
        assert_eq!(
            operation("GET", "/cloudupload/17?cmd=kill"),
            Err(Problem::bad_request("unknown parameter 'cmd'"))
        );
        assert_eq!(
            operation("POST", "/cloudupload/17?cmd=kill&cmd=kill"),
            Err(Problem::bad_request("parameter 'cmd' set multiple times"))
        );
    }

    #[test]
    fn a_log_is_asked_for_with_its_parameters() {
        let Ok(Operation::Log(job, LogQuery::Part { follow, .. })) =
            operation("GET", "/cloudupload/17/_log?nostream=1&start=0")
        else {
            panic!("this is a request for a log");
        };
        assert_eq!((job, follow), (id(17), false));
        assert_eq!(
            operation("GET", "/cloudupload/abc/_log"),
            Err(Problem::no_such_job())
        );
        assert_eq!(
            operation("GET", "/cloudupload//_log"),
            Err(Problem::bad_request("jobid is empty"))
        );
    }

    #[test]
    fn anything_else_is_unknown() {
        for (method, path) in [
            ("DELETE", "/cloudupload/1"),
            ("PUT", "/cloudupload"),
            ("POST", "/workerstatus"),
            ("PATCH", "/cloudupload"),
            ("GET", "/"),
            ("GET", ""),
            ("GET", "/cloudupload/1/_log/x"),
            ("GET", "/cloudupload/1/log"),
            ("GET", "/x/cloudupload"),
        ] {
            let reason = format!("unknown request: {method}:{path}");
            assert_eq!(
                operation(method, path),
                Err(Problem::with_status(400, reason))
            );
        }
        let odd = operation("GET", "/a <b>?\"<&>").unwrap_err();
        assert_eq!(odd.summary, "unknown request: GET:/a <b>");
    }

    /// API Gateway has decoded the path: what still looks like an escape is none.
    #[test]
    fn an_escape_in_a_path_is_no_separator() {
        assert_eq!(
            operation("GET", "/cloudupload/1%2F_log"),
            Err(Problem::no_such_job())
        );
        let unknown = operation("GET", "/cloudupload%2F1").unwrap_err();
        assert_eq!(unknown.summary, "unknown request: GET:/cloudupload%2F1");
    }
}
