//! What is worth telling somebody: rules over what one look saw, alerts with hysteresis, and hazards counted. Pure: the
//! time is passed in, and nothing here touches a kernel, a clock or a socket.
//!
//! A rule looks at one [`Look`] and finds; `alerts` makes transitions of what was found, `hazards` totals. A class whose
//! hooks are absent, or that is switched off, is not judged: it is absent, never zero. What each class means is in
//! docs/anomalies.md.

mod alerts;
mod baseline;
mod baselines;
mod class;
#[cfg(test)]
mod fixture;
mod flush;
mod hazards;
mod host;
pub mod kinds;
mod lock;
mod look;
mod memory;
mod pages;
mod releases;
mod stale;
#[cfg(test)]
mod tests;
mod text;
mod totals;
mod userfault;

use std::collections::BTreeMap;

pub use hazards::Hazard;
pub use kinds::{Class, Raised, Severity, Transition};
pub use look::{Host, Look, MmLook};
pub(crate) use stale::is_window_of;
pub use totals::Totals;

use crate::{
    config::{self, Config},
    plan::HookState,
};
use alerts::Alerts;
use baselines::Baselines;
use class::CLASSES;
use hazards::Hazards;
use kinds::{Counted, Found};
use look::Context;
use memory::Memory;

/// Classes that can be judged with these hooks, and those that cannot, and why.
fn judgeable(bounds: &config::Anomaly, hooks: &[HookState]) -> (Vec<Class>, Vec<(Class, String)>) {
    let mut judged = Vec::new();
    let mut unjudged = Vec::new();
    for entry in CLASSES {
        if bounds.disabled.contains(&entry.class) {
            unjudged.push((entry.class, "switched off by anomaly.disabled".to_owned()));
        } else if entry.class.is_measured(hooks) {
            judged.push(entry.class);
        } else {
            let sets: Vec<String> = entry.needs.iter().map(|set| set.join(" + ")).collect();
            unjudged.push((entry.class, format!("needs the hooks {}", sets.join(" or "))));
        }
    }
    (judged, unjudged)
}

/// Judges look after look.
pub struct Anomalies {
    bounds: config::Anomaly,
    host: Host,
    judged: Vec<Class>,
    unjudged: Vec<(Class, String)>,
    memory: Memory,
    baselines: Option<Baselines>,
    alerts: Alerts,
    hazards: Hazards,
}

impl Anomalies {
    /// Nothing raised, nothing counted.
    #[must_use]
    pub fn new(config: &Config, host: Host) -> Self {
        let bounds = config.anomaly.clone();
        let (judged, unjudged) = judgeable(&bounds, &host.hooks);
        Self {
            alerts: Alerts::new(&bounds),
            hazards: Hazards::new(config),
            baselines: Baselines::new(config),
            memory: Memory::default(),
            bounds,
            host,
            judged,
            unjudged,
        }
    }

    /// Other bounds from now on. Alerts that are raised stay, and clear when their rule has not held for long enough; totals stay.
    pub fn reconfigure(&mut self, config: &Config) {
        self.bounds = config.anomaly.clone();
        (self.judged, self.unjudged) = judgeable(&self.bounds, &self.host.hooks);
        self.alerts.reconfigure(&self.bounds);
        self.hazards.reconfigure(config);
        self.baselines = match (self.baselines.take(), Baselines::new(config)) {
            (Some(old), Some(new)) => Some(new.continuing(old)),
            (_, new) => new,
        };
    }

    /// Hooks were given up, or taken back. A class that loses its hooks is not judged any more; its alerts clear in time.
    pub fn set_hooks(&mut self, hooks: Vec<HookState>) {
        (self.judged, self.unjudged) = judgeable(&self.bounds, &hooks);
        self.host.hooks = hooks;
    }

    /// Judges one look.
    pub fn look(&mut self, look: &Look<'_>) -> Vec<Transition> {
        let context = Context { look, bounds: &self.bounds, host: &self.host, unjudged: &self.unjudged };
        let mut found = Found::default();
        for class in &self.judged {
            (class.entry().rule)(&context, &mut self.memory, &mut found);
        }
        if let Some(baselines) = &mut self.baselines {
            baselines.judge(&context, &self.judged, &mut found);
        }
        for (subject, class, outcome, count) in found.hazards {
            self.hazards.add(look.now, subject.as_ref(), class, outcome, count);
        }
        let transitions = self.alerts.step(look.now, found.findings);
        for raised in transitions.iter().filter(|transition| transition.is_active) {
            if raised.class.entry().counted == Counted::Episode && !baselines::is_about(raised.about) {
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

    /// The gravest alerts that are raised, so many at most.
    #[must_use]
    pub fn gravest(&self, most: usize) -> Vec<Raised> {
        self.alerts.gravest(most)
    }

    /// Findings that found no room among the alerts, and alerts that gave their place up, since the start.
    #[must_use]
    pub fn alerts_over(&self) -> u64 {
        self.alerts.over()
    }

    /// Figures that found no room among the baselines, since the start; none where there are no baselines.
    #[must_use]
    pub fn baselines_over(&self) -> Option<u64> {
        self.baselines.as_ref().map(Baselines::over)
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
