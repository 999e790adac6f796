//! What is worth telling somebody: rules over what one look saw, alerts with hysteresis, and hazards counted. Pure: the
//! time is passed in, and nothing here touches a kernel, a clock or a socket.
//!
//! A rule looks at one [`Look`] and finds; `alerts` makes transitions of what was found, `hazards` totals. A class whose
//! hooks are absent, or that is switched off, is not judged: it is absent, never zero. What each class means is in
//! docs/anomalies.md.

mod alerts;
mod class;
#[cfg(test)]
mod fixture;
mod flush;
mod hazards;
mod host;
mod lock;
mod pages;
mod releases;
mod stale;
#[cfg(test)]
mod tests;
mod text;
mod totals;
mod userfault;

use std::{collections::BTreeMap, time::Duration};

use probe_common::{event::Record, histogram::FIRST_BOUND_LOG2};

pub use class::{Class, Severity};
pub use hazards::Hazard;
pub use totals::Totals;

use crate::{
    config::{self, Config},
    identity::Subject,
    intake::{Counts, Histogram},
    plan::HookState,
};
use alerts::{Alerts, Finding};
use class::{CLASSES, Counted};
use hazards::Hazards;

/// What is known of the host from the start.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Each hook of `plan::HOOKS`, in its order.
    pub hooks: Vec<HookState>,
    /// The release, as uname tells it.
    pub release: String,
    /// The text of /proc/version, in which distributions tell which stable version it is.
    pub version: String,
    /// The kernel has PG_anon_exclusive (5.19): a page that is copied was not writable before.
    pub has_anon_exclusive: bool,
    /// The probes can read how often a task yielded and was preempted.
    pub has_task_times: bool,
    /// change_protection counts its pending flush itself (before 5.17): such windows come without those counts.
    pub has_inline_changes: bool,
}

/// What one look saw.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Since the start.
    pub now: Duration,
    /// Since the last look.
    pub interval: Duration,
    /// Each mm that was active or has something in flight.
    pub mms: &'a [MmLook],
    /// Single events that came through the ring.
    pub records: &'a [(Subject, Record)],
    /// Losses since the last look, by the reasons of `probe_common::lost`.
    pub lost: &'a [u64],
    /// Differences from the kernel's count of pending flushes since the last look; none where it cannot be read.
    pub pending_mismatches: Option<u64>,
    /// Events that programs could not see, since the last look.
    pub probe_misses: u64,
}

/// What one look saw of one mm.
#[derive(Clone, Debug)]
pub struct MmLook {
    /// Whose it is.
    pub subject: Subject,
    /// Process id.
    pub tgid: u32,
    /// What was added since the last look.
    pub counts: Counts,
    /// Age of the oldest userfault in flight.
    pub fault_age: Option<Duration>,
    /// Time since a userfaultfd of this mm was last asked for something; none if it never was.
    pub since_ioctl: Option<Duration>,
    /// Age of the oldest batched reclaim flush outstanding; none where there is none, or where that is not told.
    pub reclaim_age: Option<Duration>,
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

/// What a rule may look at.
struct Context<'a> {
    look: &'a Look<'a>,
    bounds: &'a config::Anomaly,
    host: &'a Host,
    /// Classes that are not judged, and why.
    unjudged: &'a [(Class, String)],
}

impl Context<'_> {
    /// As a rate. A look too short to tell is taken for a tenth of a second, the shortest tick.
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.look.interval.max(Duration::from_millis(100)).as_secs_f64()
    }
}

/// What rules remember between looks.
#[derive(Default)]
struct Memory {
    stale: stale::Memory,
    host: host::Memory,
}

/// What rules found at one look.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    hazards: Vec<(Option<Subject>, Class, &'static str, u64)>,
}

impl Found {
    fn hazards(&mut self, subject: Option<&Subject>, class: Class, outcome: &'static str, count: u64) {
        if count > 0 {
            self.hazards.push((subject.cloned(), class, outcome, count));
        }
    }
}

/// Judges look after look.
pub struct Anomalies {
    bounds: config::Anomaly,
    host: Host,
    judged: Vec<Class>,
    unjudged: Vec<(Class, String)>,
    memory: Memory,
    alerts: Alerts,
    hazards: Hazards,
}

impl Anomalies {
    /// Nothing raised, nothing counted.
    #[must_use]
    pub fn new(config: &Config, host: Host) -> Self {
        let bounds = config.anomaly.clone();
        let mut judged = Vec::new();
        let mut unjudged = Vec::new();
        for entry in CLASSES {
            if bounds.disabled.contains(&entry.class) {
                unjudged.push((entry.class, "switched off by anomaly.disabled".to_owned()));
            } else if entry.class.is_measured(&host.hooks) {
                judged.push(entry.class);
            } else {
                let sets: Vec<String> = entry.needs.iter().map(|set| set.join(" + ")).collect();
                unjudged.push((entry.class, format!("needs the hooks {}", sets.join(" or "))));
            }
        }
        Self {
            alerts: Alerts::new(&bounds),
            hazards: Hazards::new(config),
            memory: Memory::default(),
            bounds,
            host,
            judged,
            unjudged,
        }
    }

    /// Judges one look.
    pub fn look(&mut self, look: &Look<'_>) -> Vec<Transition> {
        let context = Context { look, bounds: &self.bounds, host: &self.host, unjudged: &self.unjudged };
        let mut found = Found::default();
        for class in &self.judged {
            (class.entry().rule)(&context, &mut self.memory, &mut found);
        }
        for (subject, class, outcome, count) in found.hazards {
            self.hazards.add(look.now, subject.as_ref(), class, outcome, count);
        }
        let transitions = self.alerts.step(look.now, found.findings);
        for raised in transitions.iter().filter(|transition| transition.is_active) {
            if raised.class.entry().counted == Counted::Episode {
                self.hazards.add(look.now, raised.subject.as_ref(), raised.class, raised.about, 1);
            }
        }
        transitions
    }

    /// Alerts that are raised; zero for every class and severity that is judged and has none.
    #[must_use]
    pub fn active(&self) -> BTreeMap<(Class, Severity), u64> {
        self.alerts.active(&self.judged)
    }

    /// Findings that found no room among the alerts, and alerts that gave their place up, since the start.
    #[must_use]
    pub fn alerts_over(&self) -> u64 {
        self.alerts.over()
    }

    /// Hazards since the start; a total that is zero is absent.
    #[must_use]
    pub fn hazards(&self) -> Vec<Hazard> {
        self.hazards.totals()
    }

    /// Classes that are judged here.
    #[must_use]
    pub fn judged(&self) -> &[Class] {
        &self.judged
    }

    /// Classes that are not, and why.
    #[must_use]
    pub fn unjudged(&self) -> &[(Class, String)] {
        &self.unjudged
    }
}

/// Events of a histogram that took longer than a bound for sure: those in the buckets that begin at it or later. With them
/// the bound that this comes to.
fn longer(histogram: &Histogram, bound: Duration) -> (u64, Duration) {
    let begin = |bucket: usize| {
        Duration::from_nanos(if bucket == 0 { 0 } else { 1 << (FIRST_BOUND_LOG2 as usize + bucket - 1) })
    };
    let buckets = histogram.buckets.iter().enumerate().filter(|(bucket, _)| begin(*bucket) >= bound);
    let first = (0..histogram.buckets.len()).map(begin).find(|&from| from >= bound);
    (buckets.map(|(_, count)| count).sum(), first.unwrap_or(Duration::MAX))
}
