//! An alert that was raised or cleared, as it is told: with its times, and its evidence by name. Pure.

use std::{collections::BTreeMap, time::SystemTime};

use probe_common::event::Record;
use serde::Serialize;

use crate::{
    anomaly::{Class, Severity, Transition},
    identity::{Subject, printable},
    terminal,
};

/// What tells alerts apart. The gravest come last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) severity: Severity,
    pub(super) class: Class,
    pub(super) subject: Option<Subject>,
    pub(super) about: &'static str,
}

impl Key {
    pub(super) fn of(transition: &Transition) -> Self {
        let Transition { class, severity, subject, about, .. } = transition;
        Self { severity: *severity, class: *class, subject: subject.clone(), about }
    }
}

/// An event that an alert was raised by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Evidence {
    /// What happened, for how long, to whom.
    pub(super) event: String,
    pub(super) comm: String,
    pub(super) tgid: u32,
    pub(super) tid: u32,
    pub(super) duration_ns: u64,
    /// Kernel functions, innermost first; empty where they have no names.
    pub(super) stack: Vec<String>,
}

impl Evidence {
    fn of(record: &Record, stack: Vec<String>) -> Self {
        Self {
            event: terminal::record(record),
            comm: printable(&record.comm),
            tgid: record.tgid,
            tid: record.tid,
            duration_ns: record.duration_ns,
            stack,
        }
    }
}

/// An alert that was raised or cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) key: Key,
    /// Counts notices since the start, from one.
    pub(super) sequence: u64,
    /// When it was raised.
    pub(super) starts: SystemTime,
    /// When it was cleared; none while it is raised.
    pub(super) ends: Option<SystemTime>,
    pub(super) text: String,
    pub(super) evidence: Vec<Evidence>,
}

impl Notice {
    pub(super) fn is_raised(&self) -> bool {
        self.ends.is_none()
    }

    pub(super) fn state(&self) -> &'static str {
        if self.is_raised() { "raised" } else { "cleared" }
    }

    /// Command and cgroup; none for an alert about the host, and no cgroup where it is not known.
    pub(super) fn comm(&self) -> Option<&str> {
        self.key.subject.as_ref().map(|subject| &*subject.comm)
    }

    pub(super) fn cgroup(&self) -> Option<&str> {
        self.key.subject.as_ref().map(|subject| &*subject.cgroup).filter(|cgroup| !cgroup.is_empty())
    }

    /// Whom it is about, as people say it.
    pub(super) fn whom(&self, instance: &str) -> String {
        match (self.comm(), self.cgroup()) {
            (Some(comm), Some(cgroup)) => format!("{comm} in {cgroup} on {instance}"),
            (Some(comm), None) => format!("{comm} on {instance}"),
            (None, _) => instance.to_owned(),
        }
    }
}

/// When each alert was raised that is not cleared: as many as there are alerts, `anomaly.alerts` at most.
#[derive(Default)]
pub(super) struct Ledger {
    raised: BTreeMap<Key, SystemTime>,
    sequence: u64,
}

impl Ledger {
    /// What is told of a transition; `stacks` are the names of its evidence, as far as there are any.
    pub(super) fn enter(&mut self, transition: Transition, stacks: Vec<Vec<String>>, at: SystemTime) -> Notice {
        let Transition { class, severity, subject, about, is_active, text, evidence } = transition;
        let key = Key { severity, class, subject, about };
        let starts = if is_active {
            *self.raised.entry(key.clone()).or_insert(at)
        } else {
            // Not after its end, if the clock was set back.
            self.raised.remove(&key).unwrap_or(at).min(at)
        };
        let stacks = stacks.into_iter().chain(std::iter::repeat(Vec::new()));
        let evidence = evidence.iter().zip(stacks).map(|(record, stack)| Evidence::of(record, stack)).collect();
        self.sequence += 1;
        Notice { key, sequence: self.sequence, starts, ends: (!is_active).then_some(at), text, evidence }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_cleared_knows_when_it_was_raised() {
        let transition = |is_active, about| Transition {
            class: Class::UffdErrorStorm,
            severity: Severity::Warning,
            subject: Some(Subject { comm: "a".to_owned(), cgroup: String::new() }),
            about,
            is_active,
            text: String::new(),
            evidence: Vec::new(),
        };
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let mut ledger = Ledger::default();
        let raised = ledger.enter(transition(true, "copy"), Vec::new(), at(1));
        assert_eq!((raised.starts, raised.ends, raised.sequence), (at(1), None, 1));
        assert_eq!(ledger.enter(transition(true, "wake"), Vec::new(), at(2)).starts, at(2), "another alert");
        let cleared = ledger.enter(transition(false, "copy"), Vec::new(), at(9));
        assert_eq!((cleared.starts, cleared.ends, cleared.sequence), (at(1), Some(at(9)), 3));
        assert_eq!(ledger.enter(transition(true, "copy"), Vec::new(), at(12)).starts, at(12), "a new one");
        assert_eq!(ledger.raised.len(), 2);
        let set_back = ledger.enter(transition(false, "wake"), Vec::new(), at(0));
        assert_eq!((set_back.starts, set_back.ends), (at(0), Some(at(0))), "raised at 2, and the clock was set back");
        assert_eq!((cleared.whom("h:1"), cleared.cgroup()), ("a on h:1".to_owned(), None));
    }
}
