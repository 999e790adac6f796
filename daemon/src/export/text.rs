//! The two text formats of a scrape. OpenMetrics has units and exemplars, and describes a counter without its `_total`.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use probe_common::histogram::{BUCKETS, FINITE};

use super::{
    buckets::Buckets,
    catalogue::{Family, Kind},
    exemplars,
    families::Value,
};
use crate::model::{Exemplar, Snapshot};

/// The last line of OpenMetrics.
pub(super) const END: &str = "# EOF\n";

/// Writes a family with all its series; nothing if it has none.
pub(super) fn encode(family: &Family, snapshot: &Snapshot, is_open_metrics: bool, out: &mut String) {
    let mut is_described = false;
    let mut labels = String::new();
    (family.collect)(snapshot, &mut |values, value| {
        if !std::mem::replace(&mut is_described, true) {
            describe(family, is_open_metrics, out);
        }
        labels.clear();
        for (name, value) in family.labels.iter().zip(values) {
            label(&mut labels, name, value);
        }
        let line = Line { name: family.name, labels: &labels };
        match value {
            Value::Whole(value) if family.kind == Kind::Counter => line.number(out, "", value),
            Value::Whole(value) => line.number(out, "", value.min(i64::MAX as u64)),
            Value::Seconds(value) | Value::Ratio(value) => line.real(out, "", value),
            Value::Buckets(buckets) => histogram(&line, &buckets, is_open_metrics, out),
        }
    });
}

fn describe(family: &Family, is_open_metrics: bool, out: &mut String) {
    let name = if is_open_metrics { family.base_name() } else { family.name };
    let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {}", family.help, family.kind.name());
    if is_open_metrics && let Some(unit) = family.unit() {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
}

/// Adds a label behind those that are there.
fn label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            c => labels.push(c),
        }
    }
    labels.push('"');
}

/// What all lines of a series have in common.
struct Line<'a> {
    name: &'a str,
    labels: &'a str,
}

impl Line<'_> {
    fn begin(&self, out: &mut String, suffix: &str) {
        out.push_str(self.name);
        out.push_str(suffix);
        if !self.labels.is_empty() {
            out.extend(["{", self.labels, "}"]);
        }
        out.push(' ');
    }

    fn number(&self, out: &mut String, suffix: &str, value: u64) {
        self.begin(out, suffix);
        let _ = writeln!(out, "{value}");
    }

    fn real(&self, out: &mut String, suffix: &str, value: f64) {
        self.begin(out, suffix);
        out.push_str(dtoa::Buffer::new().format(value));
        out.push('\n');
    }
}

fn histogram(line: &Line<'_>, buckets: &Buckets<'_>, is_open_metrics: bool, out: &mut String) {
    line.real(out, "_sum", buckets.sum());
    line.number(out, "_count", buckets.histogram.count());
    let comma = if line.labels.is_empty() { "" } else { "," };
    let mut exemplars = buckets.exemplars().peekable();
    let mut sum = 0;
    for n in 0..BUCKETS {
        sum += buckets.histogram.buckets[n];
        out.extend([line.name, "_bucket{le=\""]);
        let mut bound = dtoa::Buffer::new();
        out.push_str(if n == FINITE { "+Inf" } else { bound.format(buckets.bound(n)) });
        let _ = write!(out, "\"{comma}{}}} {sum}", line.labels);
        if let Some(exemplar) = exemplars.next_if(|exemplar| exemplar.bucket() == n)
            && is_open_metrics
        {
            tell(exemplar, buckets.value(exemplar.duration_ns), out);
        }
        out.push('\n');
    }
}

/// An exemplar behind the bucket that it stands for.
fn tell(exemplar: &Exemplar, value: f64, out: &mut String) {
    let mut labels = String::new();
    for (name, value) in exemplars::labels(exemplar) {
        label(&mut labels, name, &value);
    }
    let end = exemplar.end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut digits = dtoa::Buffer::new();
    let value = digits.format(value);
    let _ = write!(out, " # {{{labels}}} {value} {}.{:03}", end.as_secs(), end.subsec_millis());
}

#[cfg(test)]
mod tests;
