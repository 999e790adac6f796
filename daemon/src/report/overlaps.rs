//! Write faults inside another task's open window, each with that window: what nearly went wrong as well as what did. Pure.

use std::collections::VecDeque;

use probe_common::{
    event::{Record, STALE_WINDOW, STALE_WRITE},
    series::OUTCOMES,
};

use crate::{anomaly::is_window_of, identity::Subject};

/// Kept of each outcome: the first ones.
const EACH: usize = 2;
/// Windows that wait for the write fault that met them, which may come later.
const WAITING: usize = 64;

/// A write fault, and the window that it met.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// Whose mm it was.
    pub subject: Subject,
    /// How it ended: one of `probe_common::series::OUTCOMES`.
    pub outcome: &'static str,
    /// The write fault.
    pub write: Record,
    /// The window; none where its record is missing.
    pub window: Option<Record>,
}

/// Those of a recording.
#[derive(Clone, Debug, Default)]
pub struct Overlaps {
    kept: Vec<Overlap>,
    windows: VecDeque<Record>,
}

impl Overlaps {
    /// Takes a record, of whatever kind.
    pub(super) fn take(&mut self, subject: &Subject, record: &Record) {
        match record.series {
            STALE_WINDOW => self.window(record),
            STALE_WRITE => self.write(subject, record),
            _ => {}
        }
    }

    fn window(&mut self, window: &Record) {
        for overlap in self.kept.iter_mut().filter(|overlap| overlap.window.is_none()) {
            if is_window_of(window, &overlap.write) {
                overlap.window = Some(*window);
            }
        }
        self.windows.push_back(*window);
        if self.windows.len() > WAITING {
            self.windows.pop_front();
        }
    }

    fn write(&mut self, subject: &Subject, write: &Record) {
        let Some(&outcome) = usize::try_from(write.detail[3]).ok().and_then(|outcome| OUTCOMES.get(outcome)) else {
            return;
        };
        if self.kept.iter().filter(|known| known.outcome == outcome).count() < EACH {
            let window = self.windows.iter().find(|window| is_window_of(window, write)).copied();
            self.kept.push(Overlap { subject: subject.clone(), outcome, write: *write, window });
        }
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Overlap> {
        self.kept.iter()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl Overlap {
    /// The events with what each is, in the order of their beginnings.
    pub fn events(&self) -> impl Iterator<Item = &Record> {
        self.window.iter().chain([&self.write])
    }
}
