//! Lines in panels with axes, as SVG: little enough to do without a library.

use std::fmt::Write as _;

use super::table::number;

/// Panels beside each other.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug)]
pub(crate) struct Line {
    /// Its colour, by the style sheet.
    pub(crate) class: &'static str,
    pub(crate) title: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What an axis shows, with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    title: &'static str,
    logarithmic: bool,
}

impl Axis {
    pub(crate) fn logarithmic(title: &'static str) -> Self {
        Self {
            title,
            logarithmic: true,
        }
    }

    pub(crate) fn linear(title: &'static str) -> Self {
        Self {
            title,
            logarithmic: false,
        }
    }
}

const PANEL: (f64, f64) = (440.0, 330.0);
/// Of the lines within a panel; names of lines stand to the right.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 102.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 48.0;
/// Above all panels, for the title.
const HEAD: f64 = 34.0;
/// Between the names of two lines.
const NAME_HEIGHT: f64 = 15.0;

/// Colours for light and dark surroundings; ours is drawn thicker.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-size: 15px; font-weight: 600 }
.panel { font-weight: 600 }
.back { fill: #fff }
.grid { stroke: #ddd } .axis { stroke: #888 }
path { fill: none; stroke-width: 1.8; stroke-linejoin: round }
path.ferriwire { stroke-width: 3.2 } text.ferriwire { font-weight: 600 }
path.grid, path.axis { stroke-width: 1 }
.ferriwire { --c: #c2410c } .floor { --c: #737373 } .cork { --c: #a3a3a3 }
.socketioxide { --c: #1d4ed8 } .bun { --c: #a21caf } .node { --c: #15803d }
@media (prefers-color-scheme: dark) {
text { fill: #ddd }
.back { fill: #0d1117 }
.grid { stroke: #30363d } .axis { stroke: #8b949e }
.ferriwire { --c: #fb923c } .floor { --c: #a3a3a3 } .cork { --c: #737373 }
.socketioxide { --c: #60a5fa } .bun { --c: #e879f9 } .node { --c: #4ade80 }
}
path.line { stroke: var(--c) } circle, text.name { fill: var(--c) }
";

impl Plot {
    pub(crate) fn to_svg(&self) -> String {
        let count = self.panels.len() as f64;
        let (width, height) = (PANEL.0 * count, PANEL.1 + HEAD);
        let title = self.title;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{title}\">\n<style>\n{STYLE}</style>\n\
             <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n\
             <text class=\"title\" x=\"16\" y=\"24\">{title}</text>\n"
        );
        for (number, panel) in self.panels.iter().enumerate() {
            let left = PANEL.0 * number as f64;
            svg.push_str(&format!("<g transform=\"translate({left} {HEAD})\">\n"));
            panel.draw(&mut svg);
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let (right, bottom) = (PANEL.0 - RIGHT, PANEL.1 - BOTTOM);
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let x = Scale::over(self.x, points().map(|point| point.0), (LEFT, right));
        let y = Scale::over(self.y, points().map(|point| point.1), (bottom, TOP));
        text(svg, "class=\"panel\"", LEFT, 18.0, self.title);
        for (value, named) in y.ticks() {
            let at = y.place(value);
            line(svg, "grid", &[(LEFT, at), (right, at)]);
            if named {
                text(
                    svg,
                    "text-anchor=\"end\"",
                    LEFT - 6.0,
                    at + 4.0,
                    &number(value),
                );
            }
        }
        for (value, named) in x.ticks() {
            let at = x.place(value);
            line(svg, "grid", &[(at, TOP), (at, bottom)]);
            if named {
                text(
                    svg,
                    "text-anchor=\"middle\"",
                    at,
                    bottom + 16.0,
                    &number(value),
                );
            }
        }
        line(svg, "axis", &[(LEFT, TOP), (LEFT, bottom), (right, bottom)]);
        let middle = f64::midpoint(LEFT, right);
        text(
            svg,
            "text-anchor=\"middle\"",
            middle,
            bottom + 36.0,
            self.x.title,
        );
        let middle = f64::midpoint(TOP, bottom);
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 14 {middle:.1})\"");
        text(svg, &turned, 14.0, middle, self.y.title);
        // Ours last, so that it lies on top.
        for drawn in self.lines.iter().rev() {
            let places = drawn
                .points
                .iter()
                .map(|(at, value)| (x.place(*at), y.place(*value)));
            let places: Vec<(f64, f64)> = places.collect();
            line(svg, &format!("line {}", drawn.class), &places);
            for (at, value) in places {
                let class = drawn.class;
                let _ = writeln!(
                    svg,
                    "<circle class=\"{class}\" cx=\"{at:.1}\" cy=\"{value:.1}\" r=\"3\"/>"
                );
            }
        }
        self.name_lines(svg, right + 8.0, &y);
    }

    /// Each line is named beside its end, moved up or down as far as the other names ask for.
    fn name_lines(&self, svg: &mut String, left: f64, y: &Scale) {
        let ends = self.lines.iter().filter_map(|line| {
            let (_, value) = line.points.last()?;
            Some((y.place(*value), line))
        });
        let mut ends: Vec<(f64, &Line)> = ends.collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut free = TOP;
        for (at, _) in &mut ends {
            *at = at.max(free);
            free = *at + NAME_HEIGHT;
        }
        let mut free = PANEL.1 - BOTTOM;
        for (at, _) in ends.iter_mut().rev() {
            *at = at.min(free);
            free = *at - NAME_HEIGHT;
        }
        for (at, line) in ends {
            let class = format!("class=\"name {}\"", line.class);
            text(svg, &class, left, at + 4.0, line.title);
        }
    }
}

fn text(svg: &mut String, attributes: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(
        svg,
        "<text {attributes} x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}

fn line(svg: &mut String, class: &str, points: &[(f64, f64)]) {
    let points: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1} {y:.1}"))
        .collect();
    let _ = writeln!(
        svg,
        "<path class=\"{class}\" d=\"M{}\"/>",
        points.join(" L")
    );
}

/// Where values lie on the picture.
struct Scale {
    logarithmic: bool,
    /// The least and the largest value shown.
    range: (f64, f64),
    /// Where those lie.
    places: (f64, f64),
}

impl Scale {
    fn over(axis: Axis, values: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values {
            (least, most) = (least.min(value), most.max(value));
        }
        let least = least.min(most);
        let range = if axis.logarithmic {
            let (least, most) = (least.log10(), most.log10());
            // Half a step of room, so that no point lies on the frame.
            (10_f64.powf(least - 0.08), 10_f64.powf(most + 0.08))
        } else {
            (0.0, most * 1.08)
        };
        Self {
            logarithmic: axis.logarithmic,
            range,
            places,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| {
            if self.logarithmic {
                value.log10()
            } else {
                value
            }
        };
        let (least, most) = (scaled(self.range.0), scaled(self.range.1));
        let part = (scaled(value) - least) / (most - least);
        self.places.0 + part * (self.places.1 - self.places.0)
    }

    /// Values to be marked, and whether they are named.
    fn ticks(&self) -> Vec<(f64, bool)> {
        let (least, most) = self.range;
        let candidates: Vec<(f64, bool)> = if self.logarithmic {
            // Of few powers of ten the steps between are named as well.
            let few = (most / least).log10() < 2.0;
            (-3..8)
                .map(|power| 10_f64.powi(power))
                .flat_map(|power| [(power, true), (2.0 * power, few), (5.0 * power, few)])
                .collect()
        } else {
            let step = round_step(most / 5.0);
            (0..20)
                .map(|count| (step * f64::from(count), true))
                .collect()
        };
        candidates
            .into_iter()
            .filter(|(value, _)| (least..=most).contains(value))
            .collect()
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(axis: Axis, values: [f64; 2]) -> Scale {
        Scale::over(axis, values.into_iter(), (0.0, 100.0))
    }

    #[test]
    fn axes_are_marked_at_round_values() {
        let named = |scale: &Scale| -> Vec<f64> {
            let ticks = scale.ticks().into_iter();
            ticks.filter(|tick| tick.1).map(|tick| tick.0).collect()
        };
        let linear = scale(Axis::linear(""), [1.0, 13.0]);
        assert_eq!(named(&linear), [0.0, 5.0, 10.0]);
        let wide = scale(Axis::logarithmic(""), [10.0, 10_000.0]);
        assert_eq!(named(&wide), [10.0, 100.0, 1_000.0, 10_000.0]);
        let narrow = scale(Axis::logarithmic(""), [10.0, 120.0]);
        assert_eq!(named(&narrow), [10.0, 20.0, 50.0, 100.0]);
    }

    #[test]
    fn values_lie_between_the_ends_of_their_axis() {
        for axis in [Axis::linear(""), Axis::logarithmic("")] {
            let scale = scale(axis, [1.0, 100.0]);
            let (low, high) = (scale.place(1.0), scale.place(100.0));
            assert!(0.0 < low && low < high && high < 100.0, "{low} {high}");
        }
    }

    #[test]
    fn without_figures_there_is_a_picture_all_the_same() {
        let panel = Panel {
            title: "empty",
            x: Axis::logarithmic("x"),
            y: Axis::linear("y"),
            lines: Vec::new(),
        };
        let plot = Plot {
            title: "nothing",
            panels: vec![panel],
        };
        assert!(!plot.to_svg().contains("NaN"));
    }
}
