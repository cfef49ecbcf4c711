//! A few cases of the fault matrix, with every function and every fault. `make faults` runs all.

use std::sync::Arc;

use tests::{
    Route, function,
    matrix::{
        CallFault, Case, Client, ClientFault, FunctionCall, Harness, Injection, ObsFault, Request,
        Scenario, run,
    },
};

const UPLOAD: Scenario = Scenario::Upload(Route::Direct);

#[rustfmt::skip]
const CALLS: [(Scenario, &str, &str, CallFault); 33] = [
    (UPLOAD, function::RECEIVE, "s3:UploadPart", CallFault::FunctionKilled),
    (UPLOAD, function::SLOT, "states:SendTaskSuccess", CallFault::Throttle),
    (UPLOAD, function::PREPARE, "sts:AssumeRole", CallFault::Denied),
    (Scenario::NewBucket, function::PREPARE, "s3:CreateBucket", CallFault::ServerError),
    (UPLOAD, function::TRANSFER, "s3:GetObject", CallFault::JobKilled),
    (Scenario::Upload(Route::Import), function::SEAL, "ec2:ImportSnapshot", CallFault::FunctionKilled),
    (Scenario::Upload(Route::Import), function::POLL, "ec2:DescribeImportSnapshotTasks", CallFault::Throttle),
    (UPLOAD, function::REGISTER, "ec2:RegisterImage", CallFault::Timeout),
    (UPLOAD, function::FINISH, "dynamodb:UpdateItem", CallFault::FunctionKilled),
    (Scenario::KilledSealed(Route::Import), function::FINISH, "ec2:CancelImportTask", CallFault::Denied),
    (Scenario::KilledRegistering(Route::Direct), function::FINISH, "ec2:DeleteSnapshot", CallFault::ServerError),
    (UPLOAD, function::PREPARE, "ebs:StartSnapshot", CallFault::Timeout),
    (UPLOAD, function::TRANSFER, "ebs:PutSnapshotBlock", CallFault::Throttle),
    (UPLOAD, function::SEAL, "ebs:CompleteSnapshot", CallFault::FunctionKilled),
    (Scenario::Upload(Route::Copy), function::POLL, "ec2:CopySnapshot", CallFault::Timeout),
    (Scenario::Upload(Route::Copy), function::POLL, "ec2:ModifySnapshotAttribute", CallFault::ServerError),
    (Scenario::KilledSealed(Route::Copy), function::FINISH, "ec2:DeleteSnapshot", CallFault::FunctionKilled),
    (Scenario::Pushed, function::PUSH, "dynamodb:UpdateItem", CallFault::FunctionKilled),
    (Scenario::Pushed, function::RECEIVE, "s3:CompleteMultipartUpload", CallFault::ServerError),
    (Scenario::Pushed, function::RECEIVE, "s3:ListParts", CallFault::Denied),
    (Scenario::Request(Request::CreatePush), function::API, "s3:CreateMultipartUpload", CallFault::FunctionKilled),
    (Scenario::Request(Request::CreatePush), function::API, "s3:CreateMultipartUpload", CallFault::Timeout),
    (Scenario::Request(Request::PushDone), function::API, "s3:ListParts", CallFault::Timeout),
    (Scenario::Request(Request::PushDone), function::API, "states:SendTaskSuccess", CallFault::Denied),
    (Scenario::Request(Request::Create), function::API, "states:StartExecution", CallFault::Denied),
    (Scenario::Request(Request::Kill), function::API, "states:SendTaskFailure", CallFault::FunctionKilled),
    (Scenario::Sweep, function::SWEEP, "states:StartExecution", CallFault::Denied),
    (UPLOAD, function::RECEIVE, "events:PutEvents", CallFault::Denied),
    (UPLOAD, function::PREPARE, "events:PutEvents", CallFault::FunctionKilled),
    (UPLOAD, function::FINISH, "dynamodb:DeleteItem", CallFault::Denied),
    (Scenario::Request(Request::Create), function::API, "events:PutEvents", CallFault::Timeout),
    (Scenario::Request(Request::Kill), function::API, "events:PutEvents", CallFault::Denied),
    (Scenario::Sweep, function::SWEEP, "events:PutEvents", CallFault::Denied),
];

/// Calls of the relay.
const CALLS_OF_CLIENT: [(&str, ClientFault); 4] = [
    ("PUT of a part", ClientFault::AnswerLost),
    ("PUT of a part", ClientFault::KilledAfter),
    ("PUT of a part", ClientFault::Second),
    ("POST /v1/jobs/N/push/parts", ClientFault::Unavailable),
];

#[tokio::test]
async fn a_few_of_the_matrix() {
    let mut cases = Vec::from(CALLS.map(|(scenario, function, call, fault)| Case {
        scenario,
        injection: Injection::Call {
            target: FunctionCall {
                function: function.to_owned(),
                call: call.to_owned(),
            },
            fault,
        },
    }));
    cases.push(Case {
        scenario: UPLOAD,
        injection: Injection::Obs(ObsFault::Close),
    });
    cases.extend(CALLS_OF_CLIENT.map(|(call, fault)| Case {
        scenario: Scenario::PushedBy(Client::Relay),
        injection: Injection::Client {
            call: call.to_owned(),
            fault,
        },
    }));
    let harness = Arc::new(Harness::new().await);
    let mut unmet = Vec::new();
    run(harness, cases, 4, |case, outcome| {
        println!("{case}: {outcome}");
        unmet.extend(outcome.unmet.iter().map(|one| format!("{case}: {one}")));
    })
    .await;
    assert_eq!(unmet, Vec::<String>::new());
}
