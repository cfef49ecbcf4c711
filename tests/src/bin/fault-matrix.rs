//! `fault-matrix [--write] [--at-a-time N] [--only WORDS]`: what it does is said at `tests::matrix`.
//!
//! `--write` writes docs/faults.md. `--only` runs the cells that have these words in their names, as they are printed.

use std::{env, fs, process::ExitCode, sync::Arc, time::Instant};

use tests::matrix::{Bench, Report, all_cells, lines, record, run};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/faults.md");

#[tokio::main]
async fn main() -> ExitCode {
    let (mut at_a_time, mut only, mut write) = (6, String::new(), false);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        match word.as_str() {
            "--write" => write = true,
            "--only" => only = value(),
            "--at-a-time" => at_a_time = value().parse().unwrap_or(at_a_time),
            _ => {
                eprintln!("usage: fault-matrix [--write] [--at-a-time N] [--only WORDS]");
                return ExitCode::FAILURE;
            }
        }
    }
    let began = Instant::now();
    let bench = Arc::new(Bench::new().await);
    let recording = record(&bench).await;
    for (cell, outcome) in &recording.runs {
        println!("{cell}: {outcome}");
    }
    let mut cells = all_cells(&recording.rows);
    cells.retain(|cell| cell.to_string().contains(&only));
    let (all, mut number) = (cells.len(), 0);
    let cells = run(bench.clone(), cells, at_a_time, |cell, outcome| {
        number += 1;
        println!("{number:>4}/{all}  {cell}: {outcome}");
        for miss in outcome.missed() {
            println!("           MISSED: {miss}");
        }
    })
    .await;
    let report = Report::new(recording, cells, &bench, began.elapsed()).await;
    print!("\n{}", lines(&report.summary()));
    if write && let Err(error) = fs::write(PAGE, report.page()) {
        eprintln!("fault-matrix: {PAGE}: {error}");
        return ExitCode::FAILURE;
    }
    let missed = report.missed();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nThese miss the bar:\n{}", missed.join("\n"));
    ExitCode::FAILURE
}
