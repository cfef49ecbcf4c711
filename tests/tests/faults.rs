//! A few cells of the fault matrix, of every function and every column. `make faults` runs all.

use std::sync::Arc;

use tests::matrix::{Bench, Break, Cell, Column, ObsFault, Request, Way, run};

#[tokio::test]
async fn a_few_of_the_matrix() {
    let calls = [
        (
            Way::Upload,
            "receive",
            "s3:UploadPart",
            Column::FunctionKilled,
        ),
        (
            Way::Upload,
            "slot",
            "states:SendTaskSuccess",
            Column::Throttle,
        ),
        (Way::Upload, "prepare", "sts:AssumeRole", Column::Denied),
        (
            Way::NewBucket,
            "prepare",
            "s3:CreateBucket",
            Column::ServerError,
        ),
        (Way::Upload, "transfer", "s3:GetObject", Column::JobKilled),
        (
            Way::Upload,
            "seal",
            "ec2:ImportSnapshot",
            Column::FunctionKilled,
        ),
        (
            Way::Upload,
            "check",
            "ec2:DescribeImportSnapshotTasks",
            Column::Throttle,
        ),
        (
            Way::Upload,
            "register",
            "ec2:RegisterImage",
            Column::Timeout,
        ),
        (
            Way::Upload,
            "finish",
            "dynamodb:UpdateItem",
            Column::FunctionKilled,
        ),
        (
            Way::KilledImporting,
            "finish",
            "ec2:CancelImportTask",
            Column::Denied,
        ),
        (
            Way::KilledRegistering,
            "finish",
            "ec2:DeleteSnapshot",
            Column::ServerError,
        ),
        (
            Way::Asked(Request::Create),
            "api",
            "states:StartExecution",
            Column::Denied,
        ),
        (
            Way::Asked(Request::Kill),
            "api",
            "states:SendTaskFailure",
            Column::FunctionKilled,
        ),
        (Way::Swept, "sweep", "states:StartExecution", Column::Denied),
    ];
    let mut cells = Vec::from(calls.map(|(way, function, call, column)| Cell {
        way,
        breaks: Break::Call {
            function: function.to_owned(),
            call: call.to_owned(),
            column,
        },
    }));
    cells.push(Cell {
        way: Way::Upload,
        breaks: Break::Obs(ObsFault::Close),
    });
    let bench = Arc::new(Bench::new().await);
    let mut missed = Vec::new();
    run(bench, cells, 4, |cell, outcome| {
        println!("{cell}: {outcome}");
        missed.extend(outcome.misses.iter().map(|miss| format!("{cell}: {miss}")));
    })
    .await;
    assert_eq!(missed, Vec::<String>::new());
}
