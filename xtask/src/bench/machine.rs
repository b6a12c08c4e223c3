//! On what was measured, and what: what a reader needs to judge figures or to get them again.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::rivals::Load;

/// What is known, with a name for each: the first lines of a table.
pub(crate) fn describe(root: &Path, load: &Load) -> Vec<(String, String)> {
    let servers = load.folder.join("servers");
    let cpu = field(&read(Path::new("/proc/cpuinfo")), "model name");
    let memory = field(&read(Path::new("/proc/meminfo")), "MemTotal");
    let cores = said(root, "nproc", &[]);
    let oxide = read(&servers.join("oxide/Cargo.lock"));
    let package = |path: &str| field(&read(&servers.join(path)), "\"version\"");
    let facts = [
        ("date", said(root, "date", &["-u", "+%F"])),
        (
            "commit",
            said(root, "git", &["describe", "--always", "--dirty"]),
        ),
        ("processor", format!("{cpu}, {cores} cores")),
        ("memory", memory),
        ("kernel", said(root, "uname", &["-sr"])),
        ("compiler", said(root, "rustc", &["--version"])),
        ("socketioxide", locked(&oxide, "socketioxide")),
        ("Node.js", said(root, "node", &["--version"])),
        (
            "socket.io of Node.js",
            package("node/node_modules/socket.io/package.json"),
        ),
        ("Bun", package("bun/node_modules/bun/package.json")),
        (
            "@socket.io/bun-engine",
            package("bun/node_modules/@socket.io/bun-engine/package.json"),
        ),
    ];
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a program says.
fn said(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// What stands behind the colon of the first line of this name.
fn field(text: &str, name: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(name)?.split_once(':'));
    let value = line.map_or("unknown", |(_, value)| value);
    value.trim_matches([' ', '\t', '"', ',']).to_owned()
}

/// The version of a package in a lock file of cargo.
fn locked(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    let version = lines.nth(1).and_then(|line| line.split('"').nth(1));
    version.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_names_are_found() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(locked(lock, "a"), "1.2.3");
        assert_eq!(locked(lock, "b"), "unknown");
        assert_eq!(field("model name\t: Some One\n", "model name"), "Some One");
        assert_eq!(field("{\n  \"version\": \"4.8\",\n}", "\"version\""), "4.8");
        assert_eq!(field("", "MemTotal"), "unknown");
    }
}
