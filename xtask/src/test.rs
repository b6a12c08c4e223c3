//! Runs every test.

use std::path::Path;

use crate::{Result, setup};

/// The doc tests come first, so that the last thing printed is the summary of cargo-nextest.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result {
    setup::everything(root)?;
    if arguments.is_empty() {
        crate::run(root, "cargo", &["test", "--doc", "--workspace"])?;
    }
    crate::run(
        root,
        "cargo",
        &[&["nextest", "run", "--workspace"], arguments].concat(),
    )
}
