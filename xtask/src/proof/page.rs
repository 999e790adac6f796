//! The table of docs/proof.md.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use super::follow::Steps;
use crate::dashboards::rules::alerts::{Alert, CLASSES, ITSELF, When};
use crate::paths;

const PAGE: &str = "docs/proof.md";
const BEGIN: &str = "<!-- begin: cargo xtask proof --write -->\n";
const END: &str = "<!-- end -->";

/// Alerts in the order of their tables, each server with three columns.
pub(super) fn table(outcome: &Outcome) -> String {
    let mut text = "| alert | class | severity | provoked by |".to_owned();
    let mut line = "|---|---|---|---|".to_owned();
    for version in &outcome.versions {
        let _ = write!(text, " {version}: fired after | received after | resolved after |");
        line.push_str("---|---|---|");
    }
    let _ = write!(text, "\n{line}\n");
    for alert in CLASSES.iter().chain(ITSELF) {
        for way in outcome.ways.iter().filter(|way| way.key.0 == alert.name) {
            let _ = write!(text, "| {} | {} | {} | {} |", alert.name, class(alert), alert.severity.name(), way.by);
            for Steps { fired, received, resolved } in &way.steps {
                let _ = write!(text, " {} | {} | {} |", shown(*fired), shown(*received), shown(*resolved));
            }
            text.push('\n');
        }
    }
    text
}

fn class(alert: &Alert) -> &'static str {
    match alert.when {
        When::Raised { class, .. } => class,
        When::Query(query, _) if query.contains("class=\"blind\"") => "blind",
        When::Query(..) => "-",
    }
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
    fs::write(&path, format!("{before}{BEGIN}\n{made}\n{END}{after}"))
        .with_context(|| format!("write {}", path.display()))
}
