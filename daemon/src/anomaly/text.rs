//! Figures and names as people read them.

use std::time::Duration;

use probe_common::{event::Record, series::OPERATIONS};

use super::look::MmLook;
use crate::identity::{Subject, printable};

/// A duration from nanoseconds.
pub(super) fn ns(ns: u64) -> String {
    time(Duration::from_nanos(ns))
}

/// A duration in a few digits.
pub(super) fn time(duration: Duration) -> String {
    format!("{duration:.1?}").replace(".0", "").replace('µ', "u")
}

/// A subject.
pub(super) fn of(subject: &Subject) -> String {
    if subject.cgroup.is_empty() { subject.comm.clone() } else { format!("{} in {}", subject.comm, subject.cgroup) }
}

/// The process of an mm.
pub(super) fn process(mm: &MmLook) -> String {
    if mm.tgid == 0 { of(&mm.subject) } else { format!("{}, process {}", of(&mm.subject), mm.tgid) }
}

/// The thread of a record.
pub(super) fn thread(record: &Record) -> String {
    format!("{} {}/{}", printable(&record.comm), record.tgid, record.tid)
}

/// What it was doing.
pub(super) fn operation(record: &Record) -> &'static str {
    OPERATIONS.get(record.operation as usize).copied().unwrap_or("other")
}
