//! Hooks on disk, by name: as they were at the start, and what was given up of them since.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::numbers::{measured, ns};
use crate::{
    governor::{Governed, Level},
    plan::{HOOKS, HookState, Tier},
};

/// Name, tier, or why not.
pub(super) type WireHook = (String, Option<String>, String);

#[derive(Deserialize, Serialize)]
pub(super) struct WireGoverned {
    level: String,
    reason: Option<String>,
    budget: Option<f64>,
    ratio: Option<f64>,
    spent_ns: Vec<u64>,
    /// Those that are not as in the header; none where nothing has changed since the start.
    hooks: Option<Vec<WireHook>>,
}

pub(super) fn wire_hook(name: &str, state: &HookState) -> WireHook {
    match state {
        HookState::Attached(tier) => (name.to_owned(), Some(tier.name().to_owned()), String::new()),
        HookState::Absent(reason) => (name.to_owned(), None, reason.clone()),
    }
}

pub(super) fn hook((_, tier, reason): &WireHook) -> Result<HookState, String> {
    let Some(name) = tier else { return Ok(HookState::Absent(reason.clone())) };
    let tier = Tier::ALL.into_iter().find(|tier| tier.name() == name);
    tier.map(HookState::Attached).ok_or_else(|| format!("there is no tier {name}"))
}

pub(super) fn wire_governed(governed: &Governed, of_header: &[HookState]) -> WireGoverned {
    let changed = |hooks: &Arc<Vec<HookState>>| {
        let each = HOOKS.iter().zip(&**hooks).enumerate();
        let changed = each.filter(|(place, (_, state))| of_header.get(*place) != Some(*state));
        changed.map(|(_, (hook, state))| wire_hook(hook.name, state)).collect()
    };
    WireGoverned {
        level: governed.level.name().to_owned(),
        reason: governed.reason.clone(),
        budget: governed.budget,
        ratio: governed.ratio,
        spent_ns: governed.spent.iter().copied().map(ns).collect(),
        hooks: governed.hooks.as_ref().map(changed),
    }
}

pub(super) fn governed(wire: WireGoverned, of_header: &[HookState]) -> Result<Governed, String> {
    let level = Level::ALL.into_iter().find(|level| level.name() == wire.level);
    let mut spent = [Duration::ZERO; Level::ALL.len()];
    if wire.spent_ns.len() != spent.len() {
        return Err(format!("there are no {} levels", wire.spent_ns.len()));
    }
    spent.iter_mut().zip(&wire.spent_ns).for_each(|(spent, ns)| *spent = Duration::from_nanos(*ns));
    let whole = |changed: Vec<WireHook>| {
        let mut hooks = of_header.to_vec();
        for wire in changed {
            if let Some(place) = HOOKS.iter().position(|hook| hook.name == wire.0) {
                hooks[place] = hook(&wire)?;
            }
        }
        Ok::<_, String>(Arc::new(hooks))
    };
    Ok(Governed {
        level: level.ok_or_else(|| format!("there is no level {}", wire.level))?,
        reason: wire.reason,
        budget: wire.budget.map(measured).transpose()?,
        ratio: wire.ratio.map(measured).transpose()?,
        spent,
        hooks: wire.hooks.map(whole).transpose()?,
    })
}
