//! All of one subject.

use std::{collections::BTreeMap, time::Duration};

use ratatui::{style::Style, text::Line};

use super::{Look, subjects, title, wrapped, wrong};
use crate::top::{
    rows::Column,
    state::Detail,
    told::{About, Sums, Table},
    words,
};

/// The view.
pub(super) fn lines(detail: &Detail, look: Look, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![title(subjects::name(&detail.subject))];
    if detail.is_nobody {
        let gone = "Nobody of this name is told apart any more: it was quiet for so long that another one took its place, or the \
            daemon was started again.";
        lines.extend(wrapped(gone, 0, width, Look::bold()));
    }
    let Some(about) = &detail.about else {
        if !detail.is_nobody {
            lines.push(Line::raw("No answer yet."));
        }
        return lines;
    };
    lines.extend(wrong::alerts(&about.wrong, about.host.uptime_ms, look, width));
    lines.extend(sums(about, look));
    let mut absent: Vec<&str> = about.not_measured.values().map(String::as_str).collect();
    absent.dedup();
    for reason in absent {
        lines.extend(wrapped(&format!("n/a: {reason}"), 2, width, Look::quiet()));
    }
    if about.total.is_none() {
        lines.push(Line::raw("What it did since the start is part of \"other\"."));
    } else {
        about.tables.iter().for_each(|table| lines.extend(self::table(table, look, width)));
        lines.extend(operations(about));
        lines.extend(counters(about));
    }
    if !about.wrong.hazards.is_empty() {
        lines.push(title("Hazards (last 15 min: of all subjects)"));
        lines.extend(wrong::hazards(&about.wrong.hazards));
    }
    lines.extend(events(about));
    lines
}

/// Sums of both periods, and of each minute as a chart.
fn sums(about: &About, look: Look) -> Vec<Line<'static>> {
    let up = words::span(Duration::from_millis(about.host.uptime_ms));
    let head = format!("{:<12} {:>11} {:>11}  {}", format!("at {up}"), "LAST 15 MIN", "SINCE START", "EACH MINUTE");
    let mut lines = vec![title(head)];
    for column in Column::ALL.into_iter().filter(|column| *column != Column::Hazards) {
        let is_absent = column.measure().is_some_and(|measure| about.not_measured.contains_key(measure));
        let cell = |sums: Option<&Sums>| {
            let Some(sums) = sums else { return "in other".to_owned() };
            let figure = column.of(sums).filter(|_| !is_absent);
            figure.map_or_else(
                || words::ABSENT.to_owned(),
                |figure| if column.is_count() { words::count(figure) } else { words::time(figure) },
            )
        };
        let minutes: Option<Vec<u64>> = about.minutes.iter().map(|minute| column.of(minute)).collect();
        let chart = minutes.filter(|_| !is_absent).map(|minutes| look.glyphs.spark(&minutes)).unwrap_or_default();
        let (recent, total) = (cell(Some(&about.recent)), cell(about.total.as_ref()));
        lines.push(Line::raw(format!("{:<12} {recent:>11} {total:>11}  {chart}", column.title())));
    }
    lines
}

fn table(table: &Table, look: Look, width: usize) -> Vec<Line<'static>> {
    if let Some(reason) = &table.missing {
        let text = format!("{}: cannot be measured on this kernel: {reason}", table.title);
        return wrapped(&text, 0, width, Look::quiet());
    }
    if table.rows.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        title(table.title.clone()),
        title(format!("  {:<16} {:>8} {:>8} {:>9} {:>9}  {}", "", "EVENTS", "TIME", "HALF", "99 %", "256ns to 8.6s")),
    ];
    for row in &table.rows {
        let (count, sum) = (words::count(row.count), words::time(row.sum_ns));
        let [half, most] = [0.5, 0.99].map(|part| words::quantile(&row.buckets, part));
        let chart = look.glyphs.spark(&row.buckets);
        lines.push(Line::raw(format!("  {:<16} {count:>8} {sum:>8} {half:>9} {most:>9}  {chart}", row.name)));
    }
    lines
}

fn operations(about: &About) -> Vec<Line<'static>> {
    if about.operations.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![title(format!("{:<18} {:>9} {:>9}", "mmap_lock, since start", "HELD", "WAITED"))];
    for operation in &about.operations {
        let cell = |measure: &str, ns: u64| {
            if about.not_measured.contains_key(measure) { words::ABSENT.to_owned() } else { words::time(ns) }
        };
        let (held, waited) = (cell("hold", operation.hold_ns), cell("wait", operation.wait_ns));
        lines.push(Line::raw(format!("  {:<20} {held:>9} {waited:>9}", operation.operation)));
    }
    lines
}

fn counters(about: &About) -> Vec<Line<'static>> {
    let pairs = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {}", words::count(*count))).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![title("Counted since the start")];
    if !about.flushes.is_empty() {
        lines.push(Line::raw(format!("  TLB flushes: {}", pairs(&about.flushes))));
    }
    if !about.not_measured.contains_key("forced") {
        lines.push(Line::raw(format!("  forced flushes: {}", pairs(&about.forced))));
    }
    if !about.not_measured.contains_key("windows") {
        lines.push(Line::raw(format!("  windows open now: {}", words::count(about.windows_open))));
    }
    if !about.not_measured.contains_key("userfaults") {
        lines.push(Line::raw(format!("  userfaults in flight: {}", words::count(about.userfaults_in_flight))));
    }
    lines.extend(
        about
            .errors
            .iter()
            .map(|(what, count)| Line::raw(format!("  failed ioctls, {what}: {}", words::count(*count)))),
    );
    lines
}

fn events(about: &About) -> Vec<Line<'static>> {
    let mut lines = vec![title("Single events over their thresholds, of the last five minutes")];
    if about.events.is_empty() {
        lines.push(Line::styled("  none", Style::new()));
    }
    for event in &about.events {
        let (time, thread) = (words::time(event.duration_ns), format!("{}/{}", event.tgid, event.tid));
        lines.push(Line::raw(format!("  {} {:<18} {time:>8} {:<14} {thread}", event.at, event.what, event.operation)));
    }
    lines
}
