//! A few cases of the fault matrix, with every function and every fault. `make faults` runs all.

use std::sync::Arc;

use tests::{
    function,
    matrix::{CallFault, Case, FunctionCall, Harness, Injection, ObsFault, Request, Scenario, run},
};

#[rustfmt::skip]
const CALLS: [(Scenario, &str, &str, CallFault); 14] = [
    (Scenario::Upload, function::RECEIVE, "s3:UploadPart", CallFault::FunctionKilled),
    (Scenario::Upload, function::SLOT, "states:SendTaskSuccess", CallFault::Throttle),
    (Scenario::Upload, function::PREPARE, "sts:AssumeRole", CallFault::Denied),
    (Scenario::NewBucket, function::PREPARE, "s3:CreateBucket", CallFault::ServerError),
    (Scenario::Upload, function::TRANSFER, "s3:GetObject", CallFault::JobKilled),
    (Scenario::Upload, function::SEAL, "ec2:ImportSnapshot", CallFault::FunctionKilled),
    (Scenario::Upload, function::POLL, "ec2:DescribeImportSnapshotTasks", CallFault::Throttle),
    (Scenario::Upload, function::REGISTER, "ec2:RegisterImage", CallFault::Timeout),
    (Scenario::Upload, function::FINISH, "dynamodb:UpdateItem", CallFault::FunctionKilled),
    (Scenario::KilledImporting, function::FINISH, "ec2:CancelImportTask", CallFault::Denied),
    (Scenario::KilledRegistering, function::FINISH, "ec2:DeleteSnapshot", CallFault::ServerError),
    (Scenario::Request(Request::Create), function::API, "states:StartExecution", CallFault::Denied),
    (Scenario::Request(Request::Kill), function::API, "states:SendTaskFailure", CallFault::FunctionKilled),
    (Scenario::Sweep, function::SWEEP, "states:StartExecution", CallFault::Denied),
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
        scenario: Scenario::Upload,
        injection: Injection::Obs(ObsFault::Close),
    });
    let harness = Arc::new(Harness::new().await);
    let mut unmet = Vec::new();
    run(harness, cases, 4, |case, outcome| {
        println!("{case}: {outcome}");
        unmet.extend(outcome.unmet.iter().map(|one| format!("{case}: {one}")));
    })
    .await;
    assert_eq!(unmet, Vec::<String>::new());
}
