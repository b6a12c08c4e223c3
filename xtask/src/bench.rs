//! Measures: what the pieces of the hot path cost, and what whole servers cost beside others.
//!
//! Pieces are counted in instructions, which do not depend on what else the machine does, and compared
//! with a committed baseline. Servers are measured in time, by a load generator that lives outside of
//! this repository; the figures are kept in `docs/performance/`, and the tables of
//! `docs/performance.md` and its plots are made of them.

mod figures;
mod machine;
mod pieces;
mod plots;
mod rivals;
mod scenarios;
mod servers;
mod svg;
mod table;

use std::path::Path;

use crate::Result;

pub(crate) use self::pieces::{BASELINE, stale_costs};

const USAGE: &str =
    "usage: cargo xtask bench                      everything; writes docs/performance
       cargo xtask bench pieces               the pieces alone, against bench/baseline.txt
           --count           instructions only: what CI runs
           --accept          writes bench/baseline.txt anew, and what ARCHITECTURE.md and
                             docs/performance.md say of pieces
       cargo xtask bench servers [OPTION]..   the servers alone
           --scenario S      only this one; its figures take the place of the earlier ones
           --repetitions N   of each scenario, instead of the usual 1 to 3
           --quick           one second once, to try; writes to target/load/performance
       cargo xtask bench draw                 tables and plots anew, from figures that are there";

pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result {
    match arguments {
        [] => {
            pieces::compare(root)?;
            pieces::time(root)?;
            servers::measure(root, &servers::Options::default())
        }
        ["pieces"] => {
            pieces::compare(root)?;
            pieces::time(root)
        }
        ["pieces", "--count"] => pieces::compare(root),
        ["pieces", "--accept"] => pieces::accept(root),
        ["servers", rest @ ..] => {
            let options = servers::Options::parse(rest).ok_or(USAGE)?;
            servers::measure(root, &options)
        }
        ["draw"] => servers::draw(root),
        _ => Err(USAGE.to_owned()),
    }
}
