//! `fault-matrix [--write] [--at-a-time N] [--only WORDS]`: runs the fault matrix (`tests::matrix`).
//!
//! `--write` writes docs/faults.md. `--only` runs the cases whose printed names contain these words.

use std::{env, fs, process::ExitCode, sync::Arc, time::Instant};

use tests::matrix::{Harness, Report, all_cases, lines, record, run};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/faults.md");

struct Options {
    write: bool,
    at_a_time: usize,
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = options(env::args().skip(1)) else {
        eprintln!("usage: fault-matrix [--write] [--at-a-time N] [--only WORDS]");
        return ExitCode::FAILURE;
    };
    let report = run_matrix(&options).await;
    print!("\n{}", lines(&report.summary()));
    if options.write
        && let Err(error) = fs::write(PAGE, report.page())
    {
        eprintln!("fault-matrix: {PAGE}: {error}");
        return ExitCode::FAILURE;
    }
    let unmet = report.unmet();
    if unmet.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nThese do not meet their expectations:\n{}",
        unmet.join("\n")
    );
    ExitCode::FAILURE
}

/// None if the arguments are not as they should be.
fn options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        write: false,
        at_a_time: 6,
        only: String::new(),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--write" => options.write = true,
            "--only" => options.only = args.next()?,
            "--at-a-time" => options.at_a_time = args.next()?.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

async fn run_matrix(options: &Options) -> Report {
    let began = Instant::now();
    let harness = Arc::new(Harness::new().await);
    let recording = record(&harness).await;
    for (case, outcome) in &recording.runs {
        println!("{case}: {outcome}");
    }
    let mut cases = all_cases(&recording);
    cases.retain(|case| case.to_string().contains(&options.only));
    let (all, mut number) = (cases.len(), 0);
    let cases = run(
        harness.clone(),
        cases,
        options.at_a_time,
        |case, outcome| {
            number += 1;
            println!("{number:>4}/{all}  {case}: {outcome}");
            for unmet in outcome.all_unmet() {
                println!("           UNMET: {unmet}");
            }
        },
    )
    .await;
    Report::new(recording, cases, &harness, began.elapsed()).await
}
