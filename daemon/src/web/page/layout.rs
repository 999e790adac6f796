//! What every page has around its sections, and the order of these.

use maud::{DOCTYPE, Markup, html};

use super::{Asked, Head, Overview, itself, subject::About, words};
use crate::identity::Subject;

fn page(title: &str, head: &Head, telemetry_path: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href="static/icon.svg";
                link rel="stylesheet" href="static/page.css";
                // Before anything is painted; the other one when all is there.
                script src="static/theme.js" {}
                script defer src="static/page.js" {}
            }
            body {
                a.skip href="#main" { "Skip to the figures" }
                header.top {
                    p.name { a href="./" { "mmscope" } }
                    (head.html())
                    div #controls {}
                }
                main #main tabindex="-1" { (body) }
                footer {
                    p { a href=(telemetry_path.trim_start_matches('/')) { "Metrics" } " · " a href="-/ready" { "Ready" } " · "
                        a href="-/healthy" { "Healthy" } " · " a href="api/v1/overview" { "JSON" }
                        " · mmscope " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
}

/// The front page.
pub(super) fn front(overview: &Overview, asked: &Asked, telemetry_path: &str) -> Markup {
    let Overview { host, wrong, subjects, durations, blame, hooks, cost, losses } = overview;
    let heat = |n: usize, title: &str, explanation: &str| durations.get(n).map(|heat| heat.html(title, explanation));
    let none = html! {};
    let body = html! {
        h1.hidden { "mmscope: this host now" }
        (wrong.html(asked))
        (subjects.html(asked))
        section #durations aria-labelledby="h-durations" {
            h2 #h-durations { "Windows and lock, last 15 minutes" }
            noscript { p.note { "The heatmaps need JavaScript; the figures do not." } }
            div.grid {
                (heat(0, "Pending-flush windows", "from a page-table change to the end of its TLB flush").unwrap_or(none.clone()))
                (heat(1, "mmap_lock held", "from acquisition to release").unwrap_or(none.clone()))
                (heat(2, "mmap_lock waited for", "contended acquisitions").unwrap_or(none.clone()))
                (heat(3, "Userfault latency", "from a thread's fault to its going on").unwrap_or(none.clone()))
            }
        }
        (blame.html(asked))
        (itself::html(cost, losses))
        (hooks.html())
    };
    let title = format!("{} · mmscope {}", wrong.summary(), host.name());
    page(&title, host, telemetry_path, &body)
}

/// A subject's page.
pub(super) fn subject(about: &About, head: &Head, telemetry_path: &str) -> Markup {
    page(&format!("{} · mmscope {}", about.title(), head.name()), head, telemetry_path, &about.html())
}

/// In place of a subject's page.
pub(super) fn nobody(subject: &Subject, head: &Head, telemetry_path: &str) -> Markup {
    let body = html! {
        section #about {
            p.back { a href="./" { "← all subjects" } }
            h1 { (subject.comm) }
            p.empty { "No subject of this name" @if !subject.cgroup.is_empty() { " in " code { (subject.cgroup) } }
                " is told apart: it was never active, or was quiet for so long that another one took its place. "
                "What it did is in " a href={"subject?comm=other&cgroup=" (words::encoded(""))} { "other" } " then." }
        }
    };
    page(&format!("{} · mmscope", subject.comm), head, telemetry_path, &body)
}
