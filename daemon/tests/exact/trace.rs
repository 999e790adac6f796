//! The kernel's events one by one, in the order in which they were: kprobe events through the trace ring. Knows tracefs, and
//! nothing of what the events mean.

use std::{collections::BTreeMap, fs, io::Write as _, path::Path};

use crate::tally::TRACING;

/// Room of the ring for each processor.
const RING_KIB: u32 = 64 * 1024;

/// An event: who, what, when, and its numbers.
pub(crate) struct Event {
    pub(crate) task: u32,
    pub(crate) name: String,
    /// By the trace's clock: seconds, or with the clock "counter" a mere order.
    pub(crate) time: f64,
    fields: BTreeMap<String, u64>,
}

impl Event {
    /// A number; zero where there is none.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.fields.get(name).copied().unwrap_or_default()
    }

    /// Whether there is such a number.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }
}

/// Events, defined and enabled until it is dropped.
pub(crate) struct Trace;

impl Trace {
    /// `events` are lines of kprobe_events of the group "one". Those of returns say "r64": left to itself a kernel misses
    /// them when more calls than it has processors are under way at once.
    pub(crate) fn new(clock: &str, events: &[String]) -> Self {
        write("current_tracer", "nop");
        write("trace_clock", clock);
        write("buffer_size_kb", &RING_KIB.to_string());
        crate::live::forget_kprobes("one");
        for event in events {
            let path = Path::new(TRACING).join("kprobe_events");
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(event.as_bytes()).unwrap_or_else(|error| panic!("{event}: {error}"));
        }
        write("events/one/enable", "1");
        write("tracing_on", "0");
        Self
    }

    /// Forgets what was and records.
    pub(crate) fn start(&self) {
        write("trace", "");
        write("tracing_on", "1");
    }

    /// What was recorded.
    pub(crate) fn stop(&self) -> Result<Vec<Event>, String> {
        write("tracing_on", "0");
        let text = fs::read_to_string(Path::new(TRACING).join("trace")).unwrap();
        if text.contains("LOST") {
            return Err("the trace lost events".to_owned());
        }
        Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(event).collect())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        write("events/one/enable", "0");
        crate::live::forget_kprobes("one");
        write("trace", "");
        write("trace_clock", "local");
        write("tracing_on", "1");
    }
}

/// An event of a line `mmload-123  [001] d..1. 4711: wp: (do_wp_page+0x4/0x3c0) addr=140 mm=..`.
fn event(line: &str) -> Option<Event> {
    let (head, rest) = line.split_once(": ")?;
    let task = head.split('[').next()?.trim().rsplit('-').next()?.parse().ok()?;
    let time = head.split_whitespace().next_back()?.parse().ok()?;
    let (name, rest) = rest.split_once(": ")?;
    let fields = rest.rsplit(')').next()?.split_whitespace().filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        let value = match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => value.parse().ok()?,
        };
        Some((name.to_owned(), value))
    });
    Some(Event { task, name: name.trim().to_owned(), time, fields: fields.collect() })
}

fn write(file: &str, text: &str) {
    let path = Path::new(TRACING).join(file);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {text}: {error}", path.display()));
}
