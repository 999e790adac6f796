//! The words of this room: what a rule finds, what becomes of it. Knows no rule.

use std::time::Duration;

use probe_common::event::Record;

pub use crate::classes::{Class, Severity};
use crate::identity::Subject;

/// When the alert of a rule that holds is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raise {
    /// At the first look.
    AtOnce,
    /// After `raise_looks` looks one after the other: for rates.
    InARow,
    /// After `raise_looks` looks with no pause of `clear_after` between: for single events.
    Again,
}

/// What a hazard of a class is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// An event: counted by the rule.
    Event,
    /// A time for which the rule holds: counted when its alert is raised.
    Episode,
}

/// Records that an alert carries at most.
pub(super) const EVIDENCE: usize = 4;

/// A rule that holds at one look.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) class: Class,
    pub(super) severity: Severity,
    /// Whom it is about; none for the host.
    pub(super) subject: Option<Subject>,
    /// Which of several alerts of one class and subject.
    pub(super) about: &'static str,
    /// When its alert is raised, if not as its class has it.
    pub(super) raise: Option<Raise>,
    /// Of several about the same, the heaviest is told.
    pub(super) weight: u64,
    pub(super) text: String,
    pub(super) evidence: Vec<Record>,
}

impl Finding {
    pub(super) fn new(class: Class, severity: Severity, subject: Option<Subject>, weight: u64, text: String) -> Self {
        Self { class, severity, subject, about: "", raise: None, weight, text, evidence: Vec::new() }
    }
}

/// What rules found at one look.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) hazards: Vec<(Option<Subject>, Class, &'static str, u64)>,
}

impl Found {
    pub(super) fn hazards(&mut self, subject: Option<&Subject>, class: Class, outcome: &'static str, count: u64) {
        if count > 0 {
            self.hazards.push((subject.cloned(), class, outcome, count));
        }
    }
}

/// An alert that is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Class.
    pub class: Class,
    /// Severity.
    pub severity: Severity,
    /// Whom it is about; none for the host.
    pub subject: Option<Subject>,
    /// Tells alerts apart that have all else in common.
    pub about: &'static str,
    /// Uptime at which it was raised.
    pub since: Duration,
    /// What was seen at the last look at which its rule held.
    pub text: String,
}

/// An alert was raised or cleared.
#[derive(Clone, Debug)]
pub struct Transition {
    /// Class.
    pub class: Class,
    /// Severity.
    pub severity: Severity,
    /// Whom it is about; none for the host.
    pub subject: Option<Subject>,
    /// Tells alerts apart that have all else in common: an ioctl, a cause. With the three above, the alert's identity.
    pub about: &'static str,
    /// Raised, or cleared.
    pub is_active: bool,
    /// What was seen, with figures and bound, and what to do.
    pub text: String,
    /// Records of it, where there are any; a few at most.
    pub evidence: Vec<Record>,
}

impl Transition {
    /// The same, without its records.
    #[must_use]
    pub fn without_evidence(&self) -> Self {
        Self {
            class: self.class,
            severity: self.severity,
            subject: self.subject.clone(),
            about: self.about,
            is_active: self.is_active,
            text: self.text.clone(),
            evidence: Vec::new(),
        }
    }
}
