//! Which request is meant. The routes and the order of the checks are those of OBS's source server
//! (`src/backend/bs_srcserver`, its table of dispatches), so that the first thing wrong is the one it would name.

use cloudupload::{
    job::{Cloud, JobId},
    names::{Arch, FileName, Package, Project, Repository, User},
    target::{Ec2Params, ServiceIdentity},
};
use lambda_http::http::Method;

use crate::{
    answer::Problem,
    log::LogQuery,
    query::{Parameters, digits},
    request::Request,
};

/// A request that makes sense.
#[derive(Debug, PartialEq)]
pub enum Operation {
    Create(Box<Create>),
    /// The jobs asked for, in that order; a number that no job can have is `None`.
    List(Vec<Option<JobId>>),
    ListAll,
    Status(JobId),
    Kill(JobId),
    Log(JobId, LogQuery),
}

/// What a new job is made of, but for what OBS has to say of the file.
#[derive(Debug, PartialEq)]
pub struct Create {
    pub project: Project,
    pub repository: Repository,
    pub arch: Arch,
    pub package: Package,
    pub filename: Option<FileName>,
    pub user: User,
    pub target: Cloud,
    pub params: Ec2Params,
}

impl Operation {
    pub fn of(request: &Request, service: &ServiceIdentity) -> Result<Self, Problem> {
        let path = request.path()?;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (request.method.clone(), segments.as_slice()) {
            (Method::POST, ["", "cloudupload"]) => create(request, service),
            (Method::GET | Method::HEAD, ["", "cloudupload"]) => list(&request.query()?),
            (Method::GET | Method::HEAD | Method::POST, ["", "cloudupload", job]) => {
                let parameters = request.parameters()?;
                if request.method == Method::POST && parameters.get("cmd").is_some() {
                    command(job, &parameters)
                } else {
                    parameters.allow(&[], &[])?;
                    Ok(Operation::Status(job_id(job)?))
                }
            }
            (Method::GET | Method::HEAD | Method::POST, ["", "cloudupload", job, "_log"]) => {
                let query = LogQuery::of(&request.parameters()?)?;
                Ok(Operation::Log(job_id(job)?, query))
            }
            (method, _) => Err(Problem::of_status(
                400,
                format!("unknown request: {method}:{path}"),
            )),
        }
    }
}

/// The body is JSON whatever its content type says: many clients call every POST a form.
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
    Ok(Operation::Create(Box::new(Create {
        project: parameters.required("project")?,
        repository: parameters.required("repository")?,
        arch: parameters.required("arch")?,
        package: parameters.required("package")?,
        filename: parameters.optional("filename")?,
        user: parameters.required("user")?,
        target: cloud(&parameters.required::<String>("target")?)?,
        params: Ec2Params::from_json(&request.body, service)?,
    })))
}

fn cloud(target: &str) -> Result<Cloud, Problem> {
    match target {
        "ec2" => Ok(Cloud::Ec2),
        target => Err(Problem::bad(format!(
            "target '{target}' is not supported: valid is ec2"
        ))),
    }
}

fn list(parameters: &Parameters) -> Result<Operation, Problem> {
    parameters.allow(&[], &["name"])?;
    let names = parameters
        .all("name")
        .map(|name| Ok(known_as(digits(name)?)))
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(if names.is_empty() {
        Operation::ListAll
    } else {
        Operation::List(names)
    })
}

fn command(job: &str, parameters: &Parameters) -> Result<Operation, Problem> {
    parameters.allow(&["cmd"], &[])?;
    match parameters.get("cmd").unwrap_or_default() {
        "kill" => Ok(Operation::Kill(job_id(job)?)),
        command => Err(Problem::bad(format!("unknown command '{command}'"))),
    }
}

/// The job in a path. What is legal there but not a number is a job that does not exist.
fn job_id(text: &str) -> Result<JobId, Problem> {
    if text.is_empty() {
        return Err(Problem::bad("jobid is empty"));
    }
    if text.starts_with('.') || text.contains(|c: char| c < ' ') {
        return Err(Problem::bad(format!("jobid '{text}' is illegal")));
    }
    digits(text)
        .ok()
        .and_then(known_as)
        .ok_or_else(Problem::no_such_job)
}

/// The job of that name. OBS's jobs are files with the number for a name: `01` is none of them.
fn known_as(digits: &str) -> Option<JobId> {
    if digits.starts_with('0') {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use cloudupload::target::Partition;

    use super::*;
    use crate::request::tests::request;

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
        Operation::of(
            &request(method, target, content_type, body.as_bytes()),
            &service,
        )
    }

    fn route(method: &str, target: &str) -> Result<Operation, Problem> {
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
            assert_eq!(create.filename.as_ref().map(FileName::as_str), filename);
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
            assert_eq!(refused(from, to), Problem::bad(reason));
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
        assert_eq!(route("GET", "/cloudupload"), Ok(Operation::ListAll));
        assert_eq!(
            route(
                "GET",
                "/cloudupload?name=9&name=1&name=9&name=0&name=01&name=2147483648&name=99999999999999999999"
            ),
            Ok(Operation::List(vec![
                Some(id(9)),
                Some(id(1)),
                Some(id(9)),
                None,
                None,
                None,
                None
            ]))
        );
        assert_eq!(
            route("GET", "/cloudupload?name=1&name=abc"),
            Err(Problem::bad("not a number: 'abc'"))
        );
        assert_eq!(
            route("GET", "/cloudupload?name=1%2C2"),
            Err(Problem::bad("not a number: '1,2'"))
        );
        assert_eq!(
            route("GET", "/cloudupload?foo=1"),
            Err(Problem::bad("unknown parameter 'foo'"))
        );
    }

    #[test]
    fn a_status_is_asked_for_by_get_and_by_post() {
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(
                route(method, "/cloudupload/17"),
                Ok(Operation::Status(id(17)))
            );
            assert_eq!(
                route(method, "/cloudupload/17/"),
                Ok(Operation::Status(id(17)))
            );
        }
        for job in ["abc", "0", "017", "-1", "+1", "2147483648"] {
            assert_eq!(
                route("GET", &format!("/cloudupload/{job}")),
                Err(Problem::no_such_job()),
                "{job}"
            );
        }
        assert_eq!(
            route("GET", "/cloudupload/.1"),
            Err(Problem::bad("jobid '.1' is illegal"))
        );
        assert_eq!(
            route("GET", "/cloudupload/1?x=1"),
            Err(Problem::bad("unknown parameter 'x'"))
        );
    }

    #[test]
    fn a_kill_comes_in_the_query_or_in_a_form() {
        assert_eq!(
            route("POST", "/cloudupload/17?cmd=kill"),
            Ok(Operation::Kill(id(17)))
        );
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            sent("POST", "/cloudupload/17", form, "cmd=kill"),
            Ok(Operation::Kill(id(17)))
        );
        assert_eq!(
            route("POST", "/cloudupload/abc?cmd=kill"),
            Err(Problem::no_such_job())
        );
        assert_eq!(
            route("POST", "/cloudupload/17?cmd=stop"),
            Err(Problem::bad("unknown command 'stop'"))
        );
        assert_eq!(
            route("GET", "/cloudupload/17?cmd=kill"),
            Err(Problem::bad("unknown parameter 'cmd'"))
        );
        assert_eq!(
            route("POST", "/cloudupload/17?cmd=kill&cmd=kill"),
            Err(Problem::bad("parameter 'cmd' set multiple times"))
        );
    }

    #[test]
    fn a_log_is_asked_for_with_its_parameters() {
        let Ok(Operation::Log(job, query)) =
            route("GET", "/cloudupload/17/_log?nostream=1&start=0")
        else {
            panic!("this is a request for a log");
        };
        assert_eq!((job, query.at_once), (id(17), true));
        assert_eq!(
            route("GET", "/cloudupload/abc/_log"),
            Err(Problem::no_such_job())
        );
        assert_eq!(
            route("GET", "/cloudupload//_log"),
            Err(Problem::bad("jobid is empty"))
        );
    }

    #[test]
    fn anything_else_is_unknown() {
        for (method, path) in [
            ("DELETE", "/cloudupload/1"),
            ("PUT", "/cloudupload/1"),
            ("PATCH", "/cloudupload"),
            ("GET", "/"),
            ("GET", ""),
            ("GET", "/cloudupload/1/_log/x"),
            ("GET", "/cloudupload/1/log"),
            ("GET", "/x/cloudupload"),
        ] {
            let reason = format!("unknown request: {method}:{path}");
            assert_eq!(route(method, path), Err(Problem::of_status(400, reason)));
        }
        let odd = route("GET", "/a%20<b>?\"<&>").unwrap_err();
        assert_eq!(odd.summary, "unknown request: GET:/a <b>");
    }
}
