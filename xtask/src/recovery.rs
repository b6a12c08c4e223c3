//! Cuts the connections of many official clients for a while, and checks that they miss nothing.

use std::path::Path;

use crate::{Result, built, run, setup};

const USAGE: &str = "usage: cargo xtask recovery [--clients N] [--seconds S]";
/// What runs inside `cargo xtask test` is smaller.
const CLIENTS: u32 = 200;
const SECONDS: u32 = 120;

pub(crate) fn check(root: &Path, arguments: &[&str]) -> Result {
    let (clients, seconds) = parse(arguments)?;
    setup::browser_bundle(root)?;
    let build = ["build", "--package", "interop", "--bin", "recovery-server"];
    run(root, "cargo", &build)?;
    let server = built(root, "debug/recovery-server");
    let server = format!("RECOVERY_SERVER={}", server.display());
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let script = "tests/interop/js/recovery.mjs";
    run(root, "env", &[&server, "node", script, &clients, &seconds])
}

fn parse(arguments: &[&str]) -> Result<(u32, u32)> {
    let (mut clients, mut seconds) = (CLIENTS, SECONDS);
    for pair in arguments.chunks(2) {
        let (figure, number) = match pair {
            ["--clients", number] => (&mut clients, number),
            ["--seconds", number] => (&mut seconds, number),
            _ => return Err(USAGE.to_owned()),
        };
        *figure = number.parse().map_err(|_| USAGE.to_owned())?;
    }
    Ok((clients, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_defaults_and_any_order() {
        for (arguments, expected) in [
            (&[][..], Some((200, 120))),
            (&["--clients", "50"], Some((50, 120))),
            (&["--seconds", "20", "--clients", "7"], Some((7, 20))),
            (&["--clients"], None),
            (&["--clients", "many"], None),
            (&["--rooms", "1"], None),
        ] {
            assert_eq!(parse(arguments).ok(), expected, "{arguments:?}");
        }
    }
}
