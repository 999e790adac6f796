//! All that is known of one subject: sums, distributions by path, mode and reason, operations, single events.

use std::{collections::BTreeMap, time::SystemTime};

use maud::{Markup, html};
use probe_common::series::{
    FAULT, FAULT_REASONS, FLUSH_KINDS, HOLD, INNER, IOCTL, IOCTLS, OPERATIONS, OUTER, PATHS, SHOOTDOWN, WAIT,
};
use serde::Serialize;

use super::{
    Moment, missing,
    origin::{Head, millis},
    subjects::{self, Sums},
    words,
    wrong::Wrong,
};
use crate::{
    history::{MINUTES, Measure, Measures},
    identity::Subject,
    intake::{Counts, Histogram},
    model::{Exemplar, Exemplars},
};

/// The family of flushes.
const FLUSHES: &str = "mmscope_tlb_flushes_total";

const MODES: [&str; 2] = ["read", "write"];

/// One subject.
#[derive(Serialize)]
pub(super) struct About {
    host: Head,
    #[serde(flatten)]
    subject: Subject,
    wrong: Wrong,
    recent: Sums,
    /// None for who is part of "other" in all that is told since the start.
    total: Option<Sums>,
    not_measured: BTreeMap<&'static str, String>,
    /// What was added minute by minute, the running one last.
    minutes: Vec<Sums>,
    /// Uptime at the beginning of the running minute.
    minute_ms: u64,
    tables: Vec<Table>,
    operations: Vec<Operation>,
    /// None where flushes are not told.
    flushes: BTreeMap<&'static str, u64>,
    forced: BTreeMap<&'static str, u64>,
    windows_open: u64,
    userfaults_in_flight: u64,
    errors: Vec<(String, u64)>,
    events: Vec<Event>,
}

/// Durations of one kind.
#[derive(Serialize)]
struct Table {
    title: &'static str,
    rows: Vec<Row>,
    missing: Option<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    count: u64,
    sum_ns: u64,
    buckets: Vec<u64>,
    #[serde(skip)]
    histogram: Histogram,
}

#[derive(Serialize)]
struct Operation {
    operation: &'static str,
    hold_ns: u64,
    wait_ns: u64,
}

#[derive(Serialize)]
struct Event {
    what: String,
    duration_ns: u64,
    operation: &'static str,
    tgid: u32,
    tid: u32,
    at: String,
    /// As log lines and exemplars have it.
    record: String,
}

fn rows(counts: &Counts, first: u32, names: &[&str], suffix: &str) -> Vec<Row> {
    let named = names.iter().enumerate();
    let rows = named.filter_map(|(n, name)| Some((name, *counts.known_histogram(first + n as u32)?)));
    rows.map(|(name, histogram)| Row {
        name: format!("{name}{suffix}"),
        count: histogram.count(),
        sum_ns: histogram.sum_ns,
        buckets: histogram.buckets.to_vec(),
        histogram,
    })
    .collect()
}

impl About {
    /// None if nobody of that name is told apart, and had nothing in the last 15 minutes.
    pub(super) fn new(moment: &Moment<'_>, subject: &Subject) -> Option<Self> {
        let Moment { snapshot, history, .. } = moment;
        let known = snapshot.subjects.get(subject);
        let minutes = history.minutes(subject);
        if known.is_none() && minutes.is_none() {
            return None;
        }
        let (nothing, minutes) = (Counts::default(), minutes.unwrap_or_default());
        let counts = known.unwrap_or(&nothing);
        let hooks = &snapshot.hooks;
        let table = |title, family, rows| Table { title, missing: missing(family, hooks), rows };
        let mut windows = rows(counts, OUTER, &PATHS, "");
        windows.extend(rows(counts, INNER, &PATHS, ", inner"));
        let tables = vec![
            table("Pending-flush windows, by path", "mmscope_flush_window_seconds", windows),
            table("mmap_lock held", "mmscope_mmap_lock_hold_seconds", rows(counts, HOLD, &MODES, "")),
            table("mmap_lock waited for", "mmscope_mmap_lock_wait_seconds", rows(counts, WAIT, &MODES, "")),
            table("Userfaults, by reason", "mmscope_userfault_seconds", rows(counts, FAULT, &FAULT_REASONS, "")),
            table("userfaultfd ioctls", "mmscope_uffd_ioctl_seconds", rows(counts, IOCTL, &IOCTLS, "")),
            table("Shootdowns", "mmscope_tlb_shootdown_seconds", rows(counts, SHOOTDOWN, &["other CPUs asked"], "")),
        ];
        let operation =
            |(n, &operation)| Operation { operation, hold_ns: counts.hold_ns[n], wait_ns: counts.wait_ns[n] };
        let mut operations: Vec<Operation> = OPERATIONS.iter().enumerate().map(operation).collect();
        operations.retain(|operation| operation.hold_ns + operation.wait_ns > 0);
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.hold_ns + operation.wait_ns));
        Some(Self {
            host: Head::new(moment),
            subject: subject.clone(),
            wrong: Wrong::about(moment, subject),
            recent: sum(&minutes).into(),
            total: known.map(|counts| Measure::of(counts).into()),
            not_measured: subjects::not_measured(moment),
            minutes: minutes.into_iter().map(Sums::from).collect(),
            minute_ms: millis(history.uptime()) / 60_000 * 60_000,
            tables,
            operations,
            flushes: match missing(FLUSHES, &moment.snapshot.hooks) {
                None => FLUSH_KINDS.into_iter().zip(counts.flushes).collect(),
                Some(_) => BTreeMap::new(),
            },
            forced: ["unwarranted", "warranted"].into_iter().zip(counts.forced).collect(),
            windows_open: counts.windows_opened.saturating_sub(counts.windows_closed),
            userfaults_in_flight: counts.faults_begun.saturating_sub(counts.faults_ended),
            errors: errors(counts),
            events: snapshot.exemplars.get(subject).map(events).unwrap_or_default(),
        })
    }

    pub(super) fn title(&self) -> &str {
        &self.subject.comm
    }

    pub(super) fn summary(&self) -> String {
        self.wrong.summary()
    }

    pub(super) fn html(&self) -> Markup {
        html! {
            section #about data-summary=(self.summary()) {
                p.back { a href="./" { "← all subjects" } }
                h1 { (self.subject.comm) (subjects::cgroup(&self.subject)) }
                (self.wrong.alerts_html())
                (self.figures())
                (subjects::reasons(&self.not_measured))
            }
            section aria-labelledby="h-minutes" {
                h2 #h-minutes { "The last " (MINUTES) " minutes " span.note { "time in each minute" } }
                div.minutes #minutes data-keep {}
                noscript { p.note { "The chart needs JavaScript; the table does not." } }
                details #minutes-table { summary { "As a table" } (self.minutes_html()) }
            }
            @if self.total.is_some() {
                section aria-labelledby="h-durations" {
                    h2 #h-durations { "Durations since the start" }
                    @for (n, table) in self.tables.iter().enumerate() { (table.html(n)) }
                }
                section.two {
                    div { (self.operations()) }
                    div { (self.counters()) }
                }
            } @else {
                section {
                    p.empty { "What it did since the start is part of " a href="subject?comm=other&cgroup=" { "other" }
                        ", there and in the metrics: a host that does little, or has too many subjects, tells few of them apart." }
                }
            }
            @if self.wrong.has_told() { section { (self.wrong.told_html()) } }
            section aria-labelledby="h-events" {
                h2 #h-events { "Single events " span.note { "over their thresholds, of the last five minutes" } }
                (self.events_html())
            }
        }
    }

    fn figures(&self) -> Markup {
        html! {
            dl.figures {
                @for measure in Measure::ALL {
                    div {
                        dt { (subjects::title(measure)) }
                        @if self.not_measured.contains_key(measure.name()) {
                            dd { "n/a" span.sub { "not measured" } }
                        } @else {
                            dd { (self.recent.text(measure))
                                span.sub { "last 15 min"
                                    @if let Some(total) = &self.total { "; since start " (total.text(measure)) } } }
                        }
                    }
                }
            }
        }
    }

    fn minutes_html(&self) -> Markup {
        html! {
            div.scroll tabindex="0" role="region" aria-label="Table of the last minutes" {
                table {
                    caption.hidden { "The last minutes, the running one first" }
                    thead { tr {
                        th scope="col" { "Minute" }
                        @for measure in Measure::ALL { th.n scope="col" { (subjects::title(measure)) } }
                    } }
                    tbody {
                        @for (ago, sums) in self.minutes.iter().rev().enumerate() {
                            tr id={"minute-" (ago)} {
                                th scope="row" { @if ago == 0 { "running" } @else { (ago) " min ago" } }
                                @for measure in Measure::ALL {
                                    td.n { @if self.not_measured.contains_key(measure.name()) { span.absent { "n/a" } }
                                        @else { (sums.text(measure)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn operations(&self) -> Markup {
        html! {
            h2 { "mmap_lock by operation" }
            @if self.operations.is_empty() { p.empty { "Neither held nor waited for." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Table of operations" {
                    table {
                        caption.hidden { "mmap_lock by operation, since the start" }
                        thead { tr { th scope="col" { "Operation" } th.n scope="col" { "Held" } th.n scope="col" { "Waited" } } }
                        tbody {
                            @for Operation { operation, hold_ns, wait_ns } in &self.operations {
                                tr id={"op-" (operation)} {
                                    th scope="row" { (operation) }
                                    @for (measure, ns) in [(Measure::Hold, *hold_ns), (Measure::Wait, *wait_ns)] {
                                        td.n { @if self.not_measured.contains_key(measure.name()) { span.absent { "n/a" } }
                                            @else { (words::time(ns)) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn counters(&self) -> Markup {
        html! {
            h2 { "Counted since the start" }
            ul.pairs {
                @if !self.flushes.is_empty() {
                    li { "TLB flushes:"
                        @for (kind, count) in &self.flushes { " " span.pair { (kind) " " b { (words::count(*count)) } } } }
                }
                @if !self.not_measured.contains_key(Measure::Forced.name()) {
                    li { "Forced flushes:"
                        @for (kind, count) in &self.forced { " " span.pair { (kind) " " b { (words::count(*count)) } } } }
                }
                @if !self.not_measured.contains_key(Measure::Windows.name()) {
                    li { "Windows open now: " b { (words::count(self.windows_open)) } }
                }
                @if !self.not_measured.contains_key(Measure::Userfaults.name()) {
                    li { "Userfaults in flight: " b { (words::count(self.userfaults_in_flight)) } }
                }
                @for (what, count) in &self.errors { li { "Failed ioctls, " code { (what) } ": " b { (words::count(*count)) } } }
            }
            @if self.wrong.has_hazards() { h3 { "Hazards" } (self.wrong.totals_html()) }
        }
    }

    fn events_html(&self) -> Markup {
        html! {
            @if self.events.is_empty() { p.empty { "None." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Table of single events" {
                    table.events {
                        caption.hidden { "Single events" }
                        thead { tr {
                            th scope="col" { "Ended" } th scope="col" { "What" } th.n scope="col" { "Took" }
                            th scope="col" { "Operation" } th scope="col" { "Process / thread" } th scope="col" { "Record" }
                        } }
                        tbody {
                            @for event in &self.events {
                                tr id={"event-" (event.record)} {
                                    td { (event.at) } th scope="row" { (event.what) } td.n { (words::time(event.duration_ns)) }
                                    td { (event.operation) } td { (event.tgid) " / " (event.tid) } td { code { (event.record) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Table {
    fn html(&self, n: usize) -> Markup {
        html! {
            @if let Some(reason) = &self.missing {
                p.absent { strong { (self.title) } " cannot be measured on this kernel: " (reason) }
            } @else if !self.rows.is_empty() {
                div.scroll tabindex="0" role="region" aria-label={"Table: " (self.title)} {
                    table.spread {
                        caption { (self.title) }
                        thead { tr {
                            th scope="col" { "" span.hidden { "Name" } }
                            th.n scope="col" { "Events" } th.n scope="col" { "Time" }
                            th.n scope="col" { "Half" } th.n scope="col" { "99 %" } th.n scope="col" { "Longest" }
                            th scope="col" { "Spread " span.note { "256 ns to 8.6 s" } }
                        } }
                        tbody {
                            @for row in &self.rows {
                                tr id={"row-" (n) "-" (words::encoded(&row.name))} {
                                    th scope="row" { (row.name) }
                                    td.n { (words::count(row.count)) } td.n { (words::time(row.sum_ns)) }
                                    @for part in [0.5, 0.99, 1.0] { td.n { (words::quantile(&row.histogram.buckets, part)) } }
                                    td { (spread(&row.histogram)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A little chart of a histogram: a bar for each bucket, as high as the logarithm of its events.
fn spread(histogram: &Histogram) -> Markup {
    let most = histogram.buckets.iter().copied().max().unwrap_or_default();
    let height = |count: u64| (count as f64 + 1.0).ln() / (most as f64 + 1.0).ln() * 20.0;
    html! {
        svg.spread viewBox={"0 0 " (histogram.buckets.len() * 5) " 22"} aria-hidden="true" focusable="false" {
            rect.floor y="21" width=(histogram.buckets.len() * 5) height="1" {}
            @for (n, &count) in histogram.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
                rect.part x=(n * 5) width="4" y=(format!("{:.1}", 21.0 - height(count))) height=(format!("{:.1}", height(count))) {}
            }
        }
    }
}

fn sum(minutes: &[Measures; MINUTES]) -> Measures {
    let mut sum = Measures::default();
    for minute in minutes {
        for (sum, add) in sum.iter_mut().zip(minute) {
            *sum += add;
        }
    }
    sum
}

fn errors(counts: &Counts) -> Vec<(String, u64)> {
    let named = counts.errors.iter().map(|(&(ioctl, errno), &count)| {
        let ioctl = IOCTLS.get(usize::from(ioctl)).copied().unwrap_or("other");
        (format!("{ioctl} {:?}", nix::errno::Errno::from_raw(i32::from(errno))), count)
    });
    named.collect()
}

/// The latest first.
fn events(exemplars: &Exemplars) -> Vec<Event> {
    let names = [
        ("window", OUTER, &PATHS[..]),
        ("wait", WAIT, &MODES),
        ("hold", HOLD, &MODES),
        ("userfault", FAULT, &FAULT_REASONS),
        ("shootdown", SHOOTDOWN, &[""]),
    ];
    let mut all: Vec<(String, &Exemplar)> = Vec::new();
    for (what, first, labels) in names {
        for (n, label) in labels.iter().enumerate() {
            let of = exemplars.of(first + n as u32).iter();
            all.extend(of.map(|exemplar| (format!("{what} {label}"), exemplar)));
        }
    }
    all.sort_by_key(|(_, exemplar)| std::cmp::Reverse(exemplar.end));
    let told = all.into_iter().map(|(what, exemplar)| Event {
        what,
        duration_ns: exemplar.duration_ns,
        operation: OPERATIONS.get(exemplar.operation as usize).copied().unwrap_or("other"),
        tgid: exemplar.tgid,
        tid: exemplar.tid(),
        at: time(exemplar.end),
        record: exemplar.id.to_string(),
    });
    told.collect()
}

/// Time of day, UTC.
fn time(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH)).to_string();
    text.get(11..23).unwrap_or_default().to_owned()
}
