//! The two text formats of a scrape. prometheus-client writes OpenMetrics; Prometheus's own format differs in the
//! names of counters in their descriptions and in the end mark.

use std::fmt::{self, Write as _};

use probe_common::histogram::{BUCKETS, FIRST_BOUND_LOG2};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Registry,
};

use super::{
    catalogue::{CATALOGUE, Family, Kind},
    families::Value,
};
use crate::{intake::Histogram, model::Snapshot};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Prometheus,
}

impl Format {
    /// Chooses by an Accept header: OpenMetrics for those who prefer it, Prometheus for all others.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let quality = |wanted: &str| -> f32 {
            accept
                .into_iter()
                .flat_map(|accept| accept.split(','))
                .filter_map(|range| {
                    let mut parts = range.split(';').map(str::trim);
                    if !parts.next()?.eq_ignore_ascii_case(wanted) {
                        return None;
                    }
                    let quality = parts.find_map(|part| part.strip_prefix("q="));
                    Some(quality.and_then(|text| text.parse().ok()).unwrap_or(1.0))
                })
                .fold(0.0, f32::max)
        };
        let open_metrics = quality("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= quality("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The Content-Type of it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The whole scrape.
///
/// # Errors
///
/// Never in practice: writing into a string does not fail.
pub fn render(snapshot: &std::sync::Arc<Snapshot>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(snapshot.clone())));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    match format {
        Format::OpenMetrics => Ok(out),
        Format::Prometheus => prometheus(&out),
    }
}

#[derive(Debug)]
struct Exposition(std::sync::Arc<Snapshot>);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in CATALOGUE.iter().filter(|family| family.is_measured(&self.0.hooks)) {
            encode(family, &self.0, &mut encoder)?;
        }
        Ok(())
    }
}

type NoExemplar<'a> = Option<&'a Exemplar<[(&'static str, &'static str); 0], f64>>;

fn encode(family: &Family, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let name = family.name.strip_suffix("_total").unwrap_or(family.name);
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut descriptor: Option<MetricEncoder<'_>> = None;
    let mut encoder = Some(encoder);
    let mut result = Ok(());
    (family.collect)(snapshot, &mut |values, value| {
        // A family without series is not described either.
        if descriptor.is_none()
            && let Some(encoder) = encoder.take()
        {
            match encoder.encode_descriptor(name, family.help, None, kind) {
                Ok(metric) => descriptor = Some(metric),
                Err(error) => result = Err(error),
            }
        }
        if let Some(metric) = &mut descriptor {
            let labels: Vec<(&str, &str)> = family.labels.iter().copied().zip(values.iter().copied()).collect();
            result = result.and_then(|()| encode_series(family.kind, &labels, value, metric));
        }
    });
    result
}

fn encode_series(kind: Kind, labels: &[(&str, &str)], value: Value<'_>, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    if labels.is_empty() {
        return encode_value(kind, value, metric);
    }
    encode_value(kind, value, &mut metric.encode_family(&labels)?)
}

fn encode_value(kind: Kind, value: Value<'_>, series: &mut MetricEncoder<'_>) -> fmt::Result {
    let none: NoExemplar<'_> = None;
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => series.encode_counter(&value, none),
        (Kind::Counter, Value::Nanoseconds(ns)) => series.encode_counter(&seconds(ns), none),
        (Kind::Counter, Value::Seconds(value) | Value::Ratio(value)) => series.encode_counter(&value, none),
        (_, Value::Whole(value)) => series.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
        (_, Value::Nanoseconds(ns)) => series.encode_gauge(&seconds(ns)),
        (_, Value::Seconds(value) | Value::Ratio(value)) => series.encode_gauge(&value),
        (_, Value::Histogram(histogram)) => encode_histogram(histogram, seconds, series),
        (_, Value::Numbers(histogram, unit_log2)) => {
            encode_histogram(histogram, |units| units as f64 / f64::from(1 << unit_log2), series)
        }
    }
}

fn encode_histogram(histogram: &Histogram, value: impl Fn(u64) -> f64, series: &mut MetricEncoder<'_>) -> fmt::Result {
    let bound = |n| if n + 1 == BUCKETS { f64::INFINITY } else { value(1_u64 << (FIRST_BOUND_LOG2 as usize + n)) };
    let buckets: Vec<(f64, u64)> = (0..BUCKETS).map(|n| (bound(n), histogram.buckets[n])).collect();
    series.encode_histogram::<[(&str, &str); 0]>(value(histogram.sum_ns), histogram.count(), &buckets, None)
}

/// Nanoseconds inside, seconds only here.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Prometheus text from OpenMetrics text.
fn prometheus(open_metrics: &str) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(open_metrics.len() + 1024);
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Whether the name needs `_total` is told by the line of its type, which follows.
            help = Some(rest);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(fmt::Error)?;
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take().and_then(|help| help.split_once(' ')) {
                writeln!(out, "# HELP {name}{suffix} {text}")?;
            }
            writeln!(out, "# TYPE {name}{suffix} {kind}")?;
        } else if !line.starts_with('#') {
            writeln!(out, "{line}")?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        identity::Subject,
        intake::Counts,
        plan::{HOOKS, HookState, Tier},
    };

    fn snapshot(comm: &str, attached: bool) -> Arc<Snapshot> {
        let state = if attached {
            HookState::Attached(Tier::F)
        } else {
            HookState::Absent("fentry refused at load: \"no\"".to_owned())
        };
        let mut histogram = Histogram { sum_ns: 1_500, ..Histogram::default() };
        histogram.buckets[0] = 2;
        histogram.buckets[2] = 1;
        let mut counts = Counts { flushes: [3, 0, 1], ..Counts::default() };
        counts.add_histogram(probe_common::series::OUTER, &histogram);
        let subject = Subject { comm: comm.to_owned(), cgroup: "/a".to_owned() };
        Arc::new(Snapshot {
            subjects: [(subject, counts)].into(),
            hooks: vec![state; HOOKS.len()],
            lost: vec![0; probe_common::lost::COUNT],
            pending_mismatches: Some(0),
            ..Snapshot::default()
        })
    }

    #[test]
    fn buckets_are_cumulative_and_the_sum_is_exact() {
        let text = render(&snapshot("mmload", true), Format::Prometheus).unwrap();
        let labels = "comm=\"mmload\",cgroup=\"/a\",path=\"mprotect\",kind=\"outer\"";
        for line in [
            format!("mmscope_flush_window_seconds_sum{{{labels}}} 0.0000015"),
            format!("mmscope_flush_window_seconds_count{{{labels}}} 3"),
            format!("mmscope_flush_window_seconds_bucket{{le=\"2.56e-7\",{labels}}} 2"),
            format!("mmscope_flush_window_seconds_bucket{{le=\"0.000001024\",{labels}}} 3"),
            format!("mmscope_flush_window_seconds_bucket{{le=\"+Inf\",{labels}}} 3"),
            "mmscope_tlb_flushes_total{comm=\"mmload\",cgroup=\"/a\",kind=\"range\"} 3".to_owned(),
            "# TYPE mmscope_tlb_flushes_total counter".to_owned(),
        ] {
            assert!(text.lines().any(|have| have == line), "no line {line} in\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    }

    #[test]
    fn open_metrics_ends_with_its_mark() {
        let text = render(&snapshot("mmload", true), Format::OpenMetrics).unwrap();
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("# TYPE mmscope_tlb_flushes counter\n"));
        assert!(text.contains("mmscope_tlb_flushes_total{"));
    }

    #[test]
    fn what_cannot_be_measured_is_absent_and_said_to_be() {
        let text = render(&snapshot("mmload", false), Format::Prometheus).unwrap();
        assert!(!text.contains("mmscope_flush_window_seconds") && !text.contains("mmscope_tlb_flushes"));
        assert!(text.contains(
            "mmscope_probe_attached{probe=\"tlb_gather_mmu\",tier=\"\",reason=\"fentry refused at load: \\\"no\\\"\"} 0"
        ));
    }

    #[test]
    fn any_name_gives_a_line_that_can_be_read() {
        let text = render(&snapshot("a\"b\\c\nd", true), Format::Prometheus).unwrap();
        assert!(text.contains("comm=\"a\\\"b\\\\c\\nd\""), "{text}");
    }

    #[test]
    fn the_accept_header_chooses() {
        let choose = |accept| Format::accepted(Some(accept));
        assert_eq!(Format::accepted(None), Format::Prometheus);
        assert_eq!(choose("*/*"), Format::Prometheus);
        assert_eq!(choose("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), Format::OpenMetrics);
        assert_eq!(choose("application/openmetrics-text;q=0.2,text/plain;q=0.5"), Format::Prometheus);
        assert_eq!(choose("application/openmetrics-text;q=0"), Format::Prometheus);
    }
}
