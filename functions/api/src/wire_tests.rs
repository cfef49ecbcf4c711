//! Whole requests, from API Gateway's event to the answer, against an OBS and an AWS that answer as the real ones are
//! documented to. What clients get is compared byte for byte with what a real OBS backend answered.

mod create;
mod failure;
mod gate;
mod kill;
mod list;
mod log;
mod page;
mod push;
mod status;
mod submission;
mod users;
mod world;

use fake_endpoint::dynamodb;
use serde_json::{Value, json};

use self::world::World;

/// A job's item as it lies in DynamoDB.
fn item(id: &str, state: &str, details: &str) -> Value {
    let mut record = dynamodb::record();
    record["id"] = id.into();
    record["state"] = state.into();
    record["details"] = details.into();
    dynamodb::item(&record)
}

fn ok(body: impl ToString) -> (u16, String) {
    (200, body.to_string())
}

fn refused(code: &str, message: &str) -> (u16, String) {
    let body = json!({"__type": format!("com.amazonaws#{code}"), "message": message});
    (400, body.to_string())
}

/// A transaction whose first condition does not hold, with the item as it is.
fn cancelled(item: Option<&Value>) -> (u16, String) {
    let mut refused = json!({"Code": "ConditionalCheckFailed"});
    if let Some(item) = item {
        refused["Item"] = item.clone();
    }
    let body = json!({
        "__type": "com.amazonaws#TransactionCanceledException", "Message": "no",
        "CancellationReasons": [refused, {"Code": "None"}],
    });
    (400, body.to_string())
}

fn job_xml(id: &str, state: &str, details: &str) -> String {
    format!(
        "\
<clouduploadjob name=\"{id}\">
  <state>{state}</state>
  <details>{details}</details>
  <created>1795445844</created>
  <user>tom</user>
  <target>ec2</target>
  <project>Cloud:Images</project>
  <repository>images</repository>
  <package>leap-ec2</package>
  <arch>x86_64</arch>
  <filename>leap-ec2.x86_64-15.6.raw.xz</filename>
  <size>23097940</size>
</clouduploadjob>
"
    )
}

fn list_xml(jobs: &[String]) -> String {
    let jobs = jobs.concat();
    let jobs: String = jobs.lines().map(|line| format!("  {line}\n")).collect();
    format!("<clouduploadjoblist>\n{jobs}</clouduploadjoblist>\n")
}

fn error_xml(code: i64, summary: &str) -> String {
    format!("<status code=\"{code}\">\n  <summary>{summary}</summary>\n</status>\n")
}

fn error_with_details_xml(code: i64, summary: &str) -> String {
    format!(
        "<status code=\"{code}\">\n  <summary>{summary}</summary>\n  <details>{code} {summary}</details>\n</status>\n"
    )
}
