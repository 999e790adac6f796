//! What is wrong now: raised alerts, hazards by class, what was raised and cleared lately, what is not judged.

use std::time::Duration;

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{Look, title, wrapped};
use crate::top::{
    told::{Alert, Hazards, Overview, Wrong},
    words,
};

/// Of the severest first.
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

/// In one line, for all views.
pub(super) fn summary(told: &Overview, look: Look) -> Line<'static> {
    let raised = |severity: &&str| told.wrong.raised.get(*severity).copied().unwrap_or_default();
    let mut spans = Vec::new();
    for severity in SEVERITIES.iter().filter(|severity| raised(severity) > 0) {
        spans.push(Span::styled(format!(" {} {severity} ", raised(severity)), look.of_severity(severity)));
    }
    if spans.is_empty() {
        return Line::raw("nothing is wrong: no alert is raised");
    }
    if let Some(alert) = told.wrong.alerts.first() {
        spans.push(Span::raw(format!(" {} of {}: {}", alert.class, whom(alert.comm.as_deref()), alert.text)));
    }
    Line::from(spans)
}

/// The view.
pub(super) fn lines(told: &Overview, look: Look, width: usize) -> Vec<Line<'static>> {
    let wrong = &told.wrong;
    let mut lines = vec![title("Alerts that are raised")];
    if wrong.alerts.is_empty() {
        lines.push(Line::raw("  none"));
    }
    lines.extend(alerts(wrong, told.host.uptime_ms, look, width));
    let more = wrong.raised.values().sum::<u64>().saturating_sub(wrong.alerts.len() as u64);
    if more > 0 {
        lines.push(Line::raw(format!("  {more} more, less grave")));
    }
    lines.push(title("Hazards"));
    lines.extend(hazards(&wrong.hazards));
    if !wrong.told.is_empty() {
        lines.push(title("Raised and cleared lately"));
    }
    for told in &wrong.told {
        let state = if told.is_active { &told.severity } else { "cleared" };
        let text = format!("{} {state}: {} of {}: {}", told.at, told.class, whom(told.comm.as_deref()), told.text);
        lines.extend(wrapped(&text, 2, width, Style::new()));
    }
    if !wrong.unjudged.is_empty() {
        lines.push(title("Not judged here"));
    }
    for (class, reason) in &wrong.unjudged {
        lines.extend(wrapped(&format!("{class}: {reason}"), 2, width, Style::new()));
    }
    lines
}

/// Raised alerts.
pub(super) fn alerts(wrong: &Wrong, uptime_ms: u64, look: Look, width: usize) -> Vec<Line<'static>> {
    let told = wrong.alerts.iter().flat_map(|alert| {
        let Alert { class, severity, comm, cgroup, since_ms, text } = alert;
        let since = words::span(Duration::from_millis(uptime_ms.saturating_sub(*since_ms)));
        let place = cgroup.as_deref().filter(|path| !path.is_empty()).map(|path| format!(" ({path})"));
        let whom = format!("{}{}", whom(comm.as_deref()), place.unwrap_or_default());
        let mut lines =
            wrapped(&format!("{severity}: {class} of {whom}, for {since}"), 2, width, look.of_severity(severity));
        lines.extend(wrapped(text, 4, width, Style::new()));
        lines
    });
    told.collect()
}

/// Hazards by class.
pub(super) fn hazards(hazards: &[Hazards]) -> Vec<Line<'static>> {
    if hazards.is_empty() {
        return vec![Line::raw("  none since the start")];
    }
    let mut lines = vec![Line::raw(format!("  {:<24} {:>11} {:>11}", "", "last 15 min", "since start"))];
    for Hazards { class, recent, total, outcomes } in hazards {
        let outcomes: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        let (recent, total) = (words::count(*recent), words::count(*total));
        lines.push(Line::raw(format!("  {class:<24} {recent:>11} {total:>11}  {}", outcomes.join(", "))));
    }
    lines
}

fn whom(comm: Option<&str>) -> &str {
    comm.unwrap_or("this host")
}
