//! A report as one page: no script, nothing from outside, and a policy in it that says so. Pure.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use probe_common::event::Record;

use super::{
    digest::Digest,
    episodes::Episode,
    facts, names,
    plots::plots,
    tables::{Table, tables},
};
use crate::{anomaly::Severity, terminal};

const STYLE: &str = include_str!("style.css");
/// Nothing is fetched: what the page shows is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The whole page; `file` is how the recording is called.
#[must_use]
pub fn page(digest: &Digest, file: &str) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "mmscope report: " (file) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "mmscope report" }
                    (head(digest, file))
                }
                main {
                    (wrong(digest))
                    (lost(digest))
                    (overlaps(digest))
                    @for plot in plots(digest) {
                        figure {
                            figcaption { (plot.caption) }
                            div role="img" aria-label=(plot.caption) { (PreEscaped(plot.svg)) }
                        }
                    }
                    @for table in tables(digest) { (self::table(&table)) }
                }
            }
        }
    };
    markup.into_string()
}

fn head(digest: &Digest, file: &str) -> Markup {
    html! {
        dl {
            @for (label, value) in facts::facts(digest, file) {
                dt { (label) }
                dd { (value) }
            }
        }
    }
}

fn wrong(digest: &Digest) -> Markup {
    html! {
        section {
            h2 { "What was wrong" }
            @if digest.episodes.is_empty() {
                p { "No alert was raised." }
            }
            @for told in digest.episodes.iter() { (episode(digest, told)) }
            @if digest.episodes.over() > 0 {
                p { (digest.episodes.over()) " less grave alerts are not told." }
            }
            @for (class, reason) in &digest.unjudged {
                p.aside { "Not judged: " (class.name()) ", " (reason) }
            }
        }
    }
}

fn episode(digest: &Digest, episode: &Episode) -> Markup {
    let told = &episode.first;
    html! {
        article class=(told.severity.name()) {
            h3 {
                span.severity { (told.severity.name()) }
                " " (told.class.name()) " of " (episode.whom())
            }
            p.when { (episode.when()) }
            p { (told.text) }
            @for record in &told.evidence { (event(digest, record, told.severity == Severity::Critical)) }
        }
    }
}

fn event(digest: &Digest, record: &Record, is_open: bool) -> Markup {
    html! {
        details open[is_open] {
            summary { (terminal::record(record)) }
            pre { (digest.stack(record).join("\n")) }
        }
    }
}

fn overlaps(digest: &Digest) -> Markup {
    html! {
        @if !digest.overlaps.is_empty() {
            section {
                h2 { (facts::OVERLAPS) }
                p.aside { (facts::OF_OVERLAPS) }
                @for overlap in digest.overlaps.iter() {
                    article {
                        h3 { (overlap.outcome) ": stale_write_overlap of " (names::subject(&overlap.subject)) }
                        @for record in overlap.events() { (event(digest, record, false)) }
                    }
                }
            }
        }
    }
}

fn lost(digest: &Digest) -> Markup {
    let (missing, losses) = (facts::missing(digest), facts::losses(digest));
    html! {
        section {
            h2 { "What was not seen" }
            @if missing.is_empty() && losses.is_empty() {
                p { "Every hook was attached, and nothing was lost." }
            }
            ul {
                @for hook in missing {
                    li { b { (hook.hook) } " was absent: " (hook.reason) "; " (hook.cost) }
                }
                @for line in losses {
                    li { (line) }
                }
            }
            @let unmeasured = facts::unmeasured(digest);
            @if !unmeasured.is_empty() {
                p.aside { "Not measured, and in no figure below: " (unmeasured.join(", ")) }
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    html! {
        section {
            h2 { (table.title) }
            @if !table.note.is_empty() {
                p.aside { (table.note) }
            }
            div.scroll {
                table {
                    thead {
                        tr {
                            @for (column, name) in table.columns.iter().enumerate() {
                                th.figure[column >= table.words] scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for row in &table.rows {
                            tr {
                                @for (column, cell) in row.iter().enumerate() {
                                    td.figure[column >= table.words] { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
