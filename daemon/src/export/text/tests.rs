//! Lines as they must be, and what a parser that is not ours makes of them.

use std::sync::Arc;

use openmetrics_parser::{
    MetricNumber, MetricsExposition, OpenMetricsType, OpenMetricsValue, openmetrics::parse_openmetrics,
    prometheus::parse_prometheus,
};

use crate::{
    export::{Format, Scrape, fixture},
    identity::printable,
    model::Snapshot,
};

fn render(snapshot: &Arc<Snapshot>, format: Format) -> String {
    Scrape::new(snapshot.clone(), format).text()
}

fn has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|have| have == *line), "no line {line} in\n{text}");
    }
}

#[test]
fn buckets_are_cumulative_and_the_sum_is_exact() {
    let text = render(&fixture::snapshot("mmload", true), Format::Prometheus);
    has_lines(
        &text,
        &[
            "mmscope_flush_window_seconds_sum{comm=\"mmload\",cgroup=\"/a\",path=\"mprotect\",kind=\"outer\"} 0.0000015",
            "mmscope_flush_window_seconds_count{comm=\"mmload\",cgroup=\"/a\",path=\"mprotect\",kind=\"outer\"} 3",
            "mmscope_flush_window_seconds_bucket{le=\"2.56e-7\",comm=\"mmload\",cgroup=\"/a\",path=\"mprotect\",kind=\"outer\"} 2",
            "mmscope_flush_window_seconds_bucket{le=\"0.000001024\",comm=\"mmload\",cgroup=\"/a\",path=\"mprotect\",kind=\"outer\"} 3",
            "mmscope_flush_window_seconds_bucket{le=\"+Inf\",comm=\"mmload\",cgroup=\"/a\",path=\"mprotect\",kind=\"outer\"} 3",
            "mmscope_mprotect_vmas_bucket{le=\"4.0\",comm=\"mmload\",cgroup=\"/a\"} 3",
            "mmscope_mmap_lock_operation_seconds_total{comm=\"mmload\",cgroup=\"/a\",operation=\"mprotect\",phase=\"wait\"} 0.001234567",
            "mmscope_tlb_flushes_total{comm=\"mmload\",cgroup=\"/a\",kind=\"range\"} 3",
            "# TYPE mmscope_tlb_flushes_total counter",
            "process_resident_memory_bytes 33554432",
            "process_cpu_seconds_total 0.25",
        ],
    );
    assert!(!text.contains("# EOF") && !text.contains("# UNIT") && !text.contains("pid="), "these are OpenMetrics'");
}

#[test]
fn open_metrics_has_units_exemplars_and_an_end() {
    let text = render(&fixture::snapshot("mmload", true), Format::OpenMetrics);
    assert!(text.ends_with("# EOF\n"));
    has_lines(
        &text,
        &[
            "# TYPE mmscope_tlb_flushes counter",
            "# TYPE mmscope_mmap_lock_operation_seconds counter",
            "# UNIT mmscope_mmap_lock_operation_seconds seconds",
            "# UNIT mmscope_mprotect_vmas vmas",
            "# UNIT process_resident_memory_bytes bytes",
            "mmscope_mmap_lock_hold_seconds_bucket{le=\"0.536870912\",comm=\"mmload\",cgroup=\"/a\",mode=\"write\"} 0",
            "mmscope_mmap_lock_hold_seconds_bucket{le=\"1.073741824\",comm=\"mmload\",cgroup=\"/a\",mode=\"write\"} 1 \
             # {pid=\"7\",tid=\"8\",operation=\"mprotect\",record=\"ff-8-15\"} 0.7 1700000000.042",
            "mmscope_mmap_lock_hold_seconds_bucket{le=\"+Inf\",comm=\"mmload\",cgroup=\"/a\",mode=\"write\"} 2 \
             # {pid=\"7\",tid=\"8\",operation=\"mprotect\",record=\"ff-8-15\"} 9.0 1700000000.042",
        ],
    );
    assert!(!text.contains("# UNIT mmscope_tlb_flushes "));
}

#[test]
fn an_exemplar_waits_until_its_event_is_counted() {
    let mut snapshot = Snapshot::clone(&fixture::snapshot("mmload", true));
    let first = snapshot.subjects.values_mut().next().unwrap();
    let mut counts = crate::intake::Counts::default();
    let mut other = crate::intake::Histogram::default();
    other.buckets[3] = 1;
    counts.add_histogram(probe_common::series::HOLD + 1, &other);
    *first = counts;
    let text = render(&Arc::new(snapshot), Format::OpenMetrics);
    assert!(text.contains("mmscope_mmap_lock_hold_seconds_count") && !text.contains("pid="), "{text}");
}

#[test]
fn what_cannot_be_measured_is_absent_and_said_to_be() {
    let text = render(&fixture::snapshot("mmload", false), Format::Prometheus);
    assert!(!text.contains("mmscope_flush_window_seconds") && !text.contains("mmscope_tlb_flushes"));
    assert!(text.contains(
        "mmscope_probe_attached{probe=\"tlb_gather_mmu\",tier=\"\",reason=\"fentry refused at load: \\\"no\\\"\"} 0"
    ));
}

const HISTOGRAMS: [&str; 3] = ["flush_window_seconds", "hold_seconds", "mprotect_vmas"];

/// What a parser that is not ours reads of the holds: subjects, and for each the count, the sum and the exemplars' pids.
fn holds<T: Clone>(told: &MetricsExposition<T, OpenMetricsValue>) -> Vec<(String, u64, f64, Vec<String>)> {
    let family = &told.families["mmscope_mmap_lock_hold_seconds"];
    let pid = |exemplar: &openmetrics_parser::Exemplar| exemplar.labels["pid"].clone();
    let read = |sample: &openmetrics_parser::Sample<OpenMetricsValue>| {
        let OpenMetricsValue::Histogram(histogram) = &sample.value else { panic!("no histogram") };
        let pids = histogram.buckets.iter().filter_map(|bucket| bucket.exemplar.as_ref().map(pid)).collect();
        let MetricNumber::Float(sum) = histogram.sum.unwrap() else { panic!("{:?}", histogram.sum) };
        let comm = sample.get_labelset().unwrap().get_label_value("comm").unwrap().to_owned();
        (comm, histogram.count.unwrap(), sum, pids)
    };
    family.iter_samples().map(read).collect()
}

#[test]
fn another_parser_reads_open_metrics_with_any_names() {
    let text = render(&fixture::odd(), Format::OpenMetrics);
    // This parser has it that only counters and gauges have units, which OpenMetrics does not say.
    let of_histograms = |line: &&str| line.starts_with("# UNIT ") && HISTOGRAMS.iter().any(|name| line.contains(name));
    let lines: Vec<&str> = text.lines().filter(|line| !of_histograms(line)).collect();
    let told = parse_openmetrics(&(lines.join("\n") + "\n")).unwrap();
    let mut names: Vec<String> = Vec::new();
    for (comm, count, sum, pids) in holds(&told) {
        assert_eq!((count, sum, pids.as_slice()), (2, 9.7, ["7".to_owned(), "7".to_owned()].as_slice()), "{comm}");
        names.push(comm);
    }
    for comm in [printable(fixture::ODD), String::from_utf8_lossy(fixture::ODD).into_owned(), "\n".to_owned()] {
        assert!(names.contains(&comm), "no {comm:?} in {names:?}");
    }
    let flushes = &told.families["mmscope_tlb_flushes"];
    assert!(matches!(flushes.family_type, OpenMetricsType::Counter));
    assert_eq!(told.families["process_cpu_seconds"].unit, "seconds");
}

#[test]
fn another_parser_reads_prometheus_text_with_any_names() {
    let text = render(&fixture::odd(), Format::Prometheus);
    let told = parse_prometheus(&text).unwrap();
    assert_eq!(told.families["mmscope_tlb_flushes_total"].iter_samples().count(), 4 * 2);
    assert_eq!(told.families["mmscope_mmap_lock_hold_seconds"].iter_samples().count(), 4);
}
