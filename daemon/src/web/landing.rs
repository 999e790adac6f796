//! The landing page: where the metrics are, which hooks count, what was lost. Plain HTML, no script.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use probe_common::lost::REASONS;
use ring::digest::{SHA256, digest};

use crate::{
    model::Snapshot,
    plan::{HOOKS, HookState},
};

const STYLE: &str = "
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8884;vertical-align:top}
td:nth-child(2){white-space:nowrap}
.absent{opacity:.75}
";

const INTRODUCTION: &str = "
<h1>mmscope</h1>
<p>How long page-table changes wait for their TLB flush, who holds mmap_lock and who waits for it, and how
userfaultfd handlers behave: on this host, per process.</p>
";

/// The style by its hash, as a Content-Security-Policy names it.
pub(super) fn style_hash() -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, STYLE.as_bytes())))
}

/// The page.
pub(super) fn page(snapshot: &Snapshot, telemetry_path: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>mmscope</title>\n<style>{STYLE}</style>{INTRODUCTION}"
    );
    let path = escape(telemetry_path);
    let _ = write!(
        page,
        "<ul><li><a href='{path}'>{path}</a>: metrics<li><a href='/-/healthy'>/-/healthy</a>\
         <li><a href='/-/ready'>/-/ready</a></ul>\
         <p>{} subjects told apart, {} looks at the kernel. Own activity is left out.</p>\
         <h2>Hooks</h2><table><tr><th>hook<th>tier<th>tells",
        snapshot.subjects.len(),
        snapshot.ticks
    );
    for (hook, state) in HOOKS.iter().zip(&snapshot.hooks) {
        let _ = match state {
            HookState::Attached(tier) => {
                write!(page, "<tr><td>{}<td>{}<td>{}", hook.name, tier.name(), escape(hook.tells))
            }
            HookState::Absent(reason) => write!(
                page,
                "<tr class=absent><td>{}<td>absent<td>{}<br>{}",
                hook.name,
                escape(hook.tells),
                escape(reason)
            ),
        };
    }
    page.push_str("</table><h2>Lost</h2>");
    let lost: Vec<(&str, u64)> =
        REASONS.into_iter().zip(snapshot.lost.iter().copied()).filter(|&(_, count)| count != 0).collect();
    if lost.is_empty() {
        page.push_str("<p>Nothing.</p>");
    } else {
        page.push_str("<table><tr><th>reason<th>events");
        for (reason, count) in lost {
            let _ = write!(page, "<tr><td>{reason}<td>{count}");
        }
        page.push_str("</table>");
    }
    page
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_text_not_markup() {
        let snapshot =
            Snapshot { hooks: vec![HookState::Absent("<b>no</b>".to_owned()); HOOKS.len()], ..Snapshot::default() };
        let page = page(&snapshot, "/metrics");
        assert!(page.contains("&lt;b&gt;no&lt;/b&gt;") && !page.contains("<b>no"));
        assert!(page.contains("Nothing."));
    }
}
