//! Rules about queries: metrics and labels that the catalogue has, matchers, ranges.

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::VectorSelector;
use serde_json::Value;

use super::super::promql::{self, Parts};
use super::{items, panels, text, variables};
use crate::catalogue::{Catalogue, Kind};

/// Matchers of every selector: the chosen hosts.
const HOST: [&str; 3] = ["cluster", "job", "instance"];

/// Matchers of a family that has these labels, where there is a variable of that name.
const SUBJECT: [&str; 2] = ["cgroup", "comm"];

/// Series that Prometheus makes itself, with their labels.
const OF_PROMETHEUS: [(&str, &[&str]); 1] = [("ALERTS", &["alertname", "alertstate", "severity"])];

/// Tells which of the processes that are scraped are mmscope's.
const BUILD_INFO: &str = "mmscope_build_info";

/// Says every breach in a panel's queries.
pub(super) fn check_panel(panel: &Value, dashboard: &Value, catalogue: &Catalogue, say: &mut dyn FnMut(String)) {
    let mut may_be_absent = false;
    for target in items(&panel["targets"]) {
        may_be_absent |= check_target(target, dashboard, catalogue, say);
    }
    if may_be_absent && text(&panel["fieldConfig"]["defaults"]["noValue"]).is_empty() {
        say("asks for a family that some kernels lack, and has no text for that".to_owned());
    }
}

/// Says every breach in one query; tells whether it asks for a family that some kernels lack.
pub(super) fn check_target(
    target: &Value,
    dashboard: &Value,
    catalogue: &Catalogue,
    say: &mut dyn FnMut(String),
) -> bool {
    let parts = match promql::parse(text(&target["expr"])) {
        Ok(parts) => parts,
        Err(error) => {
            say(format!("{error:#}"));
            return false;
        }
    };
    if parts.selectors.is_empty() {
        say("a query for nothing".to_owned());
    }
    check_ranges(&parts, say);
    let mut may_be_absent = false;
    for selector in &parts.selectors {
        may_be_absent |= check_selector(selector, dashboard, catalogue, say);
    }
    check_groups(&parts, catalogue, say);
    check_whose(&parts, say);
    may_be_absent
}

/// Families that no panel asks for.
pub(super) fn unasked<'a>(dashboards: impl Iterator<Item = &'a Value>, catalogue: &Catalogue) -> Vec<String> {
    let mut asked = BTreeSet::new();
    for target in dashboards.flat_map(panels).flat_map(|panel| items(&panel["targets"])) {
        // One that does not parse is a breach already.
        let selectors = promql::parse(text(&target["expr"])).unwrap_or_default().selectors;
        let names = selectors.iter().filter_map(|selector| selector.name.as_deref());
        asked.extend(names.filter_map(|name| Some(catalogue.of_metric(name)?.0)));
    }
    catalogue.names().filter(|name| !asked.contains(name)).map(str::to_owned).collect()
}

/// A rate's range follows from how often is scraped; an increase may also be that of the whole time range.
fn check_ranges(parts: &Parts, say: &mut dyn FnMut(String)) {
    for ranged in &parts.ranged {
        let fits = match ranged.function.as_str() {
            "rate" | "irate" => ranged.range == Some("$__rate_interval"),
            "increase" => matches!(ranged.range, Some("$__rate_interval" | "$__range")),
            _ => ranged.range.is_some(),
        };
        if !fits {
            say(format!("{} over another range than $__rate_interval", ranged.function));
        }
    }
}

fn check_selector(
    selector: &VectorSelector,
    dashboard: &Value,
    catalogue: &Catalogue,
    say: &mut dyn FnMut(String),
) -> bool {
    let name = selector.name.as_deref().unwrap_or_default();
    let Some(labels) = labels(name, catalogue) else {
        say(format!("there is no metric {name:?}"));
        return false;
    };
    let matchers = &selector.matchers.matchers;
    let must = HOST.iter().chain(SUBJECT.iter().filter(|label| {
        labels.iter().any(|known| known == *label) && variables(dashboard).any(|variable| variable == **label)
    }));
    for label in must {
        let value = format!("${label}");
        let has = |matcher: &promql_parser::label::Matcher| {
            matcher.name == *label && matcher.value == value && matches!(matcher.op, MatchOp::Re(_))
        };
        if !matchers.iter().any(has) {
            say(format!("{name} without {label}=~\"{value}\""));
        }
    }
    for matcher in matchers {
        if !labels.contains(&matcher.name) && !HOST.contains(&matcher.name.as_str()) {
            say(format!("{name} has no label {}", matcher.name));
        }
    }
    catalogue.of_metric(name).is_some_and(|(_, family)| family.needs_hooks())
}

/// Labels of a metric, those that Prometheus adds to all left out; none if there is no such metric.
fn labels(metric: &str, catalogue: &Catalogue) -> Option<Vec<String>> {
    if let Some((_, labels)) = OF_PROMETHEUS.iter().find(|(name, _)| *name == metric) {
        return Some(labels.iter().map(|label| (*label).to_owned()).collect());
    }
    let (_, family) = catalogue.of_metric(metric)?;
    let mut labels = family.labels.clone();
    if family.kind == Kind::Histogram && metric.ends_with("_bucket") {
        labels.push("le".to_owned());
    }
    Some(labels)
}

/// What is grouped by is a label of something below.
fn check_groups(parts: &Parts, catalogue: &Catalogue, say: &mut dyn FnMut(String)) {
    for (label, metrics) in &parts.grouped {
        let known = |metric: &String| labels(metric, catalogue).is_some_and(|labels| labels.contains(label));
        if !HOST.contains(&label.as_str()) && !metrics.iter().any(known) {
            say(format!("grouped by {label}, which none of {} has", metrics.join(", ")));
        }
    }
}

/// Families that every exporter has are asked for together with one that only mmscope has: all jobs may be chosen.
fn check_whose(parts: &Parts, say: &mut dyn FnMut(String)) {
    let mut names = parts.selectors.iter().filter_map(|selector| selector.name.as_deref());
    let joined = names.clone().any(|name| name == BUILD_INFO);
    if let Some(name) = names.find(|name| name.starts_with("process_"))
        && !joined
    {
        say(format!("{name} is every exporter's: join it with {BUILD_INFO}"));
    }
}
