//! The load generator and the servers of others: where they come from, and how they are built.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Result, run};

/// Where the sources are looked for, unless the environment names another folder.
const SOURCES: &str = "../shared/bench";
const VARIABLE: &str = "FERRIWIRE_LOAD";
/// Where they are built.
const FOLDER: &str = "target/load";

/// What cargo and npm make is not copied.
const MADE: [&str; 4] = ["target", "node_modules", ".venv", "results"];

/// The load generator, and what starts each server.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) folder: PathBuf,
    pub(crate) generator: PathBuf,
    /// Why a server is not there, by its key.
    missing: BTreeMap<&'static str, String>,
}

/// What makes one server.
struct Step {
    server: &'static str,
    folder: &'static str,
    command: &'static [&'static str],
}

const STEPS: [Step; 5] = [
    Step {
        server: "floor",
        folder: "servers/floor",
        command: &["cargo", "build", "--release", "--bin", "floor"],
    },
    Step {
        server: "socketioxide",
        folder: "servers/oxide",
        command: &["cargo", "build", "--release", "--target-dir", "target/sys"],
    },
    Step {
        server: "socketioxide",
        folder: "servers/oxide",
        command: &[
            "cargo",
            "build",
            "--release",
            "--features",
            "mimalloc",
            "--target-dir",
            "target/mi",
        ],
    },
    Step {
        server: "bun",
        folder: "servers/bun",
        command: &["npm", "ci"],
    },
    Step {
        server: "node",
        folder: "servers/node",
        command: &["npm", "ci"],
    },
];

impl Load {
    /// Builds everything that is not built yet. A server of others that cannot be built is missing in
    /// the tables; without the load generator there is nothing to be measured.
    pub(crate) fn set_up(root: &Path) -> Result<Self> {
        let sources = env::var_os(VARIABLE).map_or_else(|| root.join(SOURCES), PathBuf::from);
        let folder = root.join(FOLDER);
        if !sources.join("Cargo.toml").is_file() {
            return Err(format!(
                "bench: no load generator in {}. It is no part of this repository: put the folder \
                 `bench` of the shared folder (siobench, with `servers/`) there, or name the folder in \
                 which it is by {VARIABLE}. `cargo xtask bench pieces` does without.",
                sources.display()
            ));
        }
        println!("bench: the load generator and the servers of others are built in {FOLDER}");
        copy(&sources, &folder).map_err(|error| format!("cannot copy to {FOLDER}: {error}"))?;
        build(&folder, &["cargo", "build", "--release"])?;
        let mut missing = BTreeMap::new();
        for step in &STEPS {
            let place = folder.join(step.folder);
            if step.command.starts_with(&["npm"]) && place.join("node_modules").is_dir() {
                continue;
            }
            if let Err(reason) = build(&place, step.command) {
                println!("bench: {} will be missing: {reason}", step.server);
                missing.insert(step.server, reason);
            }
        }
        let generator = folder.join("target/release/siobench");
        Ok(Self {
            folder,
            generator,
            missing,
        })
    }

    /// The command of a server of others, or why there is none.
    pub(crate) fn command(&self, server: &str, load: &str) -> Result<String> {
        let key = if server == "cork" { "floor" } else { server };
        if let Some(reason) = self.missing.get(key) {
            return Err(reason.clone());
        }
        let servers = self.folder.join("servers");
        let at = |path: &str| servers.join(path).display().to_string();
        Ok(match server {
            "floor" => at("floor/target/release/floor"),
            "cork" => format!("{} --cork", at("floor/target/release/floor")),
            "socketioxide" => at(socketioxide(load)),
            "bun" => format!(
                "{} {}",
                at("bun/node_modules/.bin/bun"),
                at("bun/server.mjs")
            ),
            _ => format!("node {}", at("node/server.mjs")),
        })
    }
}

/// Each allocator where it does better: the system's one keeps less of what was freed.
fn socketioxide(load: &str) -> &'static str {
    if load.starts_with("idle") || load.starts_with("poll") {
        "oxide/target/sys/release/bench-oxide"
    } else {
        "oxide/target/mi/release/bench-oxide"
    }
}

/// The others have target folders of their own, wherever ours is.
fn build(folder: &Path, command: &[&str]) -> Result {
    let unset = ["-u", "CARGO_TARGET_DIR"];
    run(folder, "env", &[&unset, command].concat())
}

/// Copies what is new or has changed, and makes it writable: the sources may be read-only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if !MADE.iter().any(|made| name == **made) {
                copy(&entry.path(), &target)?;
            }
            continue;
        }
        let text = fs::read(entry.path())?;
        if fs::read(&target).is_ok_and(|known| known == text) {
            continue;
        }
        fs::write(&target, text)?;
    }
    Ok(())
}
