//! All cells, some at a time.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    bench::Bench,
    cell::{Break, Call, Cell, Column, ObsFault, Outcome},
    way::Way,
};

/// How often a cell is run whose fault does not hit: another job's function may have made the call in its stead.
const TRIES: u32 = 3;

/// The cells of these rows, and those of OBS.
pub fn all_cells(rows: &[(Way, Call)]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (way, (function, call)) in rows {
        for column in Column::ALL {
            if column == Column::JobKilled && way.is_exclusive() {
                continue; // There is no job, or nothing of it that runs.
            }
            cells.push(Cell {
                way: *way,
                breaks: Break::Call {
                    function: function.clone(),
                    call: call.clone(),
                    column,
                },
            });
        }
    }
    cells.extend(ObsFault::ALL.map(|fault| Cell {
        way: Way::Upload,
        breaks: Break::Obs(fault),
    }));
    cells
}

/// Runs the cells, so many at a time, those that have to be alone after the others. Tells each as it ends, and gives all in
/// the order asked for.
pub async fn run(
    bench: Arc<Bench>,
    cells: Vec<Cell>,
    at_a_time: usize,
    mut tell: impl FnMut(&Cell, &Outcome),
) -> Vec<(Cell, Outcome)> {
    let (alone, together): (Vec<_>, Vec<_>) = cells
        .into_iter()
        .enumerate()
        .partition(|(_, cell)| cell.way.is_exclusive());
    let room = Arc::new(Semaphore::new(at_a_time));
    let mut running = JoinSet::new();
    for (number, cell) in together {
        let (bench, room) = (bench.clone(), room.clone());
        running.spawn(async move {
            let _place = room.acquire().await.expect("it is not closed");
            let outcome = tried(bench, &cell).await;
            (number, cell, outcome)
        });
    }
    let mut ended = Vec::new();
    while let Some(one) = running.join_next().await {
        let one = one.expect("a cell's own task is within");
        tell(&one.1, &one.2);
        ended.push(one);
    }
    for (number, cell) in alone {
        let outcome = tried(bench.clone(), &cell).await;
        tell(&cell, &outcome);
        ended.push((number, cell, outcome));
    }
    ended.sort_by_key(|(number, ..)| *number);
    ended
        .into_iter()
        .map(|(_, cell, outcome)| (cell, outcome))
        .collect()
}

async fn tried(bench: Arc<Bench>, cell: &Cell) -> Outcome {
    let mut tries = 1;
    loop {
        let (bench, of) = (bench.clone(), cell.clone());
        // A task of its own, so that a panic is the end of this cell only.
        let outcome = tokio::spawn(async move { bench.run(&of).await }).await;
        match outcome {
            Ok(outcome) if outcome.hits == 0 && tries < TRIES && cell.has_to_hit() => tries += 1,
            Ok(outcome) => return outcome,
            Err(panic) => {
                return Outcome {
                    end: "lost".to_owned(),
                    misses: vec![format!("the matrix lost it: {panic}")],
                    ..Outcome::default()
                };
            }
        }
    }
}

impl Bench {
    pub async fn run(&self, cell: &Cell) -> Outcome {
        match cell.way {
            Way::Asked(request) => self.run_request(cell, request).await,
            Way::Swept => self.run_sweep(cell).await,
            _ => self.run_job(cell).await,
        }
    }
}
