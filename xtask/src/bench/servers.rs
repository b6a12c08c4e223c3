//! Whole servers under load, beside those of others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::figures::{Figures, Run};
use super::rivals::Load;
use super::scenarios::{SCENARIOS, Scenario};
use super::{machine, plots, table};
use crate::Result;

/// Where the figures and plots of a whole run go, for everybody to see.
const KEPT: &str = "docs/performance";
/// Where those of a quick run go.
const TRIED: &str = "target/load/performance";
/// The page whose tables are made of the figures.
const PAGE: &str = "docs/performance.md";

const FIGURES: &str = "servers.csv";
const MACHINE: &str = "machine.txt";

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    scenario: Option<String>,
    repetitions: Option<u32>,
    quick: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        let mut rest = arguments;
        loop {
            rest = match rest {
                [] => return Some(options),
                ["--quick", rest @ ..] => {
                    options.quick = true;
                    rest
                }
                ["--scenario", name, rest @ ..] => {
                    options.scenario = Some((*name).to_owned());
                    rest
                }
                ["--repetitions", number, rest @ ..] => {
                    options.repetitions = Some(number.parse().ok()?);
                    rest
                }
                _ => return None,
            };
        }
    }

    fn repetitions(&self, scenario: &Scenario) -> u32 {
        let usual = if self.quick { 1 } else { scenario.repetitions };
        self.repetitions.unwrap_or(usual)
    }
}

pub(crate) fn measure(root: &Path, options: &Options) -> Result {
    let chosen = |scenario: &&Scenario| {
        let name = options.scenario.as_deref();
        name.is_none_or(|name| name == scenario.name)
    };
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().filter(chosen).collect();
    if scenarios.is_empty() {
        let names = SCENARIOS.map(|scenario| scenario.name).join("\n  ");
        return Err(format!("bench: no such scenario; there are\n  {names}"));
    }
    let build = ["build", "--release", "--package", "contract-servers"];
    let server = ["--bin", "bench-server"];
    crate::run(root, "cargo", &[&build[..], &server].concat())?;
    let load = Load::set_up(root)?;
    let ours = crate::built(root, "release/bench-server");

    let folder = root.join(if options.quick { TRIED } else { KEPT });
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let one_of_many = options.scenario.is_some();
    let (mut figures, facts) = if one_of_many && folder.join(MACHINE).is_file() {
        let mut facts = read_facts(&folder)?;
        let date = machine::describe(root, &load).swap_remove(0).1;
        let again = format!("again: {}", scenarios[0].name);
        facts.retain(|(name, _)| *name != again);
        facts.push((again, date));
        (read_figures(&folder)?, facts)
    } else {
        (Figures::default(), machine::describe(root, &load))
    };
    for (number, scenario) in scenarios.iter().enumerate() {
        println!(
            "bench: {} ({} of {})",
            scenario.name,
            number + 1,
            scenarios.len()
        );
        figures.replace(run(&load, &ours, scenario, options)?);
        // After each one, so that what was measured is there when this is stopped.
        write(&folder, FIGURES, &figures.to_csv())?;
    }
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    write(&folder, MACHINE, &facts)?;
    show(root, &folder, !options.quick)
}

/// Makes tables and plots of the figures that are kept.
pub(crate) fn draw(root: &Path) -> Result {
    show(root, &root.join(KEPT), true)
}

fn show(root: &Path, folder: &Path, for_everybody: bool) -> Result {
    let (figures, facts) = (read_figures(folder)?, read_facts(folder)?);
    for (name, plot) in plots::draw(&figures) {
        write(folder, name, &plot)?;
    }
    println!("{}", table::targets(&figures));
    if !for_everybody {
        println!("bench: figures and plots are in {TRIED}");
        return Ok(());
    }
    let page = read(&root.join(PAGE))?;
    let page = table::fill(&page, &table::sections(&figures, &facts))?;
    write(root, PAGE, &page)?;
    println!("bench: {PAGE} and {KEPT} are written");
    Ok(())
}

/// Lets the servers take turns.
fn run(load: &Load, ours: &Path, scenario: &Scenario, options: &Options) -> Result<Figures> {
    let output = load.folder.join("runs.jsonl");
    // What an earlier scenario wrote is in the figures already.
    let _ = fs::remove_file(&output);
    let mut command = Command::new(&load.generator);
    command.args(["compare", "--scenario", scenario.load]);
    let mut missing = Vec::new();
    for server in scenario.servers {
        let start = if *server == "ferriwire" {
            Ok(ours.display().to_string())
        } else {
            load.command(server, scenario.load)
        };
        match start {
            Ok(start) => {
                command.args(["--server", &format!("{server}={start}")]);
            }
            Err(reason) => missing.push((*server, reason)),
        }
    }
    let repetitions = options.repetitions(scenario).to_string();
    command.args(["--reps", &repetitions, "--server-cpus", scenario.cores]);
    if options.quick {
        command.args(["--secs", "1", "--warm", "0.5", "--retries", "0"]);
    }
    command.arg("--out").arg(&output);
    command.arg("--log").arg(load.folder.join("logs"));
    // It fails when one of the servers does, which the figures tell of.
    let status = command.status();
    status.map_err(|error| format!("cannot start {}: {error}", load.generator.display()))?;

    let lines = read(&output)?;
    let runs = lines.lines().map(|line| {
        let run = Run::parse(line).ok_or_else(|| format!("bench: not a run: {line}"))?;
        Ok(Run {
            scenario: scenario.name.to_owned(),
            ..run
        })
    });
    let runs = runs.collect::<Result<Vec<Run>>>()?;
    let mut figures = Figures::of(&runs);
    for (server, reason) in missing {
        figures.fail(scenario.name, server, &reason);
    }
    Ok(figures)
}

fn read_figures(folder: &Path) -> Result<Figures> {
    let path = folder.join(FIGURES);
    let read = read(&path)?;
    Figures::from_csv(&read).ok_or_else(|| format!("{} holds no figures", path.display()))
}

fn read_facts(folder: &Path) -> Result<Vec<(String, String)>> {
    let facts = read(&folder.join(MACHINE))?;
    let facts = facts.lines().filter_map(|line| line.rsplit_once(": "));
    Ok(facts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn read(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(folder: &Path, name: &str, text: &str) -> Result {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_any_order() {
        let options = Options::parse(&["--repetitions", "2", "--quick", "--scenario", "slow"]);
        let expected = Options {
            scenario: Some("slow".to_owned()),
            repetitions: Some(2),
            quick: true,
        };
        assert_eq!(options, Some(expected));
        assert_eq!(Options::parse(&[]), Some(Options::default()));
        for wrong in [&["--scenario"][..], &["--repetitions", "x"], &["slow"]] {
            assert_eq!(Options::parse(wrong), None);
        }
    }
}
