//! Sums by subject. Pure: observations in, a snapshot out; the time is passed in.
//!
//! The number of subjects is bounded, and so is that of their series. One that finds no place is summed into "other"; one that
//! was quiet for long, or that others outdo, gives its place up: it is shown for some time as it was then, and its sums go to
//! "other", so that nothing is lost and no counter of "other" ever falls.

mod candidates;
mod exemplars;
pub mod sinks;
mod sums;
pub mod web;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

pub use exemplars::{Exemplar, Exemplars, RecordId};
pub use sums::Model;

use crate::{
    anomaly::{Class, Hazard, Raised, Severity},
    config::Config,
    governor::Governed,
    identity::{Names, Subject},
    intake::{Counts, ProgramFigures, TableFigures},
    plan::HookState,
};
use sinks::SinkFigures;
use web::WebFigures;

/// Bounds of the model.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Subjects told apart.
    pub subjects: usize,
    /// A subject that was quiet for so long may lose its place to a new one.
    pub quiet: Duration,
    /// For so long one that lost its place is shown once more.
    pub last_shown: Duration,
    /// Series of a scrape, whatever happens.
    pub series_cap: usize,
    /// Series of a scrape up to which subjects that do little are told apart too.
    pub series_idle: usize,
}

/// Series that have no subject, at most; a test of `export` holds it to that.
pub(crate) const ELSEWHERE: usize = 700;
/// Those of them that a host without much to do has.
pub(crate) const ELSEWHERE_IDLE: usize = 230;

impl Limits {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            subjects: config.subjects,
            quiet: config.subject_quiet,
            last_shown: config.subject_last_shown,
            series_cap: config.series_cap,
            series_idle: config.series_idle,
        }
    }
}

/// What is told at a scrape.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sums by subject, "other" among them.
    pub subjects: BTreeMap<Subject, Counts>,
    /// Single events of each subject's histograms; who has none is absent.
    pub exemplars: BTreeMap<Subject, Exemplars>,
    /// Each hook of the table, in its order.
    pub hooks: Vec<HookState>,
    /// Losses by reason.
    pub lost: Vec<u64>,
    /// Looks at which the kernel's count of pending flushes differed from ours; none where it cannot be read.
    pub pending_mismatches: Option<u64>,
    /// Tables of the kernel side.
    pub tables: Vec<TableFigures>,
    /// What the kernel says of each attached program.
    pub programs: BTreeMap<&'static str, ProgramFigures>,
    /// This process, as customary; none where /proc does not tell.
    pub process: Option<ProcessFigures>,
    /// What was given up, to cost less.
    pub governed: Governed,
    /// Hazards seen so far; totals that are zero are absent.
    pub hazards: Vec<Hazard>,
    /// Alerts that are raised, by class and severity; every one that is judged here is in it.
    pub alerts: BTreeMap<(Class, Severity), u64>,
    /// The gravest of them, with what they say.
    pub raised: Vec<Raised>,
    /// Classes that are not judged here, and why.
    pub unjudged: Vec<(Class, String)>,
    /// Findings that found no room among the alerts.
    pub alerts_over: u64,
    /// Figures that found no room among the baselines; none where there are no baselines.
    pub baselines_over: Option<u64>,
    /// Receivers of alerts.
    pub sinks: Vec<SinkFigures>,
    /// How many subjects are told.
    pub subject_figures: SubjectFigures,
    /// What is known of names.
    pub names: Names,
    /// The HTTP side; none where nothing is served.
    pub web: Option<WebFigures>,
    /// What became of the configuration file; none where there is none.
    pub reload: Option<ReloadFigures>,
    /// Nanoseconds waited for mmap_lock, by waiter's and holder's operation.
    pub blocked_ns: Vec<u64>,
    /// Single events over their thresholds since the start.
    pub records: u64,
    /// Ticks since the start.
    pub ticks: u64,
}

/// What became of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadFigures {
    /// The file was good when it was read last.
    pub is_good: bool,
    /// When it was good last, on the wall clock.
    pub good_at: SystemTime,
}

/// Figures of mmscope itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// Limit on them.
    pub max_fds: u64,
    /// Start, since the epoch.
    pub start_seconds: f64,
}

/// How many subjects are told, and what became of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectFigures {
    /// Those that have a place.
    pub told: u64,
    /// Those that are shown for the last time.
    pub leaving: u64,
    /// Series of all of them, "other" included.
    pub series: u64,
    /// Subjects whose place another one has, or that a host without much to do does not tell.
    pub moved: u64,
    /// Subjects that were summed into "other" at once, because of the cap on series.
    pub capped: u64,
    /// Series that they made.
    pub series_folded: u64,
}

#[cfg(test)]
mod tests;
