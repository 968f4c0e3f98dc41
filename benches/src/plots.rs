//! How costs grow, as drawings: a curve each, a line per mode, both axes logarithmic.

use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::deployment::Mode;
use crate::figures::{Curve, Lines};

const SIZE: (u32, u32) = (640, 400);
const FONT: &str = "sans-serif";
/// Where the lines begin.
const LEFT: i32 = 76;
const INK: RGBColor = RGBColor(36, 41, 47);
const GRID: RGBColor = RGBColor(208, 215, 222);

/// Draws a curve into a folder.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn draw(curve: Curve, lines: &Lines, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("{}.svg", curve.name));
    // White, so that it can be read on a dark page too.
    let area = SVGBackend::new(&file, SIZE).into_drawing_area();
    draw_on(&area, curve, lines).with_context(|| file.display().to_string())
}

fn draw_on(area: &DrawingArea<SVGBackend<'_>, Shift>, curve: Curve, lines: &Lines) -> anyhow::Result<()> {
    area.fill(&WHITE)?;
    let area = area
        .margin(8, 0, 0, 0)
        .titled(&curve.title(), (FONT, 20).into_font().color(&INK))?;
    let (legend, area) = area.split_vertically(24);
    let points = || lines.values().flatten();
    let (left, right) = bounds(points().map(|(x, _)| *x));
    let (bottom, top) = bounds(points().map(|(_, y)| *y));
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .margin_right(40)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(curve.with)
        .y_desc(curve.unit)
        .axis_style(INK)
        .label_style((FONT, 16).into_font().color(&INK))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|x| spelled(*x))
        .y_label_formatter(&|y| spelled(*y))
        .draw()?;
    for (left, (mode, line)) in (LEFT..).step_by(120).zip(lines) {
        let colour = match mode {
            Mode::Embedded => RGBColor(9, 105, 218),
            Mode::Cluster => RGBColor(188, 76, 0),
        };
        let style = colour.stroke_width(2);
        chart.draw_series(LineSeries::new(line.iter().copied(), style))?;
        chart.draw_series(line.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        legend.draw(&PathElement::new([(left, 12), (left + 20, 12)], style))?;
        let name = (FONT, 16).into_font().color(&INK);
        legend.draw(&Text::new(mode.to_string(), (left + 26, 6), name))?;
    }
    Ok(area.present()?)
}

/// The powers of ten that these lie between, at least two of them apart: what hardly grows looks like it.
fn bounds(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil();
    // A little below, so that the lowest of them is marked too.
    (10_f64.powf(low) * 0.999, 10_f64.powf(high.max(low + 2.0)))
}

/// A number as people read it: 0.1, 10, 1,000.
fn spelled(value: f64) -> String {
    if value < 1.0 {
        return value.to_string();
    }
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_becomes_a_drawing() {
        let folder = tempfile::tempdir().unwrap();
        let curve = Curve {
            name: "sends",
            cost: "send to ack p50",
            unit: "ms",
            with: "members",
        };
        let lines = [
            (Mode::Embedded, vec![(2.0, 0.9), (10.0, 1.0), (100.0, 3.0)]),
            (Mode::Cluster, vec![(2.0, 1.2), (10.0, 1.4), (100.0, 4.0)]),
        ];
        draw(curve, &lines.into(), folder.path()).unwrap();
        let svg = std::fs::read_to_string(folder.path().join("sends.svg")).unwrap();
        for text in ["send to ack p50", "ms", "members", "embedded", "cluster"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn axes_go_from_one_power_of_ten_to_another() {
        assert_eq!(bounds([2.0, 900.0].into_iter()), (0.999, 1_000.0));
        assert_eq!(bounds([10.0].into_iter()), (9.99, 1_000.0));
        assert_eq!((spelled(0.1), spelled(1e6)), ("0.1".into(), "1,000,000".into()));
    }
}
