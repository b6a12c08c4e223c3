//! Brings up the chat of `examples/chat`.

use std::path::Path;

use crate::{Result, setup};

pub(crate) fn run(root: &Path) -> Result {
    setup::browser_bundle(root)?;
    crate::run(
        root,
        "cargo",
        &["run", "--package", "examples", "--bin", "chat"],
    )
}
