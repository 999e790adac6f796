//! Which addresses the mm_structs of processes had, from the kernel's own trace: proof that addresses are used again.

use std::collections::{BTreeMap, BTreeSet};

use super::trace::{Line, Trace};

/// What ended while it was watched.
#[derive(Debug)]
pub(crate) struct Reused {
    /// Address spaces that ended.
    pub(crate) mms: usize,
    /// Different addresses that they had.
    pub(crate) addresses: usize,
    /// Addresses that address spaces of both names had.
    pub(crate) shared: usize,
    /// Address spaces that somebody else was the last to let go of, who may have looked at one of those.
    pub(crate) by_others: usize,
}

/// Watches exit_mmap.
pub(crate) struct Watch(Trace);

impl Watch {
    pub(crate) fn start() -> Self {
        // The trace remembers only the last names: of thousands of tasks each event must tell its own.
        Self(Trace::of(&["p:ours/mm_exit exit_mmap mm=$arg1:x64 comm=$comm"]))
    }

    /// Ends it; counts what tasks of these names did.
    pub(crate) fn end(self, names: &[&str]) -> Reused {
        let lines = self.0.end();
        let by = |line: &'_ Line| line.argument("comm").trim_matches('"').to_owned();
        let its: Vec<_> = lines.iter().filter(|line| names.contains(&&*by(line))).collect();
        let mut users: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for line in &its {
            users.entry(line.argument("mm")).or_default().insert(by(line));
        }
        let shared = users.values().filter(|names| names.len() > 1).count();
        Reused { mms: its.len(), addresses: users.len(), shared, by_others: lines.len() - its.len() }
    }
}
