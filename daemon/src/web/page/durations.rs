//! How durations were distributed over the last 15 minutes: quantiles for all, and the columns of the heatmaps.

use std::time::Duration;

use maud::{Markup, html};
use probe_common::histogram::{BUCKETS, FIRST_BOUND_LOG2};
use serde::Serialize;

use super::{
    Moment, missing,
    origin::{Head, millis},
    words,
};
use crate::history::{Column, Heat, SPAN};

/// One kind of durations.
#[derive(Serialize)]
pub(super) struct Durations {
    name: &'static str,
    /// Events by bucket in the last 15 minutes; none where they cannot be measured.
    buckets: Option<Vec<u64>>,
    /// Why they cannot.
    missing: Option<String>,
}

impl Durations {
    pub(super) fn new(moment: &Moment<'_>, heat: Heat) -> Self {
        let missing = missing(heat.family(), &moment.snapshot.hooks);
        let buckets = moment.history.buckets(heat).map(Vec::from);
        Self { name: heat.name(), buckets, missing }
    }

    /// A heatmap, and the figures of it.
    pub(super) fn html(&self, title: &str, explanation: &str) -> Markup {
        let buckets = self.buckets.as_deref().and_then(|buckets| <&[u64; BUCKETS]>::try_from(buckets).ok());
        html! {
            figure.durations #{"durations-" (self.name)} {
                figcaption { strong { (title) } " " span.note { (explanation) } }
                @if let Some(reason) = &self.missing {
                    p.absent { "Cannot be measured on this kernel: " (reason) }
                }
                @match buckets {
                    None if self.missing.is_some() => {},
                    None => p.empty { "No look at the kernel yet." },
                    Some(buckets) => {
                        (quantiles(buckets))
                        @if buckets.iter().all(|count| *count == 0) { p.empty { "None in the last 15 minutes." } }
                        div.heat #{"heat-" (self.name)} data-heat=(self.name) data-title=(title) data-keep {}
                    }
                }
            }
        }
    }
}

fn quantiles(buckets: &[u64; BUCKETS]) -> Markup {
    let all: u64 = buckets.iter().sum();
    html! {
        dl.quantiles {
            div { dt { "events" } dd { (words::count(all)) } }
            @for (name, part) in [("half", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("longest", 1.0)] {
                div { dt { (name) } dd { (words::quantile(buckets, part)) } }
            }
        }
    }
}

/// The columns that a heatmap is drawn of.
#[derive(Serialize)]
pub(super) struct Columns {
    host: Head,
    /// Upper bound of the first bucket; each is twice the one before, the last has none.
    first_bound_ns: u64,
    buckets: usize,
    /// Time that columns go back.
    span_ms: u64,
    columns: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    from_ms: u64,
    to_ms: u64,
    windows: Option<Counts>,
    holds: Option<Counts>,
    waits: Option<Counts>,
    userfaults: Option<Counts>,
}

/// The first bucket that has something, then the counts from there to the last one that has; empty if there is nothing.
type Counts = Vec<u32>;

impl Columns {
    /// Those that end after this uptime: the last one grows until it is closed, and is told again.
    pub(super) fn new(moment: &Moment<'_>, since: Duration) -> Self {
        let columns = moment.history.columns_since(since).map(|column| Told {
            from_ms: millis(column.from),
            to_ms: millis(column.to),
            windows: counts(column, Heat::Windows),
            holds: counts(column, Heat::Holds),
            waits: counts(column, Heat::Waits),
            userfaults: counts(column, Heat::Userfaults),
        });
        Self {
            host: Head::new(moment),
            first_bound_ns: 1 << FIRST_BOUND_LOG2,
            buckets: BUCKETS,
            span_ms: millis(SPAN),
            columns: columns.collect(),
        }
    }
}

fn counts(column: &Column, heat: Heat) -> Option<Counts> {
    let buckets = &column.buckets[heat as usize];
    if !column.measured[heat as usize] {
        return None;
    }
    let first = buckets.iter().position(|count| *count > 0);
    let last = buckets.iter().rposition(|count| *count > 0);
    let told = first.zip(last).map(|(first, last)| {
        let mut counts = vec![first as u32];
        counts.extend_from_slice(&buckets[first..=last]);
        counts
    });
    Some(told.unwrap_or_default())
}
