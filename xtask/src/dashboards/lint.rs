//! Rules that every dashboard keeps, as Grafana's own linter of dashboards has them, and some of this house. Reads the
//! JSON that Grafana would read, whoever wrote it; knows the catalogue and none of the dashboards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::catalogue::Catalogue;

mod dashboard;
mod query;
#[cfg(test)]
mod tests;

/// The chosen data source, as every panel, query and variable names it.
const DATASOURCE: &str = "${datasource}";

/// Every breach of a rule in these dashboards, one to a line.
pub(super) fn check(files: &[(PathBuf, String)], catalogue: &Catalogue) -> Result<Vec<String>> {
    let mut dashboards = BTreeMap::new();
    for (file, text) in files {
        let value: Value = serde_json::from_str(text).with_context(|| format!("read {}", file.display()))?;
        dashboards.insert(file.display().to_string(), value);
    }
    let mut breaches = check_all(&dashboards, catalogue);
    let unasked = query::unasked(dashboards.values(), catalogue);
    breaches.extend(unasked.iter().map(|family| format!("{family}: no panel asks for this family")));
    Ok(breaches)
}

/// The same of values, by the files' names.
fn check_all(dashboards: &BTreeMap<String, Value>, catalogue: &Catalogue) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, value) in dashboards {
        let mut say = |what: String| breaches.push(format!("{name}: {what}"));
        dashboard::check(value, dashboards.values(), &mut say);
        for panel in panels(value) {
            let title = panel["title"].as_str().unwrap_or_default().to_owned();
            query::check_panel(panel, value, catalogue, &mut |what| say(format!("panel \"{title}\": {what}")));
        }
        for annotation in items(&value["annotations"]["list"]) {
            let about = format!("annotation \"{}\"", text(&annotation["name"]));
            query::check_target(&annotation["target"], value, catalogue, &mut |what| say(format!("{about}: {what}")));
        }
    }
    breaches
}

/// The panels of a dashboard, rows left out.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    items(&dashboard["panels"]).filter(|panel| panel["type"] != "row")
}

/// The names of its variables.
fn variables(dashboard: &Value) -> impl Iterator<Item = &str> {
    items(&dashboard["templating"]["list"]).map(|variable| text(&variable["name"]))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
