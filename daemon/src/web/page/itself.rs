//! What mmscope says of itself: hooks with tiers and reasons, cost, losses.

use std::collections::BTreeMap;

use maud::{Markup, html};
use probe_common::lost::{MEANINGS, REASONS};
use serde::Serialize;

use super::{Moment, origin::millis, words};
use crate::{
    governor::Level,
    plan::{self, HookState, NOT_NEEDED},
};

/// The hooks.
#[derive(Serialize)]
pub(super) struct Hooks(Vec<Hook>);

#[derive(Serialize)]
struct Hook {
    hook: &'static str,
    /// How it is reached; none where it is absent.
    tier: Option<&'static str>,
    /// Why it is absent.
    reason: Option<String>,
    tells: &'static str,
}

impl Hook {
    fn is_not_needed(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.starts_with(NOT_NEEDED))
    }
}

impl Hooks {
    pub(super) fn new(moment: &Moment<'_>) -> Self {
        let hooks = plan::of_host(&moment.snapshot.hooks).map(|(hook, state)| {
            let (tier, reason) = match state {
                HookState::Attached(tier) => (Some(tier.name()), None),
                HookState::Absent(reason) => (None, Some(reason.clone())),
            };
            Hook { hook: hook.name, tier, reason, tells: hook.tells }
        });
        Self(hooks.collect())
    }

    pub(super) fn html(&self) -> Markup {
        let (attached, absent): (Vec<&Hook>, Vec<&Hook>) = self.0.iter().partition(|hook| hook.tier.is_some());
        let (not_needed, missing): (Vec<&Hook>, Vec<&Hook>) = absent.into_iter().partition(|hook| hook.is_not_needed());
        html! {
            section #hooks aria-labelledby="h-hooks" {
                h2 #h-hooks { "Hooks" }
                p {
                    strong { (attached.len()) } " attached, "
                    strong { (missing.len()) } " missing, "
                    (not_needed.len()) " not needed here, since others tell the same. "
                    span.note { "Tiers: F fentry and fexit, K kprobe, T tracepoint." }
                }
                @if !missing.is_empty() { (table("Missing", &missing)) }
                @if !attached.is_empty() {
                    details #attached open[missing.is_empty()] { summary { "Attached (" (attached.len()) ")" } (table("Attached", &attached)) }
                }
                @if !not_needed.is_empty() {
                    details #not-needed { summary { "Not needed (" (not_needed.len()) ")" } (table("Not needed", &not_needed)) }
                }
            }
        }
    }
}

fn table(title: &str, hooks: &[&Hook]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={"Table of hooks: " (title)} {
            table.hooks {
                caption.hidden { "Hooks: " (title) }
                thead { tr { th scope="col" { "Hook" } th scope="col" { "Tier" } th scope="col" { "What it tells" } } }
                tbody {
                    @for hook in hooks {
                        tr id={"hook-" (hook.hook)} {
                            th scope="row" { code { (hook.hook) } }
                            td { @match hook.tier { Some(tier) => span.tier { (tier) }, None => span.tier.none { "absent" } } }
                            td { (hook.tells) @if let Some(reason) = &hook.reason { span.sub { (reason) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Cost.
#[derive(Serialize)]
pub(super) struct Cost {
    /// Of the host's CPU time, at the last look; none where the kernel does not tell.
    ratio: Option<f64>,
    /// None where there is no budget.
    budget: Option<f64>,
    level: u64,
    line: String,
    /// Time spent at each level above none.
    shed_ms: BTreeMap<&'static str, u64>,
    resident_bytes: Option<u64>,
    cpu_seconds: Option<f64>,
    table_bytes: u64,
    fullest: Vec<Table>,
}

#[derive(Serialize)]
struct Table {
    table: &'static str,
    entries: u64,
    capacity: u64,
}

impl Cost {
    pub(super) fn new(moment: &Moment<'_>) -> Self {
        let governed = &moment.snapshot.governed;
        let shed = Level::ALL.iter().zip(governed.spent).skip(1).filter(|(_, spent)| !spent.is_zero());
        let tables = &moment.snapshot.tables;
        let mut fullest: Vec<Table> = tables
            .iter()
            .filter_map(|table| {
                let entries = table.entries?;
                Some(Table { table: table.size.name, entries, capacity: table.size.capacity })
            })
            .collect();
        fullest.sort_by_key(|table| std::cmp::Reverse(table.entries * 1_000_000 / table.capacity.max(1)));
        Self {
            ratio: governed.ratio,
            budget: governed.budget,
            level: governed.level.number(),
            line: governed.line(),
            shed_ms: shed.map(|(level, spent)| (level.name(), millis(spent))).collect(),
            resident_bytes: moment.snapshot.process.map(|process| process.resident_bytes),
            cpu_seconds: moment.snapshot.process.map(|process| process.cpu_seconds),
            table_bytes: tables.iter().map(|table| table.size.bytes).sum(),
            fullest,
        }
    }

    fn figures(&self) -> Markup {
        let not_told = |told: Option<String>| told.unwrap_or_else(|| "not told".to_owned());
        html! {
            dl.figures {
                div {
                    dt { "Probes" }
                    dd { (not_told(self.ratio.map(words::percent)))
                        span.sub { "of the host's CPU time"
                            @match self.budget { Some(budget) => { ", budget " (words::percent(budget)) }, None => ", no budget" } } }
                }
                div {
                    dt { "Daemon" }
                    dd { (not_told(self.resident_bytes.map(words::bytes))) span.sub { "resident" } }
                }
                div {
                    dt { "CPU time" }
                    dd { (not_told(self.cpu_seconds.map(|seconds| words::time((seconds * 1e9) as u64))))
                        span.sub { "of the daemon since its start" } }
                }
                div {
                    dt { "Tables" }
                    dd { @if self.table_bytes == 0 { "not told" } @else { (words::bytes(self.table_bytes)) }
                        span.sub { "of the kernel side"
                            @if let Some(Table { table, entries, capacity }) = self.fullest.first() {
                                "; fullest " (table) " " (words::percent(*entries as f64 / *capacity as f64))
                            } } }
                }
            }
        }
    }
}

/// Losses.
#[derive(Serialize)]
pub(super) struct Losses {
    /// By reason; those at zero are left out.
    lost: BTreeMap<&'static str, u64>,
    /// Events that programs could not see; none where the kernel does not tell.
    missed: Option<u64>,
    /// Differences from the kernel's own count of pending flushes; none where it cannot be read.
    pending_mismatches: Option<u64>,
    alerts_over: u64,
    records: u64,
}

impl Losses {
    pub(super) fn new(moment: &Moment<'_>) -> Self {
        let snapshot = moment.snapshot;
        let lost = REASONS.into_iter().zip(snapshot.lost.iter().copied()).filter(|&(_, count)| count != 0);
        let mut misses = snapshot.programs.values().filter_map(|figures| figures.misses).peekable();
        let is_told = misses.peek().is_some();
        let missed = misses.sum();
        Self {
            lost: lost.collect(),
            missed: is_told.then_some(missed),
            pending_mismatches: snapshot.pending_mismatches,
            alerts_over: snapshot.alerts_over,
            records: snapshot.records,
        }
    }

    fn table(&self) -> Markup {
        let meaning = |reason: &str| REASONS.iter().position(|known| *known == reason).map_or("", |n| MEANINGS[n]);
        html! {
            @if self.lost.is_empty() {
                p.calm { span.dot.ok aria-hidden="true" {} strong { "Nothing was lost" } " since the start." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Table of losses" {
                    table.lost {
                        caption { "Lost since the start " span.note { "counted, and none of it became a duration" } }
                        thead { tr { th scope="col" { "Reason" } th.n scope="col" { "Events" } } }
                        tbody {
                            @for (reason, count) in &self.lost {
                                tr id={"lost-" (reason)} {
                                    th scope="row" { code { (reason) } span.sub { (meaning(reason).trim()) } }
                                    td.n { (words::count(*count)) }
                                }
                            }
                        }
                    }
                }
            }
            ul.pairs {
                li { "Events that no program could see: "
                    @match self.missed { Some(missed) => b { (words::count(missed)) }, None => "this kernel does not tell" } }
                li { "Looks at which the kernel's count of pending flushes differed: "
                    @match self.pending_mismatches { Some(looks) => b { (words::count(looks)) }, None => "cannot be read here" } }
                @if self.alerts_over > 0 { li { "Findings without room among the alerts: " b { (words::count(self.alerts_over)) } } }
                li { "Single events over their thresholds: " b { (words::count(self.records)) } }
            }
        }
    }
}

/// The section about both.
pub(super) fn html(cost: &Cost, losses: &Losses) -> Markup {
    html! {
        section #cost aria-labelledby="h-cost" {
            h2 #h-cost { "Cost and losses" }
            @if cost.level > 0 { p.warning { span.badge.warning { "gives up" } " " (cost.line) } }
            (cost.figures())
            @if !cost.shed_ms.is_empty() {
                p.note { "Less was measured for "
                    @for (n, (level, millis)) in cost.shed_ms.iter().enumerate() {
                        @if n > 0 { ", " }
                        (words::span(std::time::Duration::from_millis(*millis))) " (" (level) ")"
                    } ": totals lack that time." }
            }
            (losses.table())
        }
    }
}
