//! The top subjects: time in windows, lock hold, lock wait, forced flushes, userfaults; of the last 15 minutes or since the start.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde::Serialize;

use super::{Asked, Moment, Period, missing, words};
use crate::{
    history::{Measure, Measures},
    identity::Subject,
};

/// Subjects that are told by each measure and period, where nobody asks for more.
pub(super) const TOP: usize = 15;

/// Who is at the top of any measure and period.
#[derive(Serialize)]
pub(super) struct Subjects {
    rows: Vec<Row>,
    /// All that are told apart.
    count: usize,
    /// Why a measure is not there, by its name; one that is there has none.
    not_measured: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    subject: Subject,
    recent: Sums,
    /// None for who is part of "other" since the start.
    total: Option<Sums>,
    hazards: u64,
}

/// Of one subject. What is not measured is told beside.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Sums {
    windows_ns: u64,
    hold_ns: u64,
    wait_ns: u64,
    forced_flushes: u64,
    userfaults_ns: u64,
}

impl From<Measures> for Sums {
    fn from([windows_ns, hold_ns, wait_ns, forced_flushes, userfaults_ns]: Measures) -> Self {
        Self { windows_ns, hold_ns, wait_ns, forced_flushes, userfaults_ns }
    }
}

impl Sums {
    fn get(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Windows => self.windows_ns,
            Measure::Hold => self.hold_ns,
            Measure::Wait => self.wait_ns,
            Measure::Forced => self.forced_flushes,
            Measure::Userfaults => self.userfaults_ns,
        }
    }

    pub(super) fn text(&self, measure: Measure) -> String {
        text(measure, self.get(measure))
    }
}

fn text(measure: Measure, sum: u64) -> String {
    if measure == Measure::Forced { words::count(sum) } else { words::time(sum) }
}

impl Row {
    fn sum(&self, period: Period, measure: Measure) -> u64 {
        let sums = match period {
            Period::Recent => Some(&self.recent),
            Period::Start => self.total.as_ref(),
        };
        sums.map_or(0, |sums| sums.get(measure))
    }
}

/// The head of a column.
pub(super) fn title(measure: Measure) -> &'static str {
    match measure {
        Measure::Windows => "Time in windows",
        Measure::Hold => "Lock held",
        Measure::Wait => "Lock waited for",
        Measure::Forced => "Forced flushes",
        Measure::Userfaults => "Userfault time",
    }
}

/// Measures that are absent with these hooks, and why.
pub(super) fn not_measured(moment: &Moment<'_>) -> BTreeMap<&'static str, String> {
    let reason = |measure: Measure| Some((measure.name(), missing(measure.family(), &moment.snapshot.hooks)?));
    Measure::ALL.into_iter().filter_map(reason).collect()
}

impl Subjects {
    /// With the first `top` of each measure and period.
    pub(super) fn new(moment: &Moment<'_>, top: usize) -> Self {
        let Moment { snapshot, history, .. } = moment;
        let recent: BTreeMap<&Subject, Measures> = history.subjects().collect();
        let total: BTreeMap<&Subject, Measures> =
            snapshot.subjects.iter().map(|(subject, counts)| (subject, Measure::of(counts))).collect();
        let mut wanted = BTreeSet::new();
        for sums in [&recent, &total] {
            for measure in Measure::ALL {
                let mut ranked: Vec<(&Subject, u64)> =
                    sums.iter().map(|(subject, sums)| (*subject, sums[measure as usize])).collect();
                ranked.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
                wanted.extend(ranked.into_iter().take_while(|(_, sum)| *sum > 0).take(top).map(|(subject, _)| subject));
            }
        }
        let mut hazards: BTreeMap<&Subject, u64> = BTreeMap::new();
        for hazard in &snapshot.hazards {
            if let Some(subject) = &hazard.subject {
                *hazards.entry(subject).or_default() += hazard.count;
            }
        }
        let rows = wanted.into_iter().map(|subject| Row {
            subject: subject.clone(),
            recent: recent.get(subject).copied().unwrap_or_default().into(),
            total: total.get(subject).copied().map(Sums::from),
            hazards: hazards.get(subject).copied().unwrap_or_default(),
        });
        Self { rows: rows.collect(), count: snapshot.subjects.len(), not_measured: not_measured(moment) }
    }

    pub(super) fn html(&self, asked: &Asked) -> Markup {
        let asked = &Asked { by: self.measured(asked.by), ..*asked };
        let Asked { period, by } = *asked;
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| row.sum(period, by) > 0).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.sum(period, by)));
        rows.truncate(TOP);
        html! {
            section #subjects aria-labelledby="h-subjects" {
                div.head {
                    h2 #h-subjects { "Top subjects" }
                    nav.periods aria-label="Period" {
                        @for other in Period::ALL {
                            a #{"period-" (other.name())} href=(Asked { period: other, by }.href())
                                aria-current=[(other == period).then_some("true")] { (other.title()) }
                        }
                    }
                }
                p.note { "A subject is a command in a cgroup; " (words::count(self.count as u64))
                    " have metrics of their own, the others are part of " code { "other" } " there and since the start. "
                    "mmscope itself is left out." }
                @if self.rows.is_empty() {
                    p.empty { "No subject was active yet." }
                } @else {
                    div.scroll tabindex="0" role="region" aria-label="Table of top subjects" {
                        table.subjects {
                            caption.hidden { "Top subjects by " (title(by)) ", " (period.title()) }
                            thead { tr {
                                th scope="col" { "Command and cgroup" }
                                @for measure in Measure::ALL {
                                    th.n scope="col" aria-sort=[(measure == by).then_some("descending")] {
                                        a #{"by-" (measure.name())} href=(Asked { period, by: measure }.href()) {
                                            (title(measure))
                                        }
                                    }
                                }
                                th.n scope="col" { "Hazards" span.sub { "since start" } }
                            } }
                            tbody { @for row in &rows { (self.row(row, asked, rows[0])) } }
                        }
                    }
                    @if rows.is_empty() { p.empty { "Nothing of it in this period: " (title(by)) "." } }
                }
                (reasons(&self.not_measured))
            }
        }
    }

    /// The measure that was asked for, or the first one that there is here.
    fn measured(&self, by: Measure) -> Measure {
        let is_there = |measure: &Measure| !self.not_measured.contains_key(measure.name());
        std::iter::once(by).chain(Measure::ALL).find(is_there).unwrap_or(by)
    }

    fn row(&self, row: &Row, asked: &Asked, top: &Row) -> Markup {
        html! {
            tr id={"subject-" (words::encoded(&row.subject.comm)) (words::encoded(&row.subject.cgroup))} {
                th scope="row" { (link(&row.subject)) (cgroup(&row.subject)) }
                @for measure in Measure::ALL {
                    td.n.main[measure == asked.by] {
                        @if self.not_measured.contains_key(measure.name()) {
                            span.absent title="not measured" { "n/a" }
                        } @else {
                            (text(measure, row.sum(asked.period, measure)))
                            @if measure == asked.by { (bar(row.sum(asked.period, measure), top.sum(asked.period, measure))) }
                        }
                    }
                }
                td.n { (words::count(row.hazards)) }
            }
        }
    }
}

/// A bar beneath a number, as long as its part of the largest one.
pub(super) fn bar(part: u64, whole: u64) -> Markup {
    let width = if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    html! {
        svg.bar viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.full width="100" height="3" {}
            rect.part x=(format!("{:.1}", 100.0 - width)) width=(format!("{width:.1}")) height="3" {}
        }
    }
}

/// What is not measured, by name.
pub(super) fn reasons(not_measured: &BTreeMap<&'static str, String>) -> Markup {
    html! {
        @for measure in Measure::ALL {
            @if let Some(reason) = not_measured.get(measure.name()) {
                p.absent { strong { (title(measure)) } " cannot be measured on this kernel: " (reason) }
            }
        }
    }
}

/// A subject's name, leading to its page.
pub(super) fn link(subject: &Subject) -> Markup {
    html! { a.subject href=(href(subject)) { (subject.comm) } }
}

/// A subject's page, and in the API its data.
pub(crate) fn href(subject: &Subject) -> String {
    format!("subject?comm={}&cgroup={}", words::encoded(&subject.comm), words::encoded(&subject.cgroup))
}

/// A subject's cgroup, in small print.
pub(super) fn cgroup(subject: &Subject) -> Markup {
    let text = match &*subject.cgroup {
        "" if subject.is_other() => "all that are not told apart",
        "" => "cgroup unknown",
        "/" => "root cgroup",
        path => path,
    };
    html! { span.sub title=(text) { (text) } }
}
