//! The tables of `docs/performance.md` that are made of figures.

use super::figures::Figures;
use super::scenarios::{Bound, ONE_THREAD, Of, SERVERS, TARGETS, TWO_CORES, Target};
use crate::Result;

const US: &str = "ferriwire";

/// Other processes took more of the cores than this: figures are not to be relied on.
const DISTURBED_PERCENT: f64 = 8.0;

/// All tables, by the names of their places in the page.
pub(crate) fn sections(
    figures: &Figures,
    facts: &[(String, String)],
) -> [(&'static str, String); 3] {
    [
        ("targets", targets(figures)),
        ("machine", machine(figures, facts)),
        ("split", split(figures)),
    ]
}

/// Puts each section between its marks.
pub(crate) fn fill(page: &str, sections: &[(&str, String)]) -> Result<String> {
    let mut page = page.to_owned();
    for (name, text) in sections {
        let (begin, end) = (
            format!("<!-- begin: {name} -->\n"),
            format!("<!-- end: {name} -->"),
        );
        let missing = || format!("the page has no place for `{name}`");
        let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
        let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
        page = format!("{before}{begin}{text}{end}{after}");
    }
    Ok(page)
}

/// Every figure of which something was promised, in all servers.
pub(crate) fn targets(figures: &Figures) -> String {
    let titles = SERVERS.map(|(_, title)| title).join(" | ");
    let mut table = format!("| scenario | figure | {titles} | target: measured | |\n");
    table.push_str(&format!(
        "|---|---|{}---|---|\n",
        "--:|".repeat(SERVERS.len())
    ));
    for target in &TARGETS {
        let cells = SERVERS.map(|(server, _)| {
            let value = figures.get(target.scenario, server, target.figure);
            value.map_or_else(|| "-".to_owned(), number)
        });
        let judged: Vec<Judged> = target
            .bounds
            .iter()
            .map(|bound| judge(figures, target, *bound))
            .collect();
        let texts: Vec<&str> = judged.iter().map(|judged| judged.text.as_str()).collect();
        let met = if judged.iter().any(|judged| judged.met.is_none()) {
            "-"
        } else if judged.iter().all(|judged| judged.met == Some(true)) {
            "met"
        } else {
            "**missed**"
        };
        table.push_str(&format!(
            "| `{}` | {} | {} | {} | {met} |\n",
            target.scenario,
            target.title,
            cells.join(" | "),
            texts.join("; "),
        ));
    }
    table
}

struct Judged {
    text: String,
    /// Not known when one of the two was not measured.
    met: Option<bool>,
}

fn judge(figures: &Figures, target: &Target, bound: Bound) -> Judged {
    let own = |figure| figures.get(target.scenario, US, figure);
    let (sign, factor, of) = match bound {
        Bound::AtMost(factor, of) => ("<=", factor, of),
        Bound::AtLeast(factor, of) => (">=", factor, of),
    };
    let (reference, name) = match of {
        Of::One => (Some(1.0), String::new()),
        Of::Server(server) => {
            let title = SERVERS.iter().find(|(key, _)| *key == server);
            let title = title.map_or(server, |(_, title)| title);
            let value = figures.get(target.scenario, server, target.figure);
            (value, format!(" x {title}"))
        }
        Of::Own(figure, title) => (own(figure), format!(" x {title}")),
        Of::OneThread => {
            let value = figures.get(ONE_THREAD, US, target.figure);
            (value, " x one thread".to_owned())
        }
    };
    let measured = own(target.figure)
        .zip(reference)
        .map(|(value, reference)| value / reference);
    let met = measured.map(|measured| match bound {
        Bound::AtMost(..) => measured <= factor,
        Bound::AtLeast(..) => measured >= factor,
    });
    let measured = match (measured, of) {
        (None, _) => "not measured".to_owned(),
        (Some(measured), Of::One) => number(measured),
        (Some(measured), _) => format!("{measured:.2}"),
    };
    let factor = match of {
        Of::One => number(factor),
        Of::Server(_) | Of::Own(..) | Of::OneThread => format!("{factor:.2}"),
    };
    let stressed = if met == Some(false) { "**" } else { "" };
    Judged {
        text: format!("{sign} {factor}{name}: {stressed}{measured}{stressed}"),
        met,
    }
}

/// How much of the time of each is the kernel's.
fn split(figures: &Figures) -> String {
    let mut table = String::from(
        "| scenario | Ferriwire: user | system | floor: user | system | socketioxide: user | system |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
    );
    let timed = TARGETS
        .iter()
        .filter(|target| matches!(target.figure, "cpu_us/delivery" | "cpu_us/op"));
    for target in timed.filter(|target| target.scenario != TWO_CORES) {
        let of = target.figure.trim_start_matches("cpu_us/");
        let cells = ["ferriwire", "floor", "socketioxide"].map(|server| {
            ["utime_us/", "stime_us/"].map(|part| {
                let value = figures.get(target.scenario, server, &format!("{part}{of}"));
                value.map_or_else(|| "-".to_owned(), number)
            })
        });
        let cells: Vec<String> = cells.map(|pair| pair.join(" | ")).to_vec();
        table.push_str(&format!(
            "| `{}` | {} |\n",
            target.scenario,
            cells.join(" | ")
        ));
    }
    table
}

/// Whether what else ran can be told there: not where the load generator runs on a core of the server, and
/// not within the tenth of a second in which some thousand clients connect.
fn tells_of_others(scenario: &str) -> bool {
    let is_short = ["idle:100:0", "idle:1000:0", "idle:3000:0"].contains(&scenario);
    !is_short && scenario != TWO_CORES
}

/// On what, with what, and what could not be measured.
fn machine(figures: &Figures, facts: &[(String, String)]) -> String {
    let mut table = String::from("| | |\n|---|---|\n");
    for (name, value) in facts {
        table.push_str(&format!("| {name} | {value} |\n"));
    }
    if let Some(others) = figures.largest("others_%", tells_of_others) {
        let remark = if others > DISTURBED_PERCENT {
            "; **too much for these figures to be relied on**"
        } else {
            ""
        };
        table.push_str(&format!(
            "| time that other processes took | up to {others:.0} % of the two cores{remark} |\n"
        ));
    }
    for (scenario, server, reason) in figures.failures() {
        table.push_str(&format!(
            "| `{scenario}`, {server}: not measured | {reason} |\n"
        ));
    }
    table
}

/// As many digits as are worth reading.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => thousands(value),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if at > 0 && left % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::figures::Run;
    use super::*;

    fn figures(runs: &[(&str, &str, &str, f64)]) -> Figures {
        let run = |(scenario, server, figure, value): &(&str, &str, &str, f64)| Run {
            scenario: (*scenario).to_owned(),
            server: (*server).to_owned(),
            outcome: Ok([((*figure).to_owned(), *value)].into()),
        };
        let runs: Vec<Run> = runs.iter().map(run).collect();
        Figures::of(&runs)
    }

    fn row(figures: &Figures, scenario: &str, title: &str) -> String {
        let start = format!("| `{scenario}` | {title} |");
        let table = targets(figures);
        let row = table.lines().find(|line| line.starts_with(&start));
        row.unwrap().trim_start_matches(&start).trim().to_owned()
    }

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let echo = |ours: f64| {
            let all = [
                ("echo:100:1", "ferriwire", "cpu_us/op", ours),
                ("echo:100:1", "floor", "cpu_us/op", 10.0),
                ("echo:100:1", "socketioxide", "cpu_us/op", 20.0),
            ];
            row(&figures(&all), "echo:100:1", "us per echo")
        };
        assert_eq!(
            echo(11.7),
            "11.7 | 10 | - | 20 | - | - | <= 1.18 x floor: 1.17; <= 0.90 x socketioxide: 0.58 | met |"
        );
        assert!(
            echo(11.9).ends_with(
                "<= 1.18 x floor: **1.19**; <= 0.90 x socketioxide: 0.59 | **missed** |"
            )
        );
        let nothing = row(&Figures::default(), "echo:100:1", "us per echo");
        assert!(
            nothing.ends_with("<= 0.90 x socketioxide: not measured | - |"),
            "{nothing}"
        );
    }

    #[test]
    fn bounds_may_speak_of_own_figures_and_of_one_thread() {
        let all = figures(&[
            ("slow", "ferriwire", "deliveries/s", 84.0),
            ("slow", "ferriwire", "base_deliveries/s", 100.0),
            ("slow", "ferriwire", "others_lost", 0.0),
            (TWO_CORES, "ferriwire", "cpu_us/delivery", 1.1),
            (ONE_THREAD, "ferriwire", "cpu_us/delivery", 1.0),
        ]);
        let ends = |scenario, title, end: &str| {
            let row = row(&all, scenario, title);
            assert!(row.ends_with(end), "{row}");
        };
        ends(
            "slow",
            "deliveries/s to the others",
            ">= 0.85 x before: **0.84** | **missed** |",
        );
        ends("slow", "messages others lost", "<= 0: 0 | met |");
        ends(
            TWO_CORES,
            "us per delivery",
            "<= 1.15 x one thread: 1.10 | met |",
        );
    }

    #[test]
    fn a_section_is_put_between_its_marks() {
        let page = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n";
        let filled = fill(page, &[("x", "new\n".to_owned())]);
        let expected = "a\n<!-- begin: x -->\nnew\n<!-- end: x -->\nb\n";
        assert_eq!(filled.as_deref(), Ok(expected));
        assert!(fill(page, &[("y", String::new())]).is_err());
    }

    #[test]
    fn numbers_have_the_digits_that_are_worth_reading() {
        for (value, text) in [
            (0.0, "0"),
            (0.0567, "0.057"),
            (0.95, "0.95"),
            (8.04, "8.04"),
            (13.55, "13.6"),
            (224.4, "224"),
            (29_196.3, "29,196"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
