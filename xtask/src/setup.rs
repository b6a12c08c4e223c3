//! Installs what the tests and the demo need.
//!
//! Nothing is remembered in a stamp: each step looks at the very thing it would install, so that a
//! second run does nothing and a half-finished first run is completed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, run, succeeds};

/// The packages of the JavaScript and Python clients are declared here.
const INTEROP: &str = "tests/interop";
/// The Python packages live in a virtual environment, in an ignored folder.
const PYTHON: &str = ".setup/python";
/// Where the server finds the browser bundle that it serves.
const BUNDLE: &str = "target/client-bundle";
/// What the reference server offers under its path, each with its source map.
const BUNDLE_FILES: [&str; 4] = [
    "socket.io.js",
    "socket.io.min.js",
    "socket.io.esm.min.js",
    "socket.io.msgpack.min.js",
];

/// A command that must work, and the Debian package that brings it.
struct Tool {
    package: &'static str,
    probe: &'static [&'static str],
}

const NODE: [Tool; 2] = [
    Tool {
        package: "nodejs",
        probe: &["node", "--version"],
    },
    Tool {
        package: "npm",
        probe: &["npm", "--version"],
    },
];
const CLIENTS: [Tool; 3] = [
    Tool {
        package: "curl",
        probe: &["curl", "--version"],
    },
    Tool {
        package: "chromium",
        probe: &["chromium", "--version"],
    },
    Tool {
        package: "python3-venv",
        probe: &["python3", "-c", "import venv, ensurepip"],
    },
];

const VALGRIND: [Tool; 1] = [Tool {
    package: "valgrind",
    probe: &["valgrind", "--version"],
}];

/// Compares the versions that are installed with those that the file given asks for.
const COMPARE_PYTHON_PACKAGES: &str = "
import sys
from importlib.metadata import version
for line in open(sys.argv[1]):
    if '==' in line:
        name, wanted = line.strip().split('==')
        assert version(name) == wanted, name
";

/// All that `.ci/run` needs.
pub(crate) fn everything(root: &Path) -> Result {
    nextest(root)?;
    debian_packages(root, NODE.iter().chain(&CLIENTS).chain(&VALGRIND))?;
    npm_packages(root)?;
    client_bundle(root)?;
    python_packages(root)
}

/// What counts instructions.
pub(crate) fn valgrind(root: &Path) -> Result {
    debian_packages(root, VALGRIND.iter())
}

/// The part that the demo needs: the browser bundle.
pub(crate) fn browser_bundle(root: &Path) -> Result {
    debian_packages(root, NODE.iter())?;
    npm_packages(root)?;
    client_bundle(root)
}

fn nextest(root: &Path) -> Result {
    if succeeds(root, "cargo", &["nextest", "--version"]) {
        return Ok(());
    }
    println!("setup: cargo-nextest is missing, building it");
    run(root, "cargo", &["install", "--locked", "cargo-nextest"])
}

fn debian_packages<'a>(root: &Path, tools: impl Iterator<Item = &'a Tool>) -> Result {
    let missing: Vec<&str> = tools
        .filter(|tool| match tool.probe {
            [program, arguments @ ..] => !succeeds(root, program, arguments),
            [] => false,
        })
        .map(|tool| tool.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    println!("setup: installing Debian packages: {names}");
    let advice = |reason: &str| {
        format!("setup: {reason}; please install `{names}` by hand and run this again")
    };
    if !succeeds(root, "apt-get", &["--version"]) {
        return Err(advice("this system has no apt-get"));
    }
    let prefix: &[&str] = if succeeds(root, "sh", &["-c", "test $(id -u) = 0"]) {
        &[]
    } else if succeeds(root, "sudo", &["--version"]) {
        &["sudo"]
    } else {
        return Err(advice(
            "installing packages takes root or sudo, and neither is here",
        ));
    };
    let apt_get = |arguments: &[&str]| {
        let line = [
            prefix,
            &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
            arguments,
        ];
        match line.concat().as_slice() {
            [program, arguments @ ..] => run(root, program, arguments),
            [] => Ok(()),
        }
    };
    apt_get(&["update"])?;
    apt_get(
        &[
            &["install", "-y", "--no-install-recommends"],
            missing.as_slice(),
        ]
        .concat(),
    )
    .map_err(|error| advice(&error))
}

fn npm_packages(root: &Path) -> Result {
    let folder = root.join(INTEROP);
    if folder.join("node_modules").is_dir() && succeeds(&folder, "npm", &["ls"]) {
        return Ok(());
    }
    println!("setup: installing the npm packages of {INTEROP}");
    run(&folder, "npm", &["ci"])
}

fn client_bundle(root: &Path) -> Result {
    let source = root
        .join(INTEROP)
        .join("node_modules/socket.io-client/dist");
    let target = root.join(BUNDLE);
    let names = BUNDLE_FILES
        .iter()
        .flat_map(|file| [(*file).to_owned(), format!("{file}.map")]);
    let stale: Vec<String> = names
        .filter(|name| !same_content(&source.join(name), &target.join(name)))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    println!("setup: copying the browser bundle to {BUNDLE}");
    fs::create_dir_all(&target).map_err(|error| format!("cannot create {BUNDLE}: {error}"))?;
    for name in stale {
        fs::copy(source.join(&name), target.join(&name))
            .map_err(|error| format!("cannot copy {name} to {BUNDLE}: {error}"))?;
    }
    Ok(())
}

fn same_content(one: &PathBuf, other: &PathBuf) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

fn python_packages(root: &Path) -> Result {
    let python = root.join(PYTHON).join("bin/python").display().to_string();
    let requirements = format!("{INTEROP}/requirements.txt");
    if succeeds(
        root,
        &python,
        &["-c", COMPARE_PYTHON_PACKAGES, &requirements],
    ) {
        return Ok(());
    }
    println!("setup: installing the Python packages of {requirements} into {PYTHON}");
    if !succeeds(root, &python, &["-m", "pip", "--version"]) {
        run(root, "python3", &["-m", "venv", PYTHON])?;
    }
    run(
        root,
        &python,
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--requirement",
            &requirements,
        ],
    )
}
