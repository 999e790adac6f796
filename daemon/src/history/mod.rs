//! The last 15 minutes, as the page shows them: what was added tick by tick, coarsely, and bounded. Pure: the times come with
//! what was seen.
//!
//! It takes about 340 KiB when it is full: 182 columns of four histograms and the hazards by class (90 KiB), 16 minutes of five
//! sums for each of 256 subjects (200 KiB), 16 minutes of the blame matrix (27 KiB), 32 transitions.

mod columns;
mod minutes;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

use probe_common::{
    histogram::BUCKETS,
    series::{BLOCKED, FAULT, FAULT_REASONS, HOLD, OUTER, PATHS, WAIT},
};

pub use columns::{Column, SPAN};
pub use minutes::MINUTES;

use crate::{
    anomaly::{Class, Hazard, Severity, Transition},
    export,
    identity::Subject,
    intake::Counts,
    scope::{Seen, Sight},
};
use columns::Columns;
use minutes::Minutes;

/// Subjects whose minutes are kept; the others are summed into "other".
const SUBJECTS: usize = 256;
/// Transitions that are kept.
const TOLD: usize = 32;

/// Durations whose distribution is kept over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heat {
    /// Outer windows.
    Windows,
    /// Holds of mmap_lock.
    Holds,
    /// Waits for it.
    Waits,
    /// Userfaults.
    Userfaults,
}

impl Heat {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Windows, Self::Holds, Self::Waits, Self::Userfaults];

    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["windows", "holds", "waits", "userfaults"][self as usize]
    }

    /// The metric family that has the same durations.
    #[must_use]
    pub fn family(self) -> &'static str {
        match self {
            Self::Windows => "mmscope_flush_window_seconds",
            Self::Holds => "mmscope_mmap_lock_hold_seconds",
            Self::Waits => "mmscope_mmap_lock_wait_seconds",
            Self::Userfaults => "mmscope_userfault_seconds",
        }
    }

    /// First series and number of series.
    #[must_use]
    pub fn series(self) -> (u32, u32) {
        match self {
            Self::Windows => (OUTER, PATHS.len() as u32),
            Self::Holds => (HOLD, 2),
            Self::Waits => (WAIT, 2),
            Self::Userfaults => (FAULT, FAULT_REASONS.len() as u32),
        }
    }
}

/// What subjects are ranked by.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Time in outer windows.
    #[default]
    Windows,
    /// Time for which mmap_lock was held.
    Hold,
    /// Time for which it was waited for.
    Wait,
    /// Forced flushes.
    Forced,
    /// Time that threads waited for a userfaultfd handler.
    Userfaults,
}

/// By [`Measure`]: nanoseconds, and for forced flushes a number.
pub type Measures = [u64; Measure::ALL.len()];

impl Measure {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Windows, Self::Hold, Self::Wait, Self::Forced, Self::Userfaults];

    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["windows", "hold", "wait", "forced", "userfaults"][self as usize]
    }

    /// The metric family that has the same sums.
    #[must_use]
    pub fn family(self) -> &'static str {
        match self {
            Self::Windows => Heat::Windows.family(),
            Self::Hold => Heat::Holds.family(),
            Self::Wait => Heat::Waits.family(),
            Self::Forced => "mmscope_forced_flushes_total",
            Self::Userfaults => Heat::Userfaults.family(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn of(counts: &Counts) -> Measures {
        let sum = |heat: Heat| {
            let (first, series) = heat.series();
            let known = (first..first + series).filter_map(|series| counts.known_histogram(series));
            known.map(|histogram| histogram.sum_ns).sum()
        };
        [sum(Heat::Windows), sum(Heat::Holds), sum(Heat::Waits), counts.forced.iter().sum(), sum(Heat::Userfaults)]
    }
}

/// An alert that was raised or cleared.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub wall: SystemTime,
    /// Class.
    pub class: Class,
    /// Severity.
    pub severity: Severity,
    /// Whom it is about; none for the host.
    pub subject: Option<Subject>,
    /// Raised, or cleared.
    pub is_active: bool,
    /// What was seen.
    pub text: String,
}

/// Hazards by class, in the order of [`Class::all`].
pub type Hazards = [u32; Class::COUNT];

/// What was added lately.
#[derive(Default)]
pub struct History {
    uptime: Duration,
    wall: Option<SystemTime>,
    columns: Columns,
    subjects: BTreeMap<Subject, Minutes<{ Measure::ALL.len() }>>,
    blocked: Minutes<{ BLOCKED as usize }>,
    blocked_before: Vec<u64>,
    hazards_before: [u64; Class::COUNT],
    told: VecDeque<Told>,
}

impl History {
    /// Takes what one tick saw and what that came to. Uptimes must not go back.
    pub fn take(&mut self, sight: &Sight, seen: &Seen) {
        let snapshot = &seen.snapshot;
        let measured = Heat::ALL.map(|heat| export::is_measured(heat.family(), &snapshot.hooks));
        let column = self.columns.at(self.uptime, sight.uptime, measured);
        for counts in sight.mms.iter().map(|mm| &mm.counts) {
            add_durations(column, counts);
        }
        let hazards = by_class(&snapshot.hazards);
        for (n, total) in hazards.into_iter().enumerate() {
            let added = total.saturating_sub(self.hazards_before[n]);
            column.hazards[n] = column.hazards[n].saturating_add(u32::try_from(added).unwrap_or(u32::MAX));
        }
        self.hazards_before = hazards;
        (self.uptime, self.wall) = (sight.uptime, Some(sight.wall));

        let minute = minutes::of(sight.uptime);
        self.subjects.retain(|_, minutes| minutes.is_recent(minute));
        for mm in &sight.mms {
            self.minutes_of(&mm.subject).add(minute, &Measure::of(&mm.counts));
        }
        let before = self.blocked_before.iter().copied().chain(std::iter::repeat(0));
        let mut blocked = [0; BLOCKED as usize];
        for (added, (now, before)) in blocked.iter_mut().zip(snapshot.blocked_ns.iter().zip(before)) {
            *added = now.saturating_sub(before);
        }
        self.blocked.add(minute, &blocked);
        self.blocked_before.clone_from(&snapshot.blocked_ns);
        for transition in &seen.transitions {
            self.tell(sight.wall, transition);
        }
    }

    /// Places are its own: whom the model sums into "other", to spare series, may have one here.
    fn minutes_of(&mut self, subject: &Subject) -> &mut Minutes<{ Measure::ALL.len() }> {
        let has_place = self.subjects.contains_key(subject) || self.subjects.len() < SUBJECTS;
        self.subjects.entry(if has_place { subject.clone() } else { Subject::other() }).or_default()
    }

    fn tell(&mut self, wall: SystemTime, transition: &Transition) {
        let Transition { class, severity, is_active, .. } = *transition;
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        let (subject, text) = (transition.subject.clone(), transition.text.clone());
        self.told.push_back(Told { wall, class, severity, subject, is_active, text });
    }

    /// Uptime at the last tick.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.uptime
    }

    /// The wall clock at the last tick; none before the first.
    #[must_use]
    pub fn wall(&self) -> Option<SystemTime> {
        self.wall
    }

    /// Columns that end after this uptime, the oldest first.
    pub fn columns_since(&self, since: Duration) -> impl Iterator<Item = &Column> {
        self.columns.all().filter(move |column| column.to > since)
    }

    /// Events of the last 15 minutes by bucket; none where there was no time in which they were measured.
    #[must_use]
    pub fn buckets(&self, heat: Heat) -> Option<[u64; BUCKETS]> {
        let mut columns = self.columns.all().filter(|column| column.measured[heat as usize]).peekable();
        columns.peek()?;
        let mut sum = [0; BUCKETS];
        for column in columns {
            for (sum, count) in sum.iter_mut().zip(column.buckets[heat as usize]) {
                *sum += u64::from(count);
            }
        }
        Some(sum)
    }

    /// Hazards of the last 15 minutes, by class.
    #[must_use]
    pub fn hazards(&self) -> [u64; Class::COUNT] {
        let mut sum = [0; Class::COUNT];
        for column in self.columns.all() {
            for (sum, count) in sum.iter_mut().zip(column.hazards) {
                *sum += u64::from(count);
            }
        }
        sum
    }

    /// What was added for each subject in the last 15 minutes, those alone that had something.
    pub fn subjects(&self) -> impl Iterator<Item = (&Subject, Measures)> {
        let minute = minutes::of(self.uptime);
        self.subjects.iter().map(move |(subject, minutes)| (subject, minutes.sum(minute)))
    }

    /// What was added for a subject, minute by minute, the running one last; none for who had nothing in the last 15 minutes.
    #[must_use]
    pub fn minutes(&self, subject: &Subject) -> Option<[Measures; MINUTES]> {
        let minute = minutes::of(self.uptime);
        self.subjects.get(subject).map(|minutes| minutes.each(minute))
    }

    /// Nanoseconds waited for mmap_lock in the last 15 minutes, by `probe_common::series::BLOCKED`.
    #[must_use]
    pub fn blocked(&self) -> [u64; BLOCKED as usize] {
        self.blocked.sum(minutes::of(self.uptime))
    }

    /// Alerts raised and cleared, the latest first.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().rev()
    }
}

fn add_durations(column: &mut Column, counts: &Counts) {
    for heat in Heat::ALL {
        let (first, series) = heat.series();
        for histogram in (first..first + series).filter_map(|series| counts.known_histogram(series)) {
            for (sum, count) in column.buckets[heat as usize].iter_mut().zip(histogram.buckets) {
                *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
    }
}

fn by_class(hazards: &[Hazard]) -> [u64; Class::COUNT] {
    let mut sum = [0; Class::COUNT];
    for hazard in hazards {
        sum[hazard.class as usize] += hazard.count;
    }
    sum
}

#[cfg(test)]
mod tests;
