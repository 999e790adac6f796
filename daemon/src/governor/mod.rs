//! Keeps the budget: from what programs cost to what is given up and taken back. Pure: costs and times are passed in.
//!
//! Over the budget it goes to the first level at which what remains fits, by what each hook cost. What was given up cannot be
//! measured any more; so one of its hooks, the costliest, is watched by a program that does nothing (a canary): how often it runs
//! tells what all of it would cost. When that and the rest have fitted into half of the budget for some looks, everything is
//! taken back. Who has to be given up again soon has to be quiet for longer the next time.

mod governed;
mod level;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub use governed::{Governed, percent};
pub use level::{Level, SHED};

use level::is_lock;

/// What one hook's programs cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Of the host's CPU time.
    pub ratio: f64,
    /// Runs a second.
    pub runs: f64,
}

/// What one look at the costs saw.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// By hook; those that are attached.
    pub hooks: BTreeMap<&'static str, Cost>,
    /// Runs a second of the canary; none where it could not be attached, or none was asked for.
    pub canary_runs: Option<f64>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Stay,
    /// Give up what a level does not keep.
    Shed(Level),
    /// Take everything back.
    Restore,
}

/// What is kept after giving up has to fit into this part of the budget, so that it does not have to be done again at once.
const SHED_TO: f64 = 0.8;
/// What everything would cost has to fit into this part, to be taken back.
const RESTORE_AT: f64 = 0.5;
/// Above so many times the budget it is given up at the first look, below only at the second in a row.
const AT_ONCE: f64 = 1.5;
/// Stacks may be the reason of an excess up to so much; more is not waited for.
const STACKS: f64 = 1.25;
/// A lock event that is not counted costs this part of one that is. (Entering and leaving the program, and finding the task.)
const SAMPLED: f64 = 0.4;
/// Looks in a row at which everything would fit, until it is taken back: at first, and after relapses.
const CALM: std::ops::RangeInclusive<u32> = 2..=6;
/// A relapse is what comes within this time.
const RELAPSE: Duration = Duration::from_secs(60);

/// Time to the next look while nothing comes near the budget.
const QUIET: Duration = Duration::from_secs(5);
/// While something does.
const CLOSE: Duration = Duration::from_secs(1);
/// While something is given up.
const SHORT_OF: Duration = Duration::from_secs(3);

/// What was given up, and what it cost then.
#[derive(Clone, Debug, Default)]
struct Given {
    hooks: BTreeMap<&'static str, Cost>,
}

impl Given {
    /// The hook to watch, and what everything that was given up costs for each run of it.
    fn canary(&self) -> Option<(&'static str, f64)> {
        let total: f64 = self.hooks.values().map(|cost| cost.ratio).sum();
        let dearest = self.hooks.iter().max_by(|(_, one), (_, other)| one.ratio.total_cmp(&other.ratio));
        let (hook, cost) = dearest.filter(|(_, cost)| cost.runs > 0.0)?;
        Some((hook, total / cost.runs))
    }
}

/// Decides.
#[derive(Debug)]
pub struct Governor {
    /// Of the host's CPU time.
    budget: f64,
    level: Level,
    given: Given,
    /// What the last look saw.
    last: f64,
    /// Looks in a row over the budget.
    over: u32,
    /// Looks in a row at which everything would fit.
    calm: u32,
    calm_needed: u32,
    restored: Option<Duration>,
}

impl Governor {
    /// With a budget as a part of the host's CPU time.
    #[must_use]
    pub fn new(budget: f64) -> Self {
        Self {
            budget,
            level: Level::Full,
            given: Given::default(),
            last: 0.0,
            over: 0,
            calm: 0,
            calm_needed: *CALM.start(),
            restored: None,
        }
    }

    /// What is given up now.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Until the next look.
    #[must_use]
    pub fn next_look(&self) -> Duration {
        match self.level {
            _ if self.over > 0 => CLOSE,
            Level::Full if self.last < self.budget / 4.0 => QUIET,
            Level::Full => CLOSE,
            _ => SHORT_OF,
        }
    }

    /// The hook that a program which does nothing should watch during the next look.
    #[must_use]
    pub fn canary(&self) -> Option<&'static str> {
        self.given.canary().map(|(hook, _)| hook)
    }

    /// Takes what a look saw, `now` since any beginning.
    pub fn look(&mut self, now: Duration, costs: &Costs) -> Order {
        let total: f64 = costs.hooks.values().map(|cost| cost.ratio).sum();
        self.last = total;
        if total > self.budget {
            self.calm = 0;
            self.over += 1;
            if self.over > 1 || total > AT_ONCE * self.budget || self.level != Level::Full {
                return self.shed(now, costs, total);
            }
            return Order::Stay;
        }
        self.over = 0;
        if self.level == Level::Full {
            return Order::Stay;
        }
        match self.predicted(costs) {
            Some(all) if all <= RESTORE_AT * self.budget => self.calm += 1,
            Some(_) => self.calm = 0,
            // Nobody knows; try, though not soon.
            None => self.calm += 1,
        }
        let needed = if self.is_watched(costs) { self.calm_needed } else { *CALM.end() };
        if self.calm < needed {
            return Order::Stay;
        }
        self.restore(now);
        Order::Restore
    }

    /// Everything was given up for another reason than its cost, or taken back from there.
    pub fn set(&mut self, level: Level) {
        *self = Self { level, ..Self::new(self.budget) };
    }

    fn shed(&mut self, now: Duration, costs: &Costs, total: f64) -> Order {
        let fits = |level: &Level| remaining(*level, costs, total) <= SHED_TO * self.budget;
        let dearer = Level::ALL.into_iter().filter(|level| *level > self.level);
        let level = dearer
            .into_iter()
            .find(|level| if *level == Level::Stacks { total <= STACKS * self.budget } else { fits(level) });
        let level = level.unwrap_or(Level::Off);
        if level == self.level {
            return Order::Stay;
        }
        let gone = costs.hooks.iter().filter(|(hook, _)| self.level.keeps(hook) && !level.keeps(hook));
        // Locks that are sampled already cost less than they would.
        let lock = if self.level == Level::Locks { SAMPLED } else { 1.0 };
        let whole = |hook: &str, cost: &Cost| Cost {
            ratio: if is_lock(hook) { cost.ratio / lock } else { cost.ratio },
            ..*cost
        };
        let gone: Vec<_> = gone.map(|(hook, cost)| (*hook, whole(hook, cost))).collect();
        self.given.hooks.extend(gone);
        if self.level == Level::Full {
            let is_relapse = self.restored.is_some_and(|restored| now.saturating_sub(restored) < RELAPSE);
            self.calm_needed = if is_relapse { (self.calm_needed * 2).min(*CALM.end()) } else { *CALM.start() };
        }
        self.level = level;
        self.over = 0;
        self.calm = 0;
        Order::Shed(level)
    }

    fn restore(&mut self, now: Duration) {
        self.level = Level::Full;
        self.given = Given::default();
        self.calm = 0;
        self.restored = Some(now);
    }

    fn is_watched(&self, costs: &Costs) -> bool {
        self.given.canary().is_none() || costs.canary_runs.is_some()
    }

    /// What everything would cost; none where nothing tells.
    fn predicted(&self, costs: &Costs) -> Option<f64> {
        let lock = if self.level == Level::Locks { SAMPLED } else { 1.0 };
        let whole = |(hook, cost): (&&str, &Cost)| if is_lock(hook) { cost.ratio / lock } else { cost.ratio };
        let kept: f64 = costs.hooks.iter().map(whole).sum();
        let given = match self.given.canary() {
            Some((_, for_each)) => costs.canary_runs? * for_each,
            None => 0.0,
        };
        Some(kept + given)
    }
}

/// What would remain at a level.
fn remaining(level: Level, costs: &Costs, total: f64) -> f64 {
    let spared = |(hook, cost): (&&str, &Cost)| {
        if !level.keeps(hook) {
            cost.ratio
        } else if level == Level::Locks && is_lock(hook) {
            cost.ratio * (1.0 - SAMPLED)
        } else {
            0.0
        }
    };
    total - costs.hooks.iter().map(spared).sum::<f64>()
}
