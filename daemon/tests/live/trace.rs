//! The kernel's own word of what happens: kprobe events, in the order of their times.

use std::fs;

const TRACING: &str = "/sys/kernel/tracing";

/// Events that are being traced.
pub(crate) struct Trace;

impl Trace {
    /// Of kprobe events of one group, `p:ours/NAME FUNCTION ARGUMENTS`.
    pub(crate) fn of(events: &[&str]) -> Self {
        assert!(events.iter().all(|event| event.contains(":ours/")), "{events:?}");
        crate::live::forget_kprobes("ours");
        events.iter().for_each(|event| crate::live::append_kprobe(event));
        write("buffer_size_kb", "65536");
        write("trace_clock", "mono");
        write("trace", "");
        write("events/ours/enable", "1");
        Self
    }

    /// Ends it; its lines.
    pub(crate) fn end(self) -> Vec<Line> {
        write("events/ours/enable", "0");
        let trace = fs::read_to_string(format!("{TRACING}/trace")).unwrap();
        crate::live::forget_kprobes("ours");
        // "# entries-in-buffer/entries-written: 12/12   #P:2"
        let entries = trace.lines().find_map(|line| line.split_once("entries-written: ")).unwrap().1;
        let (kept, written) = entries.split_whitespace().next().and_then(|entries| entries.split_once('/')).unwrap();
        assert_eq!(kept, written, "events of the trace were driven out");
        trace.lines().filter(|line| !line.starts_with('#')).filter_map(Line::parse).collect()
    }
}

/// An event.
#[derive(Debug)]
pub(crate) struct Line {
    /// Name of the task.
    pub(crate) comm: String,
    pub(crate) task: u32,
    pub(crate) cpu: u32,
    pub(crate) event: String,
    arguments: Vec<(String, String)>,
}

impl Line {
    /// `COMM-PID [CPU] FLAGS TIME: EVENT: (PLACE) NAME=VALUE ...`
    fn parse(line: &str) -> Option<Self> {
        let (head, rest) = line.split_once(" [")?;
        let (cpu, rest) = rest.split_once("] ")?;
        let (_, rest) = rest.split_once(": ")?;
        let (event, rest) = rest.split_once(": ")?;
        let (comm, task) = head.trim().rsplit_once('-')?;
        let pairs = rest.split_whitespace().filter_map(|word| word.split_once('='));
        Some(Self {
            comm: comm.to_owned(),
            task: task.parse().ok()?,
            cpu: cpu.parse().ok()?,
            event: event.to_owned(),
            arguments: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    /// An argument as it is printed.
    pub(crate) fn argument(&self, name: &str) -> &str {
        let found = self.arguments.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("{self:?} has no {name}"), |(_, value)| value)
    }
}

fn write(file: &str, text: &str) {
    fs::write(format!("{TRACING}/{file}"), text).unwrap_or_else(|error| panic!("{file}: {text}: {error}"));
}
