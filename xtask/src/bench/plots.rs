//! The plots of `docs/performance.md`: which figures stand in which.

use super::figures::Figures;
use super::scenarios::SERVERS;
use super::svg::{Axis, Line, Panel, Plot};

/// Every plot with the name of its file.
pub(crate) fn draw(figures: &Figures) -> [(&'static str, String); 3] {
    [
        ("memory.svg", memory(figures).to_svg()),
        ("delivery.svg", delivery(figures).to_svg()),
        ("latency.svg", latency(figures).to_svg()),
    ]
}

/// Scenarios, with where they stand on the horizontal axis.
type Points = [(f64, &'static str)];

const IDLE: &Points = &[
    (100.0, "idle:100:0"),
    (1_000.0, "idle:1000:0"),
    (3_000.0, "idle:3000:0"),
    (10_000.0, "idle:10000"),
];
const ROOMS: &Points = &[
    (10.0, "bcast:10:100:w1"),
    (100.0, "bcast:100:100:w1"),
    (1_000.0, "bcast:1000:100:w1"),
    (10_000.0, "bcast:10000:100:w1"),
];
const RATES: &Points = &[
    (10.0, "bcast:1000:100:r10"),
    (20.0, "bcast:1000:100:r20"),
    (40.0, "bcast:1000:100:r40"),
    (60.0, "bcast:1000:100:r60"),
    (80.0, "bcast:1000:100:r80"),
    (120.0, "bcast:1000:100:r120"),
];

fn memory(figures: &Figures) -> Plot {
    let panel = |title, figure, unit| Panel {
        title,
        x: Axis::logarithmic("idle connections"),
        y: Axis::logarithmic(unit),
        lines: lines(figures, IDLE, figure, 1.0),
    };
    Plot {
        title: "Memory against connections",
        panels: vec![
            panel(
                "per connection",
                "rss_B/conn",
                "resident bytes per connection",
            ),
            panel("whole process", "rss_MiB", "resident memory, MiB"),
        ],
    }
}

fn delivery(figures: &Figures) -> Plot {
    let panel = |title, figure, unit| Panel {
        title,
        x: Axis::logarithmic("members of the room"),
        y: Axis::linear(unit),
        lines: lines(figures, ROOMS, figure, 1.0),
    };
    Plot {
        title: "CPU per delivery against room size (100 bytes, one broadcast at a time)",
        panels: vec![
            panel("all of it", "cpu_us/delivery", "us of CPU per delivery"),
            panel(
                "without the kernel",
                "utime_us/delivery",
                "us in user space per delivery",
            ),
        ],
    }
}

fn latency(figures: &Figures) -> Plot {
    let panel = |title, figure| Panel {
        title,
        x: Axis::logarithmic("broadcasts per second"),
        y: Axis::logarithmic("ms from emission to receipt"),
        lines: lines(figures, RATES, figure, 1_000.0),
    };
    Plot {
        title: "Latency against load (100 bytes to a room of 1,000)",
        panels: vec![panel("median", "p50_us"), panel("99 of 100", "p99_us")],
    }
}

/// One line for each server of which at least two points are known.
fn lines(figures: &Figures, points: &Points, figure: &str, divisor: f64) -> Vec<Line> {
    let line = |(server, title): (&'static str, &'static str)| {
        let known = points.iter().filter_map(|(x, scenario)| {
            let value = figures.get(scenario, server, figure)?;
            Some((*x, value / divisor))
        });
        let points: Vec<(f64, f64)> = known.filter(|(_, y)| *y > 0.0).collect();
        (points.len() >= 2).then_some(Line {
            class: server,
            title,
            points,
        })
    };
    SERVERS.into_iter().filter_map(line).collect()
}
