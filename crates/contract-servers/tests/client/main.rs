//! The client before servers of every make: one table of scenarios, on every transport, plain and over
//! TLS. Each test is one cell; what its server cannot do, the table says, and so does the output.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests say what they expect by panicking, and what they have done"
)]

mod cell;
mod make;
mod ours;
mod relay;
mod scenarios;
mod under_test;

use std::sync::Arc;

use cell::{Cell, Transport};
use make::Make;
use scenarios::SCENARIOS;
use tokio::task::JoinSet;

/// Runs all scenarios in one cell: first those that share its server, all at once, and then those that
/// kill it.
fn run(make: Make, transport: Transport, encrypted: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (failures, cell) = runtime.block_on(async {
        let cell = Arc::new(Cell::new(make, transport, encrypted).await);
        let mut failures = Vec::new();
        for alone in [false, true] {
            let mut running = JoinSet::new();
            for scenario in SCENARIOS.iter().filter(|one| one.alone == alone) {
                if let Some((_, why)) = scenario.cannot.iter().find(|(other, _)| *other == make) {
                    println!("cannot  {}: {why}", scenario.name);
                    continue;
                }
                let run = (scenario.run)(Arc::clone(&cell));
                running.spawn(async { (scenario.name, tokio::spawn(run).await) });
            }
            while let Some(ended) = running.join_next().await {
                let (name, outcome) = ended.unwrap();
                let how = if outcome.is_ok() { "passed" } else { "FAILED" };
                println!("{how}  {name}");
                failures.extend(outcome.is_err().then_some(name));
            }
        }
        (failures, cell)
    });
    // Ours brings a runtime, which cannot be dropped inside of one.
    drop(cell);
    assert!(failures.is_empty(), "{make}: {failures:?}");
}

macro_rules! cells {
    ($($module:ident: $make:ident,)+) => {
        $(mod $module {
            cells!(@transport $make polling: Polling);
            cells!(@transport $make websocket: WebSocket);
            cells!(@transport $make upgrade: Upgrade);
        })+
    };
    (@transport $make:ident $module:ident: $transport:ident) => {
        mod $module {
            use crate::{cell::Transport, make::Make, run};

            #[test]
            fn plain() {
                run(Make::$make, Transport::$transport, false);
            }

            #[test]
            fn over_tls() {
                run(Make::$make, Transport::$transport, true);
            }
        }
    };
}

cells! {
    node_4: Node4,
    node_2: Node2,
    python: Python,
    ferriwire: Ours,
}
