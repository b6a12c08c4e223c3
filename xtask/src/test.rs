//! Runs every test.

use std::path::Path;

use crate::{Result, setup};

/// The doc tests come first, so that the last thing printed is the summary of cargo-nextest.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result {
    setup::everything(root)?;
    if arguments.is_empty() {
        crate::run(root, "cargo", &["test", "--doc", "--workspace"])?;
    }
    let profile = if std::env::var_os("CI").is_some() {
        "ci"
    } else {
        "default"
    };
    let nextest = ["nextest", "run", "--workspace", "--profile", profile];
    crate::run(root, "cargo", &[&nextest, arguments].concat())
}
