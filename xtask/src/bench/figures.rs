//! What was measured: the runs as the load generator writes them, their medians, and those as CSV.

use std::collections::BTreeMap;

/// One run of one server.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) scenario: String,
    pub(crate) server: String,
    /// Figures by their names, or why there are none.
    pub(crate) outcome: Result<BTreeMap<String, f64>, String>,
}

/// The medians of all runs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Figures {
    medians: BTreeMap<Key, Median>,
    /// Why a server could not be measured, by scenario and server.
    failures: BTreeMap<(String, String), String>,
}

/// Scenario, server and figure.
type Key = (String, String, String);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Median {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) runs: usize,
}

const HEADER: &str = "scenario,server,figure,median,least,most,runs";

/// Figures that nothing is made of: what identifies a run, and what the rest is divided by.
const LEFT_OUT: [&str; 9] = [
    "rep",
    "load",
    "p999_us",
    "client_busy_%",
    "steal_%",
    "pss_B/conn",
    "rss0_MiB",
    "rss_after_drain_growth_MB",
    "sent_to_slow_MB",
];

impl Run {
    /// Reads one line: an object of texts and numbers.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut rest = line.trim().strip_prefix('{')?;
        let (mut texts, mut figures) = (BTreeMap::new(), BTreeMap::new());
        while !rest.is_empty() && rest != "}" {
            let (name, behind) = text(rest)?;
            let behind = behind.strip_prefix(':')?;
            rest = if behind.starts_with('"') {
                let (value, behind) = text(behind)?;
                texts.insert(name, value);
                behind
            } else {
                let end = behind.find([',', '}'])?;
                let (value, behind) = behind.split_at(end);
                // What could not be divided is `null`.
                if let Ok(value) = value.parse() {
                    figures.insert(name, value);
                }
                behind
            };
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        Some(Self {
            scenario: texts.remove("scenario")?,
            server: texts.remove("server")?,
            outcome: texts.remove("error").map_or(Ok(figures), Err),
        })
    }
}

/// Takes a text in quotes off the front.
fn text(json: &str) -> Option<(String, &str)> {
    let inside = json.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, inside.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

impl Figures {
    pub(crate) fn of(runs: &[Run]) -> Self {
        let mut figures = Self::default();
        let mut values: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
        for run in runs {
            let (scenario, server) = (&run.scenario, &run.server);
            match &run.outcome {
                Ok(measured) => {
                    for (figure, value) in measured {
                        if !LEFT_OUT.contains(&figure.as_str()) {
                            let key = (scenario.clone(), server.clone(), figure.clone());
                            values.entry(key).or_default().push(*value);
                        }
                    }
                }
                Err(reason) => figures.fail(scenario, server, reason),
            }
        }
        for (key, values) in values {
            figures.medians.insert(key, median(values));
        }
        figures
    }

    /// Notes why a server was not measured.
    pub(crate) fn fail(&mut self, scenario: &str, server: &str, reason: &str) {
        let key = (scenario.to_owned(), server.to_owned());
        let reason = reason.replace(['\n', '|'], " ");
        self.failures.insert(key, reason.trim().to_owned());
    }

    /// Takes these in place of what was known of their scenarios.
    pub(crate) fn replace(&mut self, newer: Self) {
        let scenarios: Vec<String> = newer.scenarios();
        self.medians
            .retain(|(scenario, ..), _| !scenarios.contains(scenario));
        self.failures
            .retain(|(scenario, _), _| !scenarios.contains(scenario));
        self.medians.extend(newer.medians);
        self.failures.extend(newer.failures);
    }

    fn scenarios(&self) -> Vec<String> {
        let measured = self.medians.keys().map(|(scenario, ..)| scenario.clone());
        let failed = self.failures.keys().map(|(scenario, _)| scenario.clone());
        measured.chain(failed).collect()
    }

    pub(crate) fn get(&self, scenario: &str, server: &str, figure: &str) -> Option<f64> {
        let key = (scenario.to_owned(), server.to_owned(), figure.to_owned());
        Some(self.medians.get(&key)?.median)
    }

    /// Every server that could not be measured: scenario, server and reason.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.failures
            .iter()
            .map(|((scenario, server), reason)| (&**scenario, &**server, &**reason))
    }

    /// The largest median of this figure in those scenarios, of whatever server.
    pub(crate) fn largest(&self, figure: &str, counts: impl Fn(&str) -> bool) -> Option<f64> {
        self.medians
            .iter()
            .filter(|((scenario, _, name), _)| name == figure && counts(scenario))
            .map(|(_, median)| median.median)
            .max_by(f64::total_cmp)
    }

    pub(crate) fn to_csv(&self) -> String {
        let mut csv = format!("{HEADER}\n");
        for ((scenario, server, figure), median) in &self.medians {
            let Median {
                median,
                least,
                most,
                runs,
            } = median;
            let line = format!("{scenario},{server},{figure},{median},{least},{most},{runs}\n");
            csv.push_str(&line);
        }
        for ((scenario, server), reason) in &self.failures {
            csv.push_str(&format!("{scenario},{server},failed,{reason}\n"));
        }
        csv
    }

    pub(crate) fn from_csv(csv: &str) -> Option<Self> {
        let mut figures = Self::default();
        let lines = csv.strip_prefix(HEADER)?.trim().lines();
        for line in lines {
            let mut cells = line.splitn(4, ',');
            let (scenario, server) = (cells.next()?.to_owned(), cells.next()?.to_owned());
            let (figure, rest) = (cells.next()?.to_owned(), cells.next()?);
            if figure == "failed" {
                figures.failures.insert((scenario, server), rest.to_owned());
                continue;
            }
            let mut cells = rest.split(',');
            let median = Median {
                median: cells.next()?.parse().ok()?,
                least: cells.next()?.parse().ok()?,
                most: cells.next()?.parse().ok()?,
                runs: cells.next()?.parse().ok()?,
            };
            figures.medians.insert((scenario, server, figure), median);
        }
        Some(figures)
    }
}

fn median(mut values: Vec<f64>) -> Median {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let (lower, upper) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    Median {
        median: f64::midpoint(at(lower), at(upper)),
        least: at(0),
        most: at(values.len().saturating_sub(1)),
        runs: values.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: &str = r#"{"server":"us","scenario":"echo:100:1","rep":0,"cpu_us/op":8.5,"x":null}
{"server":"us","scenario":"echo:100:1","rep":1,"cpu_us/op":7.5}
{"server":"us","scenario":"echo:100:1","rep":2,"cpu_us/op":9.0}
{"server":"floor","scenario":"poll:200","rep":0,"error":"HTTP \"101\": , }"}"#;

    fn figures() -> Figures {
        let runs: Vec<Run> = RUNS.lines().map(|line| Run::parse(line).unwrap()).collect();
        Figures::of(&runs)
    }

    #[test]
    fn of_several_runs_the_median_counts() {
        let figures = figures();
        assert_eq!(figures.get("echo:100:1", "us", "cpu_us/op"), Some(8.5));
        assert_eq!(figures.get("echo:100:1", "us", "x"), None);
        assert_eq!(figures.get("echo:100:1", "us", "rep"), None);
        let failures: Vec<_> = figures.failures().collect();
        assert_eq!(failures, [("poll:200", "floor", "HTTP \"101\": , }")]);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let figures = figures();
        assert_eq!(Figures::from_csv(&figures.to_csv()), Some(figures));
        assert_eq!(Figures::from_csv("something else"), None);
    }

    #[test]
    fn a_scenario_that_is_measured_again_replaces_the_earlier_figures() {
        let mut all = figures();
        let line = r#"{"server":"floor","scenario":"echo:100:1","cpu_us/op":1}"#;
        all.replace(Figures::of(&[Run::parse(line).unwrap()]));
        assert_eq!(all.get("echo:100:1", "us", "cpu_us/op"), None);
        assert_eq!(all.get("echo:100:1", "floor", "cpu_us/op"), Some(1.0));
        assert_eq!(all.failures().count(), 1);
    }

    #[test]
    fn what_is_no_object_of_texts_and_numbers_is_no_run() {
        for line in [
            "",
            "[]",
            "{\"server\":\"us\"}",
            "{\"server\":\"us",
            "{\"a\":1",
        ] {
            assert_eq!(Run::parse(line), None, "{line}");
        }
    }
}
