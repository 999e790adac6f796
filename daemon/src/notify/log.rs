//! Alerts in the log, or at the terminal, which are always told; and the names of the stacks they bring.

use std::io::Write as _;

use probe_common::event::Record;

use crate::{
    anomaly::{Severity, Transition},
    kernel::{Table, name_stacks},
    model::RecordId,
    terminal,
};

/// Where alerts are always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// Somebody looks at stdout.
    Terminal,
    /// stderr.
    Lines,
    /// stderr is the journal, which is told by itself.
    Silent,
}

impl Log {
    /// An alert was raised or cleared.
    pub(super) fn tell(self, transition: &Transition) {
        match self {
            Self::Terminal => return say(&format!("{}\n", terminal::alert(transition))),
            Self::Silent => return,
            Self::Lines => {}
        }
        let class = transition.class.name();
        let severity = transition.severity.name();
        let (comm, cgroup) = transition.subject.as_ref().map_or(("", ""), |subject| (&*subject.comm, &*subject.cgroup));
        let state = if transition.is_active { "raised" } else { "cleared" };
        if transition.is_active && transition.severity != Severity::Info {
            tracing::warn!(class, severity, state, comm, cgroup, "{}", transition.text);
        } else {
            tracing::info!(class, severity, state, comm, cgroup, "{}", transition.text);
        }
    }

    /// What an alert was raised by.
    pub(super) fn tell_evidence(self, transition: &Transition, stacks: &[Vec<String>]) {
        for (record, stack) in transition.evidence.iter().zip(stacks) {
            match self {
                Self::Terminal => say(&terminal::evidence(transition.class, record, stack)),
                Self::Silent => {}
                Self::Lines => {
                    let (class, stack) = (transition.class.name(), stack.join(" < "));
                    let Record { tgid, tid, .. } = *record;
                    let id = RecordId::from(record);
                    tracing::info!(class, tgid, tid, record = %id, stack, "evidence: {}", terminal::record(record));
                }
            }
        }
    }
}

/// Names of the stacks of each transition's evidence. This reads a long table: not for a thread that others wait for.
pub(super) fn name_evidence(transitions: &[Transition]) -> Vec<Vec<Vec<String>>> {
    let stacks: Vec<&[u64]> = transitions.iter().flat_map(|told| &told.evidence).map(Record::stack).collect();
    let mut names = Vec::new();
    if !stacks.is_empty() {
        let named = Table::open().and_then(|table| name_stacks(&table.path(), &stacks));
        names = named.unwrap_or_else(|error| {
            tracing::warn!(%error, "stacks have no names");
            Vec::new()
        });
    }
    names.resize(stacks.len(), Vec::new());
    let mut names = names.into_iter();
    transitions.iter().map(|told| names.by_ref().take(told.evidence.len()).collect()).collect()
}

/// Prints; a terminal that went away is no reason to stop.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
