//! By what functions are reached: by fentry where one of them can be, else all by kprobes.

use std::{collections::BTreeMap, path::Path};

use super::{Allowed, Loaded, Thresholds, Timeline, attach, load, unused};
use crate::{
    failure::Failure,
    kernel::Targets,
    plan::{Decision, HOOKS, Hook, HookKind, HookState, Plan},
};

/// How functions are reached: all of them in one way, or what is kept for returns by one would be missing to the other.
#[derive(Clone, Debug)]
pub(super) enum Functions {
    /// By fentry and fexit.
    Fentry,
    /// By kprobes, because of these reasons against fentry, by hook.
    Kprobes(BTreeMap<&'static str, String>),
}

/// What is to be loaded.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// For this kernel.
    pub plan: &'a Plan,
    /// What it attaches to.
    pub targets: &'a Targets,
    /// From where on single events are sent.
    pub thresholds: Thresholds,
    /// Whose every event is sent.
    pub timeline: Option<&'a Timeline>,
    /// A file to use instead of the built-in object.
    pub object: Option<&'a Path>,
}

/// Loads and attaches what can be attached: the object, the state of each hook of [`HOOKS`] in its order, and what `prepare` makes
/// of the maps before anything is attached. Where functions are not reached by fentry they are by kprobes, all or none.
///
/// # Errors
///
/// When the object is not of this build, its maps cannot be made, or no hook at all could be attached; or as `prepare` says.
pub fn start<T>(
    source: &Source<'_>,
    allowed: &Allowed,
    prepare: impl Fn(&mut Loaded) -> Result<T, Failure>,
) -> Result<(Loaded, T, Vec<HookState>), Failure> {
    let begin = |functions: Functions| {
        let mut loaded = load(source, functions)?;
        let prepared = prepare(&mut loaded)?;
        let states = attach(&mut loaded, source.plan, allowed)?;
        Ok((loaded, prepared, states))
    };
    let has_kprobes = allowed.kprobe && source.plan.kprobes.is_ok();
    let against_types = source.plan.against_types;
    if (!allowed.fentry || against_types.is_some()) && has_kprobes {
        let functions = HOOKS.iter().filter(|hook| hook.kind != HookKind::Tracepoint);
        let reason = |hook: &Hook| (hook.name, unused(hook, against_types));
        return begin(Functions::Kprobes(functions.map(reason).collect()));
    }
    let by_fentry = begin(Functions::Fentry);
    let Some(reasons) = refused_functions(source.plan, allowed, &by_fentry).filter(|_| has_kprobes) else {
        return by_fentry;
    };
    drop(by_fentry);
    begin(Functions::Kprobes(reasons))
}

/// Why no function was reached by fentry, by hook; none if one was, or none was tried.
fn refused_functions<T>(
    plan: &Plan,
    allowed: &Allowed,
    by_fentry: &Result<(Loaded, T, Vec<HookState>), Failure>,
) -> Option<BTreeMap<&'static str, String>> {
    let wanted = HOOKS.iter().zip(&plan.decisions).filter(|(hook, planned)| {
        hook.kind != HookKind::Tracepoint && allowed.decision(hook, planned) == Decision::Attach
    });
    let wanted: Vec<&Hook> = wanted.map(|(hook, _)| hook).collect();
    let (states, all) = match by_fentry {
        Ok((_, _, states)) => (states.as_slice(), None),
        Err(Failure::Nothing(reason)) => ([].as_slice(), Some(reason)),
        Err(_) => return None,
    };
    let state =
        |hook: &Hook| HOOKS.iter().zip(states).find(|(known, _)| known.name == hook.name).map(|(_, state)| state);
    if wanted.is_empty() || wanted.iter().any(|hook| matches!(state(hook), Some(HookState::Attached(_)))) {
        return None;
    }
    let reason = |hook: &&Hook| match state(hook) {
        Some(HookState::Absent(reason)) => (hook.name, reason.clone()),
        _ => (hook.name, all.cloned().unwrap_or_default()),
    };
    Some(wanted.iter().map(reason).collect())
}

impl Loaded {
    /// Where functions are probed by kprobes: the reason against fentry of the first hook of a function.
    #[must_use]
    pub fn against_fentry(&self) -> Option<&str> {
        let Functions::Kprobes(reasons) = &self.functions else { return None };
        HOOKS.iter().find_map(|hook| reasons.get(hook.name)).map(String::as_str)
    }

    /// Whether the kernel tells what each attached kprobe misses; none if there is none.
    #[must_use]
    pub fn tells_kprobe_misses(&self) -> Option<bool> {
        let mut kprobes = self.programs.values().filter_map(|programs| programs.kprobes.as_ref()).flatten().peekable();
        kprobes.peek()?;
        Some(kprobes.all(Option::is_some))
    }
}
