//! mmscope itself: hooks that are absent with their reasons, cost, losses.

use std::time::Duration;

use probe_common::lost::{MEANINGS, REASONS};
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{Look, title, wrapped};
use crate::{
    plan::{END_ABSENT, NOT_NEEDED},
    top::{
        told::{Hook, Overview},
        words,
    },
};

/// The hooks that are attached, that are missing, and that are not needed here.
fn parted(told: &Overview) -> [Vec<&Hook>; 3] {
    let (attached, absent): (Vec<&Hook>, Vec<&Hook>) = told.hooks.iter().partition(|hook| hook.tier.is_some());
    let is_not_needed = |hook: &&Hook| hook.reason.as_ref().is_some_and(|reason| reason.starts_with(NOT_NEEDED));
    let (not_needed, missing) = absent.into_iter().partition(is_not_needed);
    [attached, missing, not_needed]
}

/// In a few words, for all views.
pub(super) fn summary(told: &Overview, look: Look) -> Line<'static> {
    let [_, missing, _] = parted(told);
    let lost: u64 = told.losses.lost.values().sum();
    let dot = look.glyphs.dot();
    let mut parts = vec![
        format!("{} lost", words::count(lost)),
        format!("{} {} missing", missing.len(), if missing.len() == 1 { "hook" } else { "hooks" }),
    ];
    if told.cost.level > 0 {
        parts.push("gives up".to_owned());
    }
    let is_whole = lost == 0 && missing.is_empty() && told.cost.level == 0;
    let style = if is_whole { Look::quiet() } else { Look::bold() };
    Line::from(Span::styled(parts.join(&format!(" {dot} ")), style))
}

/// The view.
pub(super) fn lines(told: &Overview, width: usize) -> Vec<Line<'static>> {
    let [attached, missing, not_needed] = parted(told);
    let mut lines = vec![title(format!(
        "Hooks: {} attached, {} missing, {} not needed here",
        attached.len(),
        missing.len(),
        not_needed.len()
    ))];
    lines.extend(absent(&missing, width));
    let names = |hooks: &[&Hook]| {
        let names = hooks.iter().map(|hook| match &hook.tier {
            Some(tier) => format!("{} ({tier})", hook.hook),
            None => hook.hook.clone(),
        });
        names.collect::<Vec<_>>().join(", ")
    };
    lines.extend(wrapped(&format!("attached: {}", names(&attached)), 2, width, Style::new()));
    if !not_needed.is_empty() {
        lines.extend(wrapped(
            &format!("not needed, others tell the same: {}", names(&not_needed)),
            2,
            width,
            Look::quiet(),
        ));
    }
    lines.push(title("Losses since the start"));
    lines.extend(losses(told, width));
    lines.push(title("Cost"));
    lines.extend(cost(told, width));
    lines
}

/// Hooks that are absent for one reason together, with what each of them costs.
fn absent(missing: &[&Hook], width: usize) -> Vec<Line<'static>> {
    let mut by_reason: Vec<(&str, Vec<&Hook>)> = Vec::new();
    for hook in missing {
        // A beginning shares the reason of its end.
        let reason = hook.reason.as_deref().unwrap_or("no reason is told");
        let root = reason.rsplit(END_ABSENT).next().unwrap_or(reason);
        match by_reason.iter_mut().find(|(known, _)| *known == root) {
            Some((_, hooks)) => hooks.push(hook),
            None => by_reason.push((root, vec![hook])),
        }
    }
    let mut lines = Vec::new();
    for (reason, hooks) in by_reason {
        lines.extend(wrapped(&format!("{} absent: {reason}", hooks.len()), 2, width, Look::bold()));
        for hook in hooks {
            lines.extend(wrapped(&format!("{} costs: {}", hook.hook, hook.tells), 4, width, Look::quiet()));
        }
    }
    lines
}

fn losses(told: &Overview, width: usize) -> Vec<Line<'static>> {
    let losses = &told.losses;
    let mut lines = Vec::new();
    if losses.lost.is_empty() {
        lines.push(Line::raw("  nothing was lost"));
    }
    for (reason, count) in &losses.lost {
        let meaning = REASONS.iter().position(|known| known == reason).map_or("", |n| MEANINGS[n].trim());
        lines.extend(wrapped(&format!("{} {reason}: {meaning}", words::count(*count)), 2, width, Style::new()));
    }
    let or_not = |count: Option<u64>, not: &str| count.map_or_else(|| not.to_owned(), words::count);
    let missed = or_not(losses.missed, "this kernel does not tell");
    let mismatches = or_not(losses.pending_mismatches, "cannot be read here");
    lines.push(Line::raw(format!("  events that no program could see: {missed}")));
    let looks = "looks at which the kernel's count of pending flushes differed";
    lines.extend(wrapped(&format!("{looks}: {mismatches}"), 2, width, Style::new()));
    if losses.alerts_over > 0 {
        let over = words::count(losses.alerts_over);
        lines.push(Line::raw(format!("  findings without room among the alerts: {over}")));
    }
    lines
}

fn cost(told: &Overview, width: usize) -> Vec<Line<'static>> {
    let cost = &told.cost;
    let or_not = |text: Option<String>| text.unwrap_or_else(|| "not told".to_owned());
    let budget =
        cost.budget.map_or_else(|| "no budget".to_owned(), |budget| format!("budget {}", words::percent(budget)));
    let mut lines = Vec::new();
    let probes = or_not(cost.ratio.map(words::percent));
    lines.push(Line::raw(format!("  probes: {probes} of the host's CPU time, {budget}")));
    let resident = or_not(cost.resident_bytes.map(words::bytes));
    let seconds = or_not(cost.cpu_seconds.map(|seconds| format!("{seconds:.1} s")));
    lines.push(Line::raw(format!("  daemon: {resident} resident, {seconds} of CPU time since its start")));
    let tables = or_not((cost.table_bytes > 0).then(|| words::bytes(cost.table_bytes)));
    lines.push(Line::raw(format!("  tables of the kernel side: {tables}")));
    if cost.level > 0 {
        lines.extend(wrapped(&format!("gives up now: {}", cost.line), 2, width, Look::bold()));
    }
    for (level, ms) in &cost.shed_ms {
        let time = words::span(Duration::from_millis(*ms));
        lines.push(Line::raw(format!("  less was measured for {time} ({level}): totals lack that time")));
    }
    lines
}
