//! What a person at a terminal sees: where to look, which hooks count or why not, and the first numbers as they
//! come. Pure text; printing is main's.

use std::{fmt::Write as _, time::Duration};

use probe_common::{
    event::{FLUSH, Record, STALE_WINDOW, STALE_WRITE},
    series::{FAULT, FLUSH_KINDS, HOLD, OPERATIONS, OUTER, PATHS, SHOOTDOWN, WAIT},
};

use crate::{
    anomaly::{Class, Transition},
    export,
    identity::printable,
    intake::{Counts, Histogram, TableSize},
    model::Snapshot,
    plan::{self, END_ABSENT, HookState, NOT_NEEDED},
};

/// Subjects in a table.
const ROWS: usize = 8;
/// Columns of a terminal that a reason may fill.
const REASON: usize = 76;

/// Said once at start.
#[must_use]
pub fn greeting(url: &str, telemetry_path: &str, kernel: &str, hooks: &[HookState], tables: &[TableSize]) -> String {
    let mut text = format!("mmscope on kernel {kernel}\n\n  metrics  {url}{telemetry_path}\n");
    let _ = writeln!(text, "  page     {url}/");
    if let Some(memory) = memory(tables, 1) {
        let _ = writeln!(text, "  tables   {memory}");
    }
    text.push('\n');
    let mut attached = Vec::new();
    let mut not_needed = 0;
    let mut absent: Vec<(&str, Vec<&str>)> = Vec::new();
    for (hook, state) in plan::of_host(hooks) {
        match state {
            HookState::Attached(tier) => attached.push(format!("{} ({})", hook.name, tier.name())),
            HookState::Absent(reason) if reason.starts_with(NOT_NEEDED) => not_needed += 1,
            HookState::Absent(reason) => {
                // A beginning shares the reason of its end.
                let root = reason.rsplit(END_ABSENT).next().unwrap_or(reason);
                match absent.iter_mut().find(|(known, _)| *known == root) {
                    Some((_, names)) => names.push(hook.name),
                    None => absent.push((root, vec![hook.name])),
                }
            }
        }
    }
    let _ = writeln!(text, "{} hooks attached:", attached.len());
    wrap(&mut text, &attached);
    for (reason, names) in absent {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let _ = writeln!(text, "{} absent, {}:", names.len(), shortened(reason));
        wrap(&mut text, &names);
    }
    if not_needed > 0 {
        let _ = writeln!(text, "{not_needed} not needed here: others tell the same");
    }
    text.push_str("\nOwn activity is left out. Ctrl-C detaches and leaves.\n");
    text
}

/// What the tables of the kernel side take, with so many of the largest by name; none where the kernel does not tell.
#[must_use]
pub fn memory(tables: &[TableSize], named: usize) -> Option<String> {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let mut tables = tables.to_vec();
    tables.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    let all = mib(tables.iter().map(|table| table.bytes).sum());
    let largest: Vec<String> =
        tables.iter().take(named).map(|table| format!("{} {}", table.name, mib(table.bytes))).collect();
    (!tables.is_empty()).then(|| format!("{all} for any number of processes and CPUs ({})", largest.join(", ")))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= REASON {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(REASON - 1).collect();
    short.push('…');
    short
}

fn wrap(text: &mut String, words: &[String]) {
    let mut column = 0;
    for (n, word) in words.iter().enumerate() {
        if column == 0 || column + word.len() + 2 > 78 {
            text.push_str(if n == 0 { "  " } else { ",\n  " });
            column = 2;
        } else {
            text.push_str(", ");
            column += 2;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}

/// The most active subjects so far, as a table of what can be measured here.
#[must_use]
pub fn table(snapshot: &Snapshot, uptime: Duration) -> String {
    let mut subjects: Vec<_> = snapshot.subjects.iter().collect();
    subjects.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.activity()));
    let measured = |family| export::is_measured(family, &snapshot.hooks);
    // What is not measured here is no zero.
    let if_measured = |measured: bool, text: String| if measured { text } else { "-".to_owned() };
    let (locks, waits) = (measured("mmscope_mmap_lock_hold_seconds"), measured("mmscope_mmap_lock_wait_seconds"));
    let (flushes, windows) = (measured("mmscope_tlb_flushes_total"), measured("mmscope_flush_window_seconds"));
    let mut text = format!(
        "\nafter {} s: {} subjects\n{:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}\n",
        uptime.as_secs(),
        snapshot.subjects.len(),
        "command",
        "lockings",
        "held",
        "waited",
        "flushes",
        "windows",
        "p99 window"
    );
    for (subject, counts) in subjects.into_iter().take(ROWS) {
        let outer = sum(counts, OUTER, PATHS.len() as u32);
        let _ = writeln!(
            text,
            "{:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}",
            subject.comm,
            if_measured(locks, (counts.acquisitions[0] + counts.acquisitions[2]).to_string()),
            if_measured(locks, time(sum(counts, HOLD, 2).sum_ns)),
            if_measured(waits, time(sum(counts, WAIT, 2).sum_ns)),
            if_measured(flushes, counts.flushes.iter().sum::<u64>().to_string()),
            if_measured(windows, outer.count().to_string()),
            if_measured(windows, quantile(&outer, 0.99))
        );
    }
    text
}

/// An alert, as a line.
#[must_use]
pub fn alert(transition: &Transition) -> String {
    let whom = transition.subject.as_ref().map_or("this host", |subject| &*subject.comm);
    let state = if transition.is_active { transition.severity.name() } else { "cleared" };
    format!("{state}: {} of {whom}: {}", transition.class.name(), transition.text)
}

/// What an alert was raised by: the event, and its kernel stack.
#[must_use]
pub fn evidence(class: Class, event: &Record, stack: &[String]) -> String {
    let mut text = format!("  {}: {}\n", class.name(), record(event));
    for function in stack {
        let _ = writeln!(text, "    {function}");
    }
    text
}

/// One event over its threshold, as a line.
#[must_use]
pub fn record(record: &Record) -> String {
    let what = match record.series {
        n if n < OUTER + PATHS.len() as u32 => {
            format!("pending-flush window, path {},", PATHS[(n - OUTER) as usize])
        }
        n if n == WAIT => "wait for mmap_lock, read,".to_owned(),
        n if n == WAIT + 1 => "wait for mmap_lock, write,".to_owned(),
        n if n == HOLD => "hold of mmap_lock, read,".to_owned(),
        n if n == HOLD + 1 => "hold of mmap_lock, write,".to_owned(),
        n if (FAULT..FAULT + 3).contains(&n) => "userfault".to_owned(),
        SHOOTDOWN => match record.detail[0].checked_sub(1) {
            Some(cpu) => format!("shootdown, CPU {cpu} answered last,"),
            None => "shootdown".to_owned(),
        },
        STALE_WRITE => "write fault inside another task's open window".to_owned(),
        STALE_WINDOW => "window that a write fault met".to_owned(),
        FLUSH => {
            let kind = FLUSH_KINDS.get(record.detail[2] as usize).copied().unwrap_or("other");
            format!("TLB flush, {kind},")
        }
        _ => "event".to_owned(),
    };
    format!(
        "{what} of {} in {}/{} {} ({})",
        time(record.duration_ns),
        record.tgid,
        record.tid,
        printable(&record.comm),
        OPERATIONS.get(record.operation as usize).copied().unwrap_or("other")
    )
}

fn sum(counts: &Counts, first: u32, series: u32) -> Histogram {
    let mut sum = Histogram::default();
    for n in first..first + series {
        sum += &counts.histogram(n);
    }
    sum
}

/// Upper bound of the bucket in which a quantile lies.
pub(crate) fn quantile(histogram: &Histogram, q: f64) -> String {
    let count = histogram.count();
    if count == 0 {
        return "-".to_owned();
    }
    let rank = (count as f64 * q).ceil() as u64;
    let mut seen = 0;
    for (n, bucket) in histogram.buckets.iter().enumerate() {
        seen += bucket;
        if seen >= rank && n + 1 < histogram.buckets.len() {
            return format!("<={}", time(256 << n));
        }
    }
    ">8.6s".to_owned()
}

/// A duration in three digits.
pub(crate) fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{:.1}us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", ns as f64 / 1e6),
        _ => format!("{:.1}s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::Subject,
        plan::{HOOKS, Tier},
    };

    #[test]
    fn hooks_absent_for_one_reason_are_told_together() {
        let mut hooks = vec![HookState::Attached(Tier::T); HOOKS.len()];
        hooks[1] = HookState::Absent("refused".to_owned());
        hooks[2] = HookState::Absent("__mmdrop is absent: refused".to_owned());
        let text = greeting("http://127.0.0.1:10942", "/metrics", "6.18", &hooks, &[]);
        assert!(text.contains("http://127.0.0.1:10942/metrics"));
        assert_eq!(text.matches("refused").count(), 1);
        assert!(text.contains("2 absent, refused:"));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn memory_is_told_in_one_line() {
        let table = |name, mib: u64| TableSize { name, capacity: 16_384, bytes: mib << 20 };
        let tables = [
            table("lost", 0),
            table("task_states", 8),
            table("mm_slots", 19),
            table("histogram_rows", 8),
            table("x", 1),
        ];
        let text = greeting("http://127.0.0.1:10942", "/metrics", "6.18", &[], &tables);
        let line = text.lines().find(|line| line.starts_with("  tables")).unwrap();
        assert_eq!(line, "  tables   36.0 MiB for any number of processes and CPUs (mm_slots 19.0 MiB)");
        assert!(line.len() <= 80);
        assert!(memory(&tables, 2).unwrap().ends_with("(mm_slots 19.0 MiB, task_states 8.0 MiB)"));
        assert_eq!(memory(&[], 1), None);
    }

    #[test]
    fn the_most_active_come_first() {
        let subject = |comm: &str| Subject { comm: comm.to_owned(), cgroup: String::new() };
        let counts = |n| Counts { acquisitions: [n, 0, 0, 0], ..Counts::default() };
        let snapshot = Snapshot {
            subjects: [(subject("quiet"), counts(1)), (subject("busy"), counts(9))].into(),
            hooks: vec![HookState::Attached(Tier::F); HOOKS.len()],
            ..Snapshot::default()
        };
        let text = table(&snapshot, Duration::from_secs(3));
        assert!(text.find("busy").unwrap() < text.find("quiet").unwrap());
    }

    #[test]
    fn what_is_not_measured_is_no_zero() {
        let subject = Subject { comm: "a".to_owned(), cgroup: String::new() };
        let mut snapshot = Snapshot {
            subjects: [(subject, Counts::default())].into(),
            hooks: vec![HookState::Absent("refused".to_owned()); HOOKS.len()],
            ..Snapshot::default()
        };
        let row = |snapshot: &Snapshot| table(snapshot, Duration::ZERO).lines().last().unwrap().to_owned();
        assert_eq!(row(&snapshot).split_whitespace().collect::<Vec<_>>(), ["a", "-", "-", "-", "-", "-", "-"]);
        snapshot.hooks.fill(HookState::Attached(Tier::F));
        assert_eq!(row(&snapshot).split_whitespace().nth(1), Some("0"));
    }

    #[test]
    fn evidence_is_an_event_and_its_stack() {
        let mut event: Record = zerocopy::FromZeros::new_zeroed();
        (event.series, event.duration_ns, event.tgid, event.tid) = (SHOOTDOWN, 12_000_000, 7, 8);
        event.comm[0] = b'a';
        event.detail[0] = 4;
        let text = evidence(Class::ShootdownStraggler, &event, &["flush_tlb_mm_range+0x10".to_owned()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "  shootdown_straggler: shootdown, CPU 3 answered last, of 12.0ms in 7/8 a (mprotect)",
                "    flush_tlb_mm_range+0x10"
            ]
        );
        event.detail[0] = 0;
        assert!(record(&event).starts_with("shootdown of 12.0ms"));
    }

    #[test]
    fn quantiles_are_bucket_bounds() {
        let mut histogram = Histogram::default();
        histogram.buckets[2] = 99;
        histogram.buckets[5] = 1;
        assert_eq!(quantile(&histogram, 0.99), "<=1.0us");
        assert_eq!(quantile(&histogram, 1.0), "<=8.2us");
        assert_eq!(quantile(&Histogram::default(), 0.5), "-");
    }
}
