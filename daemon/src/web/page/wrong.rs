//! What is wrong: alerts that are raised, hazards by class, what was raised and cleared lately, what is not judged.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use maud::{Markup, html};
use serde::Serialize;

use super::{Asked, Moment, Period, origin::millis, subjects, words};
use crate::{
    anomaly::{Class, Severity},
    identity::Subject,
};

/// All of it.
#[derive(Serialize)]
pub(super) struct Wrong {
    /// The gravest first.
    alerts: Vec<Alert>,
    /// Raised alerts by severity, those whose text is not told among them.
    raised: BTreeMap<&'static str, u64>,
    /// Since the start, and in the last 15 minutes; those alone that there were.
    hazards: Vec<Hazards>,
    /// The latest first.
    told: Vec<Told>,
    /// Classes that are not judged here, and why.
    unjudged: BTreeMap<&'static str, String>,
    uptime_ms: u64,
}

#[derive(Serialize)]
struct Alert {
    class: &'static str,
    severity: &'static str,
    #[serde(flatten)]
    subject: Option<Subject>,
    /// Uptime at which it was raised.
    since_ms: u64,
    text: String,
}

#[derive(Serialize)]
struct Hazards {
    class: &'static str,
    #[serde(skip)]
    meaning: &'static str,
    recent: u64,
    total: u64,
    /// Since the start.
    outcomes: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Told {
    class: &'static str,
    severity: &'static str,
    #[serde(flatten)]
    subject: Option<Subject>,
    is_active: bool,
    at: String,
    text: String,
}

impl Wrong {
    pub(super) fn new(moment: &Moment<'_>) -> Self {
        Self::of(moment, |_| true)
    }

    /// What is about this subject.
    pub(super) fn about(moment: &Moment<'_>, subject: &Subject) -> Self {
        let mut wrong = Self::of(moment, |about| about == Some(subject));
        wrong.raised.clear();
        for alert in &wrong.alerts {
            *wrong.raised.entry(alert.severity).or_default() += 1;
        }
        wrong
    }

    fn of(moment: &Moment<'_>, is_wanted: impl Fn(Option<&Subject>) -> bool) -> Self {
        let Moment { snapshot, history, .. } = moment;
        let alerts = snapshot.raised.iter().filter(|raised| is_wanted(raised.subject.as_ref())).map(|raised| Alert {
            class: raised.class.name(),
            severity: raised.severity.name(),
            subject: raised.subject.clone(),
            since_ms: millis(raised.since),
            text: raised.text.clone(),
        });
        let mut raised: BTreeMap<&'static str, u64> = BTreeMap::new();
        for ((_, severity), count) in snapshot.alerts.iter().filter(|(_, count)| **count > 0) {
            *raised.entry(severity.name()).or_default() += count;
        }
        let mut hazards: BTreeMap<Class, BTreeMap<&'static str, u64>> = BTreeMap::new();
        for hazard in snapshot.hazards.iter().filter(|hazard| is_wanted(hazard.subject.as_ref())) {
            *hazards.entry(hazard.class).or_default().entry(hazard.outcome).or_default() += hazard.count;
        }
        let recent = history.hazards();
        let hazards = hazards.into_iter().map(|(class, mut outcomes)| {
            let total = outcomes.values().sum();
            outcomes.remove("");
            Hazards {
                class: class.name(),
                meaning: words::meaning(class),
                recent: recent[class as usize],
                total,
                outcomes,
            }
        });
        let told = history.told().filter(|told| is_wanted(told.subject.as_ref())).map(|told| Told {
            class: told.class.name(),
            severity: told.severity.name(),
            subject: told.subject.clone(),
            is_active: told.is_active,
            at: clock(told.wall),
            text: told.text.clone(),
        });
        let unjudged = snapshot.unjudged.iter().map(|(class, reason)| (class.name(), reason.clone()));
        Self {
            alerts: alerts.collect(),
            raised,
            hazards: hazards.collect(),
            told: told.collect(),
            unjudged: unjudged.collect(),
            uptime_ms: millis(history.uptime()),
        }
    }

    /// How many alerts, in words, for the title and for who listens.
    pub(super) fn summary(&self) -> String {
        let grave = [Severity::Critical, Severity::Warning, Severity::Info];
        let parts: Vec<String> = grave
            .iter()
            .filter_map(|severity| Some((self.raised.get(severity.name())?, severity.name())))
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        if parts.is_empty() { "nothing is wrong".to_owned() } else { parts.join(", ") }
    }

    pub(super) fn has_hazards(&self) -> bool {
        !self.hazards.is_empty()
    }

    pub(super) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// The section of the front page.
    pub(super) fn html(&self, asked: &Asked) -> Markup {
        let summary = self.summary();
        html! {
            section #wrong aria-labelledby="h-wrong" data-summary=(summary) {
                h2 #h-wrong { "What is wrong now" }
                (self.alerts_html())
                (self.hazards_html(asked))
                (self.told_html())
                @if !self.unjudged.is_empty() {
                    details #unjudged {
                        summary { "Classes of hazards that are not judged here (" (self.unjudged.len()) ")" }
                        dl { @for (class, reason) in &self.unjudged { dt { code { (class) } } dd { (reason) } } }
                    }
                }
            }
        }
    }

    pub(super) fn alerts_html(&self) -> Markup {
        let up = Duration::from_millis(self.uptime_ms);
        let told = self.raised.values().sum::<u64>();
        html! {
            @if self.alerts.is_empty() {
                p.calm {
                    span.dot.ok aria-hidden="true" {}
                    strong { "No alert is raised" }
                    @if self.hazards.is_empty() { ", no hazard since the start, " (words::span(up)) "." } @else { "." }
                }
            } @else {
                ul.alerts {
                    @for alert in &self.alerts {
                        li class=(alert.severity) {
                            p.what {
                                span.badge.(alert.severity) { (alert.severity) }
                                " " strong { (alert.class) } " of "
                                @match &alert.subject {
                                    Some(subject) => (subjects::link(subject)),
                                    None => "this host",
                                }
                                span.since { "for " (words::span(up.saturating_sub(Duration::from_millis(alert.since_ms)))) }
                            }
                            p { (alert.text) }
                        }
                    }
                }
                @if told > self.alerts.len() as u64 {
                    p.note { (words::count(told - self.alerts.len() as u64)) " more are raised." }
                }
            }
        }
    }

    fn hazards_html(&self, asked: &Asked) -> Markup {
        html! {
            @if !self.hazards.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Table of hazards" {
                    table.hazards {
                        caption { "Hazards " span.note { "what comes near corrupted memory or long waits" } }
                        thead { tr {
                            th scope="col" { "Class" }
                            th.n scope="col" { "Last 15 min" }
                            th.n scope="col" { "Since start" }
                            th scope="col" { "Outcome " span.note { "since start" } }
                        } }
                        tbody {
                            @for hazards in &self.hazards {
                                tr id={"hazard-" (hazards.class)} {
                                    th scope="row" { (hazards.class) span.sub { (hazards.meaning) } }
                                    td.n.main[asked.period == Period::Recent] {
                                        (words::count(hazards.recent))
                                    }
                                    td.n.main[asked.period == Period::Start] { (words::count(hazards.total)) }
                                    td {
                                        @for (outcome, count) in &hazards.outcomes {
                                            span.pair.bad[*outcome == "exposed"] {
                                                (outcome) " " b { (words::count(*count)) }
                                            }
                                        }
                                        @if hazards.outcomes.is_empty() { span.note { (words::NONE) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn told_html(&self) -> Markup {
        html! {
            @if !self.told.is_empty() {
                details #told {
                    summary { "Alerts raised and cleared lately (" (self.told.len()) ")" }
                    ol.told {
                        @for told in &self.told {
                            li {
                                time { (told.at) } " "
                                @if told.is_active { span.badge.(told.severity) { (told.severity) } }
                                @else { span.badge.cleared { "cleared" } }
                                " " strong { (told.class) } " of "
                                @match &told.subject {
                                    Some(subject) => (subjects::link(subject)),
                                    None => "this host",
                                }
                                ": " (told.text)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Hazards of one subject, whose recent ones nobody keeps.
    pub(super) fn totals_html(&self) -> Markup {
        html! {
            @if !self.hazards.is_empty() {
                ul.pairs {
                    @for hazards in &self.hazards {
                        li { code { (hazards.class) } " " b { (words::count(hazards.total)) }
                            @for (outcome, count) in &hazards.outcomes {
                                " " span.pair.bad[*outcome == "exposed"] { (outcome) " " (words::count(*count)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Time of day, UTC.
fn clock(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string();
    text.get(11..19).map_or_else(String::new, |time| format!("{time} UTC"))
}
