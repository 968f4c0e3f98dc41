//! Figures: of several runs the median and the range, and the ratio to the baseline's.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::deployment::Mode;
use crate::load::to_f64;

/// What is measured, in every run of ours and of the baseline.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// What it is a figure of, with its unit.
    pub(crate) what: String,
    /// Ours, a figure per run.
    pub(crate) ours: Vec<f64>,
    /// The baseline's, a figure per run; none where there is nothing to compare with.
    pub(crate) baseline: Vec<f64>,
    /// What is aimed at.
    pub(crate) aim: Aim,
    /// Anything else that the last run tells: latencies, CPU seconds, memory.
    pub(crate) beside: BTreeMap<String, f64>,
    /// The curve that it is a point of, and where on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) point: Option<(Curve, f64)>,
}

/// How a cost grows with something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Curve {
    /// What its drawing is called.
    pub(crate) name: &'static str,
    /// The cost.
    pub(crate) cost: &'static str,
    /// The cost's unit.
    pub(crate) unit: &'static str,
    /// What it grows with.
    pub(crate) with: &'static str,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Aim {
    /// At least this part of the baseline's.
    Part(f64),
    /// At most this part of the baseline's.
    AtMost(f64),
    /// At most the baseline's and so much more.
    Over(f64),
    /// At most this.
    Below(f64),
    /// Nothing of its own: it stands beside other figures.
    None,
}

/// The figures of a curve by its points, a line per mode.
pub(crate) type Lines = BTreeMap<Mode, Vec<(f64, f64)>>;

impl Curve {
    /// The curve of a cost, with its unit, as it grows with something.
    pub(crate) const fn new(
        name: &'static str,
        (cost, unit): (&'static str, &'static str),
        with: &'static str,
    ) -> Self {
        Self {
            name,
            cost,
            unit,
            with,
        }
    }

    /// What its drawing is about.
    pub(crate) fn title(&self) -> String {
        format!("{}, by {}", self.cost, self.with)
    }
}

impl Row {
    /// Figures that nothing else is known beside.
    pub(crate) fn new(what: impl Into<String>, aim: Aim) -> Self {
        Self {
            what: what.into(),
            ours: Vec::new(),
            baseline: Vec::new(),
            aim,
            beside: BTreeMap::new(),
            point: None,
        }
    }

    /// Figures at a point of a curve.
    pub(crate) fn at(curve: Curve, point: usize) -> Self {
        let what = format!("{} {}, {point} {}", curve.cost, curve.unit, curve.with);
        Self {
            point: Some((curve, to_f64(point as u64))),
            ..Self::new(what, Aim::None)
        }
    }

    /// Notes a figure beside the others.
    pub(crate) fn note(&mut self, name: impl Into<String>, value: f64) {
        self.beside.insert(name.into(), value);
    }

    fn ratio(&self) -> Option<f64> {
        let baseline = median(&self.baseline)?;
        Some(median(&self.ours)? / baseline)
    }

    fn is_met(&self) -> Option<bool> {
        let ours = median(&self.ours)?;
        let baseline = median(&self.baseline);
        match self.aim {
            Aim::Part(part) => Some(ours >= part * baseline?),
            Aim::AtMost(part) => Some(ours <= part * baseline?),
            Aim::Over(more) => Some(ours <= baseline? + more),
            Aim::Below(most) => Some(ours <= most),
            Aim::None => None,
        }
    }

    /// One line of the table.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("  {:<66} {:>24}", self.what, spelled(&self.ours));
        let _ = write!(line, " {:>24}", spelled(&self.baseline));
        let ratio = self
            .ratio()
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let aim = match self.aim {
            Aim::Part(part) => format!(">= {part:.2}"),
            Aim::AtMost(part) => format!("<= {part:.2}"),
            Aim::Over(more) => format!("<= + {more}"),
            Aim::Below(most) => format!("<= {most}"),
            Aim::None => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let _ = write!(line, " {ratio:>6} {aim:>9} {met}");
        for (name, value) in &self.beside {
            let _ = write!(line, "\n    {name:<40} {value:.3}");
        }
        line
    }
}

/// What a whole run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    rows: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    scenario: &'static str,
    mode: Mode,
    median: Option<f64>,
    baseline_median: Option<f64>,
    ratio: Option<f64>,
    is_met: Option<bool>,
    #[serde(flatten)]
    row: Row,
}

impl Report {
    /// Takes in what a scenario found.
    pub(crate) fn add(&mut self, scenario: &'static str, mode: Mode, row: Row) {
        self.rows.push(Found {
            scenario,
            mode,
            median: median(&row.ours),
            baseline_median: median(&row.baseline),
            ratio: row.ratio(),
            is_met: row.is_met(),
            row,
        });
    }

    /// Everything, a line per figure.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "\n  {:<66} {:>24} {:>24} {:>6} {:>9}\n",
            "median (range)", "ours", "baseline", "ratio", "aim"
        );
        let mut heading = String::new();
        for found in &self.rows {
            let next = format!("{} ({})", found.scenario, found.mode);
            if next != heading {
                let _ = writeln!(table, "{next}");
                heading = next;
            }
            let line = found.row.line();
            let _ = writeln!(table, "{}", line.lines().next().unwrap_or_default());
        }
        table
    }

    /// Every curve, with the medians of its points.
    pub(crate) fn curves(&self) -> Vec<(Curve, Lines)> {
        let mut curves: Vec<(Curve, Lines)> = Vec::new();
        for found in &self.rows {
            let (Some((curve, point)), Some(median)) = (found.row.point, found.median) else {
                continue;
            };
            if !curves.iter().any(|(known, _)| *known == curve) {
                curves.push((curve, Lines::new()));
            }
            for (_, lines) in curves.iter_mut().filter(|(known, _)| *known == curve) {
                lines.entry(found.mode).or_default().push((point, median));
            }
        }
        curves
    }

    /// Everything, as JSON.
    ///
    /// # Errors
    /// Never in practice: figures have a JSON form.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

/// The middle one, or the lower of two; `None` of nothing.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

fn spelled(figures: &[f64]) -> String {
    let Some(median) = median(figures) else {
        return String::new();
    };
    let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let high = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let digits = if median.abs() >= 100.0 { 0 } else { 2 };
    format!("{median:.digits$} ({low:.digits$}-{high:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_by_the_medians() {
        let mut row = Row::new("sends", Aim::Part(0.5));
        assert_eq!(row.is_met(), None);
        row.ours = vec![1.0, 60.0, 50.0];
        row.baseline = vec![100.0, 90.0, 1_000.0];
        assert_eq!((row.ratio(), row.is_met()), (Some(0.5), Some(true)));
        row.aim = Aim::Part(0.51);
        assert_eq!(row.is_met(), Some(false));
        row.aim = Aim::AtMost(0.5);
        assert_eq!(row.is_met(), Some(true));
        row.aim = Aim::AtMost(0.49);
        assert_eq!(row.is_met(), Some(false));
        row.aim = Aim::Over(0.0);
        assert_eq!(row.is_met(), Some(true));
        row.aim = Aim::Below(50.0);
        assert_eq!(row.is_met(), Some(true));
    }

    #[test]
    fn the_table_has_a_line_per_figure() {
        let mut report = Report::default();
        let mut row = Row::new("sends/s", Aim::Part(0.5));
        row.ours = vec![2_000.0];
        row.baseline = vec![1_000.0];
        row.note("p99 ms", 1.5);
        report.add("sends", Mode::Embedded, row);
        let table = report.table();
        assert!(table.contains("sends (embedded)"), "{table}");
        assert!(
            table.contains("2000 (2000-2000)") && table.contains("met"),
            "{table}"
        );
        assert!(report.json().unwrap().contains("\"p99 ms\": 1.5"));
    }
}
