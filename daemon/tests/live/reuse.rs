//! Which addresses the mm_structs of processes had, from the kernel's own trace: proof that addresses are used again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const TRACING: &str = "/sys/kernel/tracing";

/// What ended while it was watched.
#[derive(Debug)]
pub(crate) struct Reused {
    /// Address spaces that ended.
    pub(crate) mms: usize,
    /// Different addresses that they had.
    pub(crate) addresses: usize,
    /// Addresses that address spaces of both names had.
    pub(crate) shared: usize,
}

/// Watches exit_mmap by a kprobe event.
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn start() -> Self {
        write("kprobe_events", "p:reuse/mm_exit exit_mmap mm=$arg1:x64");
        write("buffer_size_kb", "16384");
        write("trace", "");
        write("events/reuse/mm_exit/enable", "1");
        Self
    }

    /// Ends it; counts what tasks of these names did.
    pub(crate) fn end(self, names: &[&str]) -> Reused {
        write("events/reuse/mm_exit/enable", "0");
        let trace = fs::read_to_string(format!("{TRACING}/trace")).unwrap();
        write("kprobe_events", "");
        let mut mms = 0;
        let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in trace.lines() {
            let Some((head, mm)) = line.split_once("mm=") else { continue };
            let Some(name) = names.iter().find(|name| head.trim_start().starts_with(&format!("{name}-"))) else {
                continue;
            };
            mms += 1;
            users.entry(mm).or_default().insert(name);
        }
        let shared = users.values().filter(|names| names.len() > 1).count();
        Reused { mms, addresses: users.len(), shared }
    }
}

fn write(file: &str, text: &str) {
    fs::write(format!("{TRACING}/{file}"), text).unwrap_or_else(|error| panic!("{file}: {text}: {error}"));
}
