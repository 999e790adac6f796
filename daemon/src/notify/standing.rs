//! The queue of an Alertmanager, which is told of a state and not of changes: all that is raised, again and again, and what was
//! cleared until it has been heard, and some times after. Pure: the time is passed in.
//!
//! An alert has one entry, however often it changes while nobody hears: its last state is told, with the times at which it began
//! and ended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    notice::{Key, Notice},
    queue::{Outcome, Queue},
};

/// Alerts in one request.
pub(super) const BATCH: usize = 64;

/// How often an alert may miss being told again before it ends by itself, as Prometheus has it. As often is told again that one
/// was cleared: a receiver whose clock is behind does not take an end that lies ahead, but the later one that it was told before.
pub(super) const MISSED: u32 = 4;

/// Bounds of what stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Time after which an alert that is still raised is told again.
    pub(super) resend: Duration,
    /// Alerts that may be raised at once.
    pub(super) raised: usize,
    /// Cleared alerts that may wait.
    pub(super) cleared: usize,
}

struct Entry {
    notice: Arc<Notice>,
    due: Duration,
    /// The receiver has heard of this state.
    is_heard: bool,
    /// How often it was heard that it was cleared.
    heard_cleared: u32,
}

/// Alerts that are told together; which state each of them had is in its notice.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) notices: Vec<Arc<Notice>>,
}

/// See above.
pub(super) struct Standing {
    limits: Limits,
    entries: BTreeMap<Key, Entry>,
    cleared: usize,
    dropped: u64,
    suppressed: u64,
}

impl Standing {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, entries: BTreeMap::new(), cleared: 0, dropped: 0, suppressed: 0 }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.cleared -= usize::from(!entry.notice.is_raised());
        }
    }

    /// Gives up the oldest of the least grave that are cleared: the receiver takes them for cleared by itself, some time later.
    /// Those of which it has heard go first.
    fn make_room(&mut self) {
        let cleared = self.entries.iter().filter(|(_, entry)| !entry.notice.is_raised());
        let first = cleared.min_by_key(|(key, entry)| (!entry.is_heard, key.severity, entry.notice.sequence));
        if let Some((key, is_heard)) = first.map(|(key, entry)| (key.clone(), entry.is_heard)) {
            self.remove(&key);
            self.dropped += u64::from(!is_heard);
        }
    }
}

impl Queue for Standing {
    type Message = Batch;

    fn offer(&mut self, now: Duration, notice: &Arc<Notice>) {
        if let Some(old) = self.entries.get(&notice.key) {
            // What it was before was never heard, and is not told any more: a time for which it was raised.
            self.suppressed += u64::from(!old.is_heard && !old.notice.is_raised() && notice.is_raised());
            self.remove(&notice.key);
        }
        if notice.is_raised() {
            if self.entries.len() - self.cleared >= self.limits.raised {
                self.dropped += 1;
                return;
            }
        } else {
            if self.cleared >= self.limits.cleared {
                self.make_room();
            }
            self.cleared += 1;
        }
        let entry = Entry { notice: notice.clone(), due: now, is_heard: false, heard_cleared: 0 };
        self.entries.insert(notice.key.clone(), entry);
    }

    fn due(&self) -> Option<Duration> {
        self.entries.values().map(|entry| entry.due).min()
    }

    fn take(&mut self, now: Duration, last: bool) -> Option<Batch> {
        let is_due = |entry: &&Entry| if last { !entry.is_heard } else { entry.due <= now };
        // The gravest first.
        let due = self.entries.values().rev().filter(is_due).take(BATCH);
        let notices: Vec<_> = due.map(|entry| entry.notice.clone()).collect();
        (!notices.is_empty()).then_some(Batch { notices })
    }

    fn settle(&mut self, now: Duration, batch: Batch, outcome: Outcome) {
        if outcome == Outcome::Failed {
            return;
        }
        for told in batch.notices {
            let Some(entry) = self.entries.get_mut(&told.key) else { continue };
            // It may have changed while it was told.
            if entry.notice.sequence != told.sequence {
                continue;
            }
            if outcome == Outcome::Refused {
                self.dropped += u64::from(!entry.is_heard);
            }
            entry.is_heard = true;
            entry.due = now + self.limits.resend;
            if !told.is_raised() {
                entry.heard_cleared += 1;
                if outcome == Outcome::Refused || entry.heard_cleared > MISSED {
                    self.remove(&told.key);
                }
            }
        }
    }

    fn waiting(&self) -> usize {
        self.entries.values().filter(|entry| !entry.is_heard).count()
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn suppressed(&self) -> u64 {
        self.suppressed
    }
}
