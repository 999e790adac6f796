//! What follows from what was seen, tick after tick: sums, hazards, alerts, the snapshot that is served. Pure: times come with
//! what was seen, so that `mmscope run` and the replay of a recording come to the same.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use probe_common::event::Record;

use crate::{
    anomaly::{Anomalies, Class, Host, Look, MmLook, Totals, Transition},
    config::Config,
    governor::Governed,
    identity::{Names, Subject},
    intake::{ProgramFigures, TableFigures},
    model::{Exemplar, Limits, Model, ProcessFigures, Snapshot},
    plan::HookState,
};

/// Raised alerts whose text is in a snapshot; their number is there in any case.
const RAISED: usize = 50;

/// What one tick saw, with its times and with names.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Since the start.
    pub uptime: Duration,
    /// The wall clock.
    pub wall: SystemTime,
    /// The clock of the kernel side at that time, nanoseconds; none where it could not be read.
    pub clock_ns: Option<u64>,
    /// Each mm that was active or has something in flight.
    pub mms: Vec<MmLook>,
    /// Single events over their thresholds.
    pub records: Vec<(Subject, Record)>,
    /// Losses since the start, by the reasons of `probe_common::lost`.
    pub lost: Vec<u64>,
    /// Looks at which the kernel's count of pending flushes differed from ours, since the start; none where it cannot be read.
    pub pending_mismatches: Option<u64>,
    /// Tables of the kernel side.
    pub tables: Vec<TableFigures>,
    /// What the kernel says of each attached program.
    pub programs: BTreeMap<&'static str, ProgramFigures>,
    /// Nanoseconds waited for mmap_lock since the start, by `probe_common::series::BLOCKED`.
    pub blocked_ns: Vec<u64>,
    /// The process that saw it; none where /proc does not tell.
    pub process: Option<ProcessFigures>,
    /// What was given up, to cost less.
    pub governed: Governed,
}

impl Default for Sight {
    fn default() -> Self {
        Self {
            uptime: Duration::ZERO,
            wall: SystemTime::UNIX_EPOCH,
            clock_ns: None,
            mms: Vec::new(),
            records: Vec::new(),
            lost: Vec::new(),
            pending_mismatches: None,
            tables: Vec::new(),
            programs: BTreeMap::new(),
            blocked_ns: Vec::new(),
            process: None,
            governed: Governed::default(),
        }
    }
}

impl Sight {
    /// The records that stand for one event of a histogram, with the wall clock's time of their end.
    fn exemplars(&self) -> impl Iterator<Item = (&Subject, Exemplar)> {
        // Without a clock they have no time.
        let clock_ns = self.clock_ns;
        self.records.iter().filter_map(move |(subject, record)| {
            let age_ns = clock_ns?.saturating_sub(record.begin_ns.saturating_add(record.duration_ns));
            let end = self.wall.checked_sub(Duration::from_nanos(age_ns))?;
            Some((subject, Exemplar::of(record, end)?))
        })
    }
}

/// What one tick's sight came to.
#[derive(Debug)]
pub struct Seen {
    /// What is served from now on.
    pub snapshot: Snapshot,
    /// Alerts raised and cleared.
    pub transitions: Vec<Transition>,
}

/// Holds what was seen so far.
pub struct Scope {
    anomalies: Anomalies,
    totals: Totals,
    model: Model,
    hooks: Vec<HookState>,
    /// Uptime at the last tick.
    last: Duration,
    records: u64,
    ticks: u64,
}

impl Scope {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(config: &Config, host: Host) -> Self {
        Self {
            hooks: host.hooks.clone(),
            anomalies: Anomalies::new(config, host),
            totals: Totals::default(),
            model: Model::new(Limits::of(config)),
            last: Duration::ZERO,
            records: 0,
            ticks: 0,
        }
    }

    /// Classes that are not judged here, and why.
    #[must_use]
    pub fn unjudged(&self) -> &[(Class, String)] {
        self.anomalies.unjudged()
    }

    /// From now on judges and bounds by another configuration; what was seen so far stays.
    pub fn reconfigure(&mut self, config: &Config) {
        self.anomalies.reconfigure(config);
        self.model.set_limits(Limits::of(config));
    }

    /// Takes what one tick saw. Uptimes must not go back.
    pub fn see(&mut self, sight: &Sight) -> Seen {
        if let Some(hooks) = &sight.governed.hooks
            && self.hooks != **hooks
        {
            self.hooks.clone_from(hooks);
            self.anomalies.set_hooks(self.hooks.clone());
        }
        let grown = self.totals.grow(Totals {
            lost: sight.lost.clone(),
            pending_mismatches: sight.pending_mismatches.unwrap_or_default(),
            probe_misses: sight.programs.values().filter_map(|figures| figures.misses).sum(),
        });
        let transitions = self.anomalies.look(&Look {
            now: sight.uptime,
            interval: sight.uptime.saturating_sub(self.last),
            mms: &sight.mms,
            records: &sight.records,
            lost: &grown.lost,
            pending_mismatches: sight.pending_mismatches.map(|_| grown.pending_mismatches),
            probe_misses: grown.probe_misses,
        });
        self.last = sight.uptime;
        self.model.leave_room_for(self.anomalies.hazards().len());
        self.model.fold(sight.uptime, sight.mms.iter().map(|mm| (&mm.subject, &mm.counts)));
        self.model.keep(sight.wall, sight.exemplars());
        self.records += sight.records.len() as u64;
        self.ticks += 1;
        Seen { snapshot: self.snapshot(sight), transitions }
    }

    fn snapshot(&self, sight: &Sight) -> Snapshot {
        Snapshot {
            subjects: self.model.subjects(),
            exemplars: self.model.exemplars(),
            hooks: self.hooks.clone(),
            lost: sight.lost.clone(),
            pending_mismatches: sight.pending_mismatches,
            tables: sight.tables.clone(),
            programs: sight.programs.clone(),
            process: sight.process,
            governed: sight.governed.clone(),
            hazards: self.anomalies.hazards(),
            alerts: self.anomalies.active(),
            raised: self.anomalies.gravest(RAISED),
            unjudged: self.anomalies.unjudged().to_vec(),
            alerts_over: self.anomalies.alerts_over(),
            baselines_over: self.anomalies.baselines_over(),
            // Known to who tells.
            sinks: Vec::new(),
            names: Names::default(),
            web: None,
            subject_figures: self.model.figures(),
            // Known to who reads it.
            reload: None,
            blocked_ns: sight.blocked_ns.clone(),
            records: self.records,
            ticks: self.ticks,
        }
    }
}

#[cfg(test)]
mod tests;
