//! What rules remember between looks. Knows no rule.

use std::collections::BTreeMap;

use probe_common::event::Record;

use crate::identity::Subject;

/// Of all rules.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) stale: Stale,
    pub(super) host: Texts,
}

/// Of stale_write_overlap: what waits for its other half.
#[derive(Default)]
pub(super) struct Stale {
    pub(super) writes: Vec<(Subject, Record)>,
    pub(super) windows: Vec<Record>,
    /// Exposed writes counted without a record, and records that came before they were counted.
    pub(super) unpaired: BTreeMap<Subject, Unpaired>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Unpaired {
    pub(super) counted: u64,
    pub(super) recorded: u64,
}

/// Texts about the host that never change, once they were made.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) version: Option<Option<String>>,
    pub(super) hooks: Option<Option<String>>,
}
