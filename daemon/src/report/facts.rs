//! What stands at the head of a report: where and when it was recorded, what could not be measured there and what that costs,
//! what was lost. Pure.

use std::time::Duration;

use super::{digest::Digest, tables};
use crate::{
    export::CATALOGUE,
    governor::Level,
    plan::{self, HOOKS, HookState, NOT_NEEDED},
};

/// Heading of the overlaps.
pub(super) const OVERLAPS: &str = "Write faults inside another task's window";
/// What they are.
pub(super) const OF_OVERLAPS: &str = "Examples, with both stacks. Mitigated: the page was flushed first. Reused: it was made writable \
    without a copy, and nothing is lost. Exposed: it was copied without a flush, and what others wrote through old translations \
    is lost.";

/// Label and text of each fact.
pub(super) fn facts(digest: &Digest, file: &str) -> Vec<(&'static str, String)> {
    let header = &digest.header;
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let attached = header.host.hooks.iter().filter(|state| matches!(state, HookState::Attached(_))).count();
    let mut facts = vec![("recording", file.to_owned())];
    facts.extend(header.node.as_ref().map(|node| ("host", node.clone())));
    facts.extend([
        ("kernel", header.host.release.clone()),
        ("recorded by", format!("mmscope {}", header.build)),
        ("time", format!("{} to {}, {}", time(header.started), time(digest.ended), length(digest.length))),
        ("ticks", format!("{}, one each {}", digest.snapshot.ticks, humantime::format_duration(header.tick))),
        ("hooks", format!("{attached} attached")),
    ]);
    if let Some(finish) = &digest.finish {
        facts.push(("file", finish.to_string()));
    }
    facts.extend(shed(digest).map(|text| ("gave up", text)));
    facts
}

fn length(length: Duration) -> String {
    humantime::format_duration(Duration::from_millis(length.as_millis() as u64)).to_string()
}

/// For how long how much was not measured, to cost less.
fn shed(digest: &Digest) -> Option<String> {
    let spent = Level::ALL.iter().zip(digest.snapshot.governed.spent).skip(1);
    let spent: Vec<String> = spent
        .filter(|(_, time)| !time.is_zero())
        .map(|(level, time)| format!("{} for {}", level.words(), length(time)))
        .collect();
    (!spent.is_empty()).then(|| spent.join("; "))
}

/// A hook that was not there.
pub(super) struct Missing {
    pub(super) hook: &'static str,
    pub(super) reason: String,
    /// What it costs, or what was attached in its place.
    pub(super) cost: String,
}

/// Hooks that were absent, but for those that nobody needed.
pub(super) fn missing(digest: &Digest) -> Vec<Missing> {
    let hooks = &digest.header.host.hooks;
    let missing = HOOKS.iter().zip(hooks).filter_map(|(hook, state)| match state {
        HookState::Absent(reason) if !reason.starts_with(NOT_NEEDED) => Some(Missing {
            hook: hook.name,
            reason: reason.clone(),
            cost: match plan::stand_ins(hooks, hook.name).as_slice() {
                [] => format!("costs: {}", hook.tells),
                others => format!("instead: {}", others.join(", ")),
            },
        }),
        _ => None,
    });
    missing.collect()
}

/// Families of metrics that could not be measured.
pub(super) fn unmeasured(digest: &Digest) -> Vec<&'static str> {
    let hooks = &digest.header.host.hooks;
    CATALOGUE.iter().filter(|family| !family.is_measured(hooks)).map(|family| family.name).collect()
}

/// What was lost, a line each.
pub(super) fn losses(digest: &Digest) -> Vec<String> {
    let lost = tables::losses(digest).into_iter();
    let mut lines: Vec<String> = lost.map(|(reason, count, meaning)| format!("{reason}: {count}. {meaning}")).collect();
    let misses: u64 = digest.snapshot.programs.values().filter_map(|figures| figures.misses).sum();
    if misses > 0 {
        lines
            .push(format!("programs skipped: {misses}. The kernel did not run a program, and no other one stepped in"));
    }
    if let Some(mismatches) = digest.snapshot.pending_mismatches.filter(|&mismatches| mismatches > 0) {
        lines.push(format!(
            "kernel's count differs: {mismatches}. Looks at which its count of pending flushes was not ours"
        ));
    }
    lines
}
