//! The table of docs/proof.md.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use super::follow::Steps;
use super::outage::{Outage, Row};
use super::own::{self, Ends, Own};
use crate::dashboards::rules::alerts::{CLASSES, ITSELF};
use crate::paths;

const PAGE: &str = "docs/proof.md";
const BEGIN: &str = "<!-- begin: cargo xtask proof --write -->\n";
const END: &str = "<!-- end -->";
const OUTAGE: &str = "## Alertmanagers that are down for five minutes";

/// Alerts in the order of their tables: a column for each server, and one for each of the daemon's own sinks.
pub(super) fn table(outcome: &Outcome) -> String {
    let mut text = "| alert | class | severity | provoked by |".to_owned();
    let mut line = "|---|---|---|---|".to_owned();
    for version in &outcome.versions {
        let _ = write!(text, " Prometheus {version}: fired, received, resolved |");
        line.push_str("---|");
    }
    text.push_str(" the daemon's own Alertmanager: received, resolved | its webhook: raised, cleared |");
    line.push_str("---|---|");
    let _ = write!(text, "\n{line}\n");
    for alert in CLASSES.iter().chain(ITSELF) {
        for way in outcome.ways.iter().filter(|way| way.key.0 == alert.name) {
            let class = own::class(alert).unwrap_or("-");
            let _ = write!(text, "| {} | {class} | {} | {} |", alert.name, alert.severity.name(), way.by);
            for Steps { fired, received, resolved } in &way.steps {
                let _ = write!(text, " {}, {}, {} |", shown(*fired), shown(*received), shown(*resolved));
            }
            text.push_str(&own_cells(way.own.as_ref()));
            text.push('\n');
        }
    }
    text
}

fn own_cells(own: Option<&Own>) -> String {
    let Some(Own { alertmanager, webhook, ends, .. }) = own else { return " - | - |".to_owned() };
    let (by_itself, cleared) = match ends {
        Ends::Cleared => ("", shown(webhook.cleared)),
        Ends::WithMmscope => (" by itself", "not told".to_owned()),
    };
    let (raised, resolved) = (shown(alertmanager.raised), shown(alertmanager.cleared));
    format!(" {raised}, {resolved}{by_itself} | {}, {cleared} |", shown(webhook.raised))
}

/// What became of alerts while Alertmanagers were down.
pub(super) fn outage(outage: &Outage) -> String {
    let Outage { lasted, raised, cleared, all_cleared, owed, resolved, rows, .. } = outage;
    let mut text = format!(
        "Down for {:.0} s of real time, in which {raised} alerts were raised and {cleared} cleared; {all_cleared} were cleared in \
         the whole step, up to the time when all was quiet again. The Alertmanager, empty when it was back, had to hear of {owed} \
         ends, and counted {resolved} alerts as resolved.\n\n\
         | sink | failed attempts | most that waited | cleared alerts that came | dropped, as counted | replaced by a later state, \
         as counted | all told after |\n|---|---|---|---|---|---|---|\n",
        lasted.as_secs_f64(),
    );
    for Row { sink, failures, waited, came, dropped, suppressed, told_after } in rows {
        let came = came.map_or_else(|| "-".to_owned(), |came| format!("{came} of {all_cleared}"));
        let told = shown(*told_after);
        let _ = writeln!(text, "| {sink} | {failures} | {waited} | {came} | {dropped} | {suppressed} | {told} |");
    }
    text
}

fn shown(time: Option<Duration>) -> String {
    time.map_or_else(|| "**never**".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()))
}

/// Puts table and sums between the page's markers.
pub(super) fn write(outcome: &Outcome) -> Result<()> {
    let path = paths::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN:?}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no {END:?}"))?;
    let queries = &outcome.queries;
    let dashboards: Vec<String> = queries.dashboards.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let dashboards = if dashboards.is_empty() { "none yet".to_owned() } else { dashboards.join(", ") };
    let seldom: Vec<&str> = queries.seldom.iter().map(String::as_str).collect();
    let seldom = if seldom.is_empty() { "none".to_owned() } else { seldom.join("; ") };
    let problems = if outcome.problems.is_empty() { "none".to_owned() } else { outcome.problems.join("; ") };
    let made = format!(
        "Kernel of the guest: {}. Prometheus: {}.\n\n{}\nQueries asked of each server: {} ({} recording rules; dashboards: \
         {dashboards}). Empty, as may be: {seldom}. Failed, empty, or otherwise wrong: {problems}.\n",
        outcome.kernel,
        outcome.versions.join(" and "),
        table(outcome),
        queries.count,
        queries.rules,
    );
    let outage = outcome.outage.as_ref().map(|outage| format!("\n{OUTAGE}\n\n{}", self::outage(outage)));
    let outage = outage.unwrap_or_default();
    fs::write(&path, format!("{before}{BEGIN}\n{made}{outage}\n{END}{after}"))
        .with_context(|| format!("write {}", path.display()))
}
