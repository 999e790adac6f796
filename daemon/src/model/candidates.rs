//! Who has no place, and how much they do: a bounded number of them, the most active.

use std::{collections::BTreeMap, time::Duration};

use crate::identity::Subject;

/// Events in about a minute from which on a subject is busy: 50 each second, or a burst of a program's start and end ten times.
pub(super) const BUSY: u64 = 3_000;
/// Time in which an event comes to count half, roughly.
const MEMORY_MS: u128 = 60_000;
/// Remembered at least, however few places there are.
const LEAST: usize = 64;

/// Events, of which older ones count less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Score(u64);

impl Score {
    pub(super) fn events(self) -> u64 {
        self.0
    }

    pub(super) fn add(&mut self, events: u64) {
        self.0 = self.0.saturating_add(events);
    }

    pub(super) fn decay(&mut self, passed: Duration) {
        let rest = u128::from(self.0) * MEMORY_MS / (MEMORY_MS + passed.as_millis());
        self.0 = u64::try_from(rest).unwrap_or(u64::MAX);
    }
}

/// What is known of a newcomer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) score: Score,
    /// Ticks in a row in which it did more than who has a place.
    pub(super) streak: u32,
}

impl Seen {
    pub(super) fn is_busy(self) -> bool {
        self.score.events() >= BUSY
    }
}

struct Candidate {
    seen: Seen,
    is_new: bool,
}

/// The most active of them.
pub(super) struct Candidates {
    bound: usize,
    known: BTreeMap<Subject, Candidate>,
}

impl Candidates {
    /// For so many places.
    pub(super) fn new(places: usize) -> Self {
        Self { bound: (2 * places).max(LEAST), known: BTreeMap::new() }
    }

    pub(super) fn decay(&mut self, passed: Duration) {
        self.known.values_mut().for_each(|candidate| candidate.seen.score.decay(passed));
    }

    /// How many are remembered.
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// Adds what one did in this tick; the most active have to come first. To win a place it has to come to more than `to_beat`.
    pub(super) fn saw(&mut self, subject: &Subject, events: u64, to_beat: u64) -> Seen {
        if let Some(candidate) = self.known.get_mut(subject) {
            let seen = &mut candidate.seen;
            seen.score.add(events);
            seen.streak = if seen.score.events() > to_beat { seen.streak.saturating_add(1) } else { 0 };
            candidate.is_new = true;
            return candidate.seen;
        }
        let seen = Seen { score: Score(events), streak: u32::from(events > to_beat) };
        if self.known.len() < self.bound || self.forget_less_than(events) {
            self.known.insert(subject.clone(), Candidate { seen, is_new: true });
        }
        seen
    }

    /// Forgets the least active one, if it is less active than that and was not seen in this tick.
    fn forget_less_than(&mut self, events: u64) -> bool {
        let others = self.known.iter().filter(|(_, candidate)| !candidate.is_new);
        let least = others.min_by_key(|(_, candidate)| candidate.seen.score.events());
        let Some((subject, _)) = least.filter(|(_, candidate)| candidate.seen.score.events() < events) else {
            return false;
        };
        let subject = subject.clone();
        self.known.remove(&subject);
        true
    }

    /// It has a place now.
    pub(super) fn forget(&mut self, subject: &Subject) {
        self.known.remove(subject);
    }

    /// Who was not seen in this tick begins anew; who has done nothing for long is forgotten.
    pub(super) fn end_tick(&mut self) {
        self.known.retain(|_, candidate| {
            if !std::mem::take(&mut candidate.is_new) {
                candidate.seen.streak = 0;
            }
            candidate.seen.score.events() > 0
        });
    }
}
