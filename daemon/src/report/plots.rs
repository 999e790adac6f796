//! Plots of a recording, as inline SVG. Colours are those of a light page; the page's style has their counterparts for a dark
//! one, found by these very values. Pure.

use plotters::{
    prelude::{
        AreaSeries, ChartBuilder, DrawingArea, IntoDrawingArea as _, LineSeries, PathElement, RGBColor, Rectangle,
        SVGBackend, SeriesLabelPosition,
    },
    style::{Color as _, IntoFont as _, TextStyle},
};
use probe_common::{
    histogram::{BUCKETS, FIRST_BOUND_LOG2},
    series::{FAULT, FAULT_REASONS, FLUSH_KINDS, HOLD, OUTER, PATHS, WAIT},
};

use super::{
    digest::{Digest, Part},
    tables::is_measured,
};
use crate::{
    anomaly::Severity,
    intake::{Counts, Histogram},
    terminal::time,
};

/// A plot with its caption.
pub(super) struct Plot {
    pub(super) caption: &'static str,
    pub(super) svg: String,
}

const SIZE: (u32, u32) = (860, 260);
/// Lines, in their order; the style of the page has them in the same one.
pub(super) const LINES: [RGBColor; 6] = [
    RGBColor(0x1b, 0x5e, 0xa8),
    RGBColor(0xc2, 0x55, 0x0a),
    RGBColor(0x2a, 0x7f, 0x4f),
    RGBColor(0x8a, 0x3f, 0x9d),
    RGBColor(0x6b, 0x6f, 0x00),
    RGBColor(0xa8, 0x1b, 0x4d),
];
/// Text and axes.
const INK: RGBColor = RGBColor(0x22, 0x22, 0x26);
/// Lines of the grid.
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xe2);
/// Times at which a grave alert was raised.
const MARK: RGBColor = RGBColor(0xd0, 0x20, 0x20);

/// A line of a plot.
struct Line {
    name: String,
    /// Seconds since the start, and the value.
    points: Vec<(f64, f64)>,
}

/// All plots that have something to show.
pub(super) fn plots(digest: &Digest) -> Vec<Plot> {
    let rate = |of: fn(&Counts) -> u64| move |part: &Part| of(&part.counts) as f64 / part.seconds();
    let mut plots = Vec::new();
    let mut over_time = |caption: &'static str, unit: &str, family: &str, lines: Vec<Line>| {
        let lines: Vec<Line> =
            lines.into_iter().filter(|line| line.points.iter().any(|(_, value)| *value > 0.0)).collect();
        if is_measured(digest, family)
            && !lines.is_empty()
            && let Some(svg) = draw_lines(digest, unit, &lines)
        {
            plots.push(Plot { caption, svg });
        }
    };
    let line = |name: &str, of: &dyn Fn(&Part) -> f64| Line {
        name: name.to_owned(),
        points: digest.parts.iter().flat_map(|part| step(part, of(part))).collect(),
    };
    let paths = PATHS
        .iter()
        .zip(OUTER..)
        .map(|(path, series)| line(path, &|part| part.counts.histogram(series).count() as f64 / part.seconds()));
    over_time(
        "Pending-flush windows per second, by path",
        "1/s",
        "mmscope_flush_window_seconds",
        busiest(paths.collect()),
    );
    let kinds = FLUSH_KINDS.iter().enumerate();
    let kinds = kinds.map(|(n, kind)| line(kind, &|part| part.counts.flushes[n] as f64 / part.seconds()));
    over_time("TLB flushes per second, by kind", "1/s", "mmscope_tlb_flushes_total", kinds.collect());
    let forced = vec![
        line("unwarranted", &rate(|counts| counts.forced[0])),
        line("warranted", &rate(|counts| counts.forced[1])),
    ];
    over_time("Forced flushes per second", "1/s", "mmscope_forced_flushes_total", forced);
    let spent = |series: u32| move |part: &Part| part.counts.histogram(series).sum_ns as f64 / 1e9 / part.seconds();
    let waits = vec![line("read", &spent(WAIT)), line("write", &spent(WAIT + 1))];
    over_time("Seconds waited for mmap_lock, per second", "s/s", "mmscope_mmap_lock_wait_seconds", waits);
    let holds = vec![line("read", &spent(HOLD)), line("write", &spent(HOLD + 1))];
    over_time("Seconds for which mmap_lock was held, per second", "s/s", "mmscope_mmap_lock_hold_seconds", holds);
    let faults = FAULT_REASONS
        .iter()
        .zip(FAULT..)
        .map(|(reason, series)| line(reason, &|part| part.counts.histogram(series).count() as f64 / part.seconds()));
    over_time("Userfaults per second, by reason", "1/s", "mmscope_userfault_seconds", faults.collect());
    let total = digest.total();
    let mut buckets = |caption: &'static str, first: u32, series: usize| {
        let mut sum = Histogram::default();
        (first..first + series as u32).for_each(|n| sum += &total.histogram(n));
        if let Some(svg) = draw_buckets(&sum) {
            plots.push(Plot { caption, svg });
        }
    };
    buckets("Pending-flush windows by how long they were open", OUTER, PATHS.len());
    buckets("Waits for mmap_lock by how long they took", WAIT, 2);
    buckets("Holds of mmap_lock by how long they took", HOLD, 2);
    buckets("Userfaults by how long they took", FAULT, FAULT_REASONS.len());
    plots
}

/// A value holds for the whole of its part.
fn step(part: &Part, value: f64) -> [(f64, f64); 2] {
    [(part.from.as_secs_f64(), value), (part.to.as_secs_f64(), value)]
}

/// As many as there are colours: the others are hardly to be seen.
fn busiest(mut lines: Vec<Line>) -> Vec<Line> {
    let sum = |line: &Line| line.points.iter().map(|(_, value)| value).sum::<f64>();
    lines.sort_by(|a, b| sum(b).total_cmp(&sum(a)));
    lines.truncate(LINES.len());
    lines
}

fn small() -> TextStyle<'static> {
    ("sans-serif", 13).into_font().color(&INK)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A drawing; none if it cannot be drawn, which is no reason to lose the report.
fn drawn(draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area).ok()?;
        area.present().ok()?;
    }
    Some(svg)
}

fn draw_lines(digest: &Digest, unit: &str, lines: &[Line]) -> Option<String> {
    let end = digest.length.as_secs_f64().max(1e-3);
    let most = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(0.0, f64::max) * 1.05;
    let grave = digest.episodes.iter().filter(|episode| episode.first.severity == Severity::Critical);
    let marks: Vec<f64> = grave.map(|episode| episode.from.as_secs_f64()).collect();
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(18)
            .x_label_area_size(26)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..end, 0.0..most)?;
        chart
            .configure_mesh()
            .light_line_style(GRID.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(small())
            .x_label_formatter(&|seconds| format!("{seconds:.0} s"))
            .y_label_formatter(&|value| format!("{} {unit}", short(*value)))
            .y_labels(6)
            .draw()?;
        for at in marks {
            chart.draw_series([PathElement::new(vec![(at, 0.0), (at, most)], MARK.stroke_width(1))])?;
        }
        if let [line] = lines {
            chart.draw_series(AreaSeries::new(line.points.iter().copied(), 0.0, LINES[0].mix(0.15)))?;
        }
        for (line, colour) in lines.iter().zip(LINES) {
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))?
                .label(line.name.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 14, y)], colour.stroke_width(2)));
        }
        chart.configure_series_labels().position(SeriesLabelPosition::UpperRight).label_font(small()).draw()?;
        Ok(())
    })
}

/// Bars from the first to the last bucket in which there is something.
fn draw_buckets(histogram: &Histogram) -> Option<String> {
    let filled = |n: &usize| histogram.buckets[*n] > 0;
    let (first, last) = ((0..BUCKETS).find(filled)?, (0..BUCKETS).rfind(filled)?);
    let most = histogram.buckets.iter().copied().max()? as f64 * 1.05;
    let bound = |n: usize| if n + 1 < BUCKETS { time(1 << (FIRST_BOUND_LOG2 as usize + n)) } else { "more".to_owned() };
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(18)
            .x_label_area_size(26)
            .y_label_area_size(64)
            .build_cartesian_2d(first as f64..(last + 1) as f64, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(GRID.mix(0.0))
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(small())
            .x_labels((last - first + 2).min(14))
            // A bar ends at the bound of its bucket.
            .x_label_formatter(&|at| match at.round() as usize {
                0 => "0".to_owned(),
                n => bound(n - 1),
            })
            .y_label_formatter(&|value| short(*value))
            .y_labels(6)
            .draw()?;
        let bars = (first..=last).filter(filled).map(|n| {
            let corners = [(n as f64 + 0.08, 0.0), (n as f64 + 0.92, histogram.buckets[n] as f64)];
            Rectangle::new(corners, LINES[0].filled())
        });
        chart.draw_series(bars)?;
        Ok(())
    })
}

/// A number in three digits.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v if v >= 1e3 => format!("{:.1}k", v / 1e3),
        v if v >= 10.0 || v == 0.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        assert_eq!(
            [0.0, 0.123, 1.25, 99.6, 1234.0, 56_789.0, 2.5e6].map(short),
            ["0", "0.12", "1.2", "100", "1.2k", "57k", "2.5M"]
        );
    }

    #[test]
    fn bars_are_drawn_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert!(draw_buckets(&histogram).is_none());
        (histogram.buckets[3], histogram.buckets[5]) = (7, 2);
        let svg = draw_buckets(&histogram).unwrap();
        assert_eq!(svg.matches("fill=\"#1B5EA8\"").count(), 2, "{svg}");
        assert!(svg.starts_with("<svg ") && svg.contains("2.0us"), "{svg}");
    }
}
