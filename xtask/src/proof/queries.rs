//! Every expression that is committed, asked of real servers over the whole time of the proof: those of the recording rules, and
//! those of the dashboards with their variables filled in. One that fails is a mistake; one that finds nothing would be a panel
//! that stays empty.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use super::servers::{self, Server};
use super::{INTERVAL, SCALE};
use crate::dashboards::rules;
use crate::paths;

/// What was asked.
#[derive(Default)]
pub(crate) struct Asked {
    /// Queries, of each server.
    pub(super) count: usize,
    /// Of these recording rules.
    pub(super) rules: usize,
    /// Of these dashboards, by file.
    pub(super) dashboards: BTreeMap<String, usize>,
    /// What was empty as it may be.
    pub(super) seldom: BTreeSet<String>,
    pub(super) problems: Vec<String>,
}

/// What may be empty, and why: part of the expression.
const SELDOM: &[(&str, &str)] = &[(
    "mmscope_pte_generation_changes",
    "a page table that changes in the few microseconds of a write fault is rare where emulated processors take turns",
)];

struct Query {
    from: String,
    expr: String,
}

/// Asks each server all queries. With `may_be_empty` an empty answer is no problem.
pub(super) fn ask_all(servers: &[Server], may_be_empty: bool) -> Result<Asked> {
    let mut asked = Asked::default();
    let file = rules::recording(SCALE);
    let mut queries: Vec<Query> = file
        .rules()
        .map(|rule| rule.expression())
        .map(|(name, expr)| Query { from: name.to_owned(), expr: expr.to_owned() })
        .collect();
    asked.rules = queries.len();
    for (name, panel) in of_dashboards()? {
        *asked.dashboards.entry(name).or_default() += 1;
        queries.push(panel);
    }
    asked.count = queries.len();
    for (n, server) in servers.iter().enumerate() {
        let to = servers::now();
        for Query { from, expr } in &queries {
            match server.prometheus.series(expr, server.since, to, INTERVAL) {
                Err(error) => asked.problems.push(format!("{from}: {expr}: {error:#}")),
                Ok(0) if !may_be_empty => match SELDOM.iter().find(|(family, _)| expr.contains(family)) {
                    Some((family, why)) => {
                        asked.seldom.insert(format!("{family}: {why}"));
                    }
                    None => asked.problems.push(format!("{from}: nothing in server {n}: {expr}")),
                },
                Ok(_) => {}
            }
        }
        asked.problems.extend(server.prometheus.unhealthy_rules()?);
    }
    Ok(asked)
}

/// The queries of all dashboards, with the name of the file.
fn of_dashboards() -> Result<Vec<(String, Query)>> {
    let folder = paths::root().join("dashboards/grafana");
    let Ok(files) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut files: Vec<_> = files.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut queries = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let json: Value = serde_json::from_str(&text).with_context(|| format!("read {}", file.display()))?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let variables = variables(&json);
        let mut found = Vec::new();
        expressions(&json, "", &mut found);
        found.extend(of_variables(&json));
        queries.extend(found.into_iter().map(|(title, expr)| {
            (name.clone(), Query { from: format!("{name}: {title}"), expr: filled(&expr, &variables) })
        }));
    }
    Ok(queries)
}

/// Every `expr` below a value, with the title of what it is in: panels, panels in rows, annotations.
fn expressions(value: &Value, title: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            let own = members.get("title").or_else(|| members.get("name")).and_then(Value::as_str).unwrap_or(title);
            if let Some(Value::String(expr)) = members.get("expr") {
                found.push((own.to_owned(), expr.clone()));
            }
            members.values().for_each(|member| expressions(member, own, found));
        }
        Value::Array(members) => members.iter().for_each(|member| expressions(member, title, found)),
        _ => {}
    }
}

fn templates(dashboard: &Value) -> &[Value] {
    dashboard["templating"]["list"].as_array().map_or(&[], Vec::as_slice)
}

/// What stands for each variable: everything, or the value that a dashboard begins with where it is no matcher's.
fn variables(dashboard: &Value) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = templates(dashboard)
        .iter()
        .filter_map(|template| {
            let name = template["name"].as_str()?.to_owned();
            let is_matcher = template["type"] == "query";
            let current = template["current"]["value"].as_str().filter(|value| !is_matcher && *value != "$__all");
            Some((name, current.unwrap_or(".*").to_owned()))
        })
        .collect();
    let window = SCALE.spelt(rules::time::minutes(5));
    let own = [("__rate_interval", window.as_str()), ("__range", "2m"), ("__interval", "2s"), ("__range_s", "120")];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for usual in ["job", "instance", "cluster", "cgroup", "comm"] {
        variables.push((usual.to_owned(), ".*".to_owned()));
    }
    // The longest first: one name may begin with another.
    variables.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    variables
}

/// What the lists of variables are filled by: the series within `label_values(SERIES, LABEL)` and the like.
fn of_variables(dashboard: &Value) -> Vec<(String, String)> {
    let queries = templates(dashboard).iter().filter(|template| template["type"] == "query");
    let found = queries.filter_map(|template| {
        let query = template["query"]["query"].as_str().or_else(|| template["query"].as_str())?;
        let inner = query.split_once('(')?.1.strip_suffix(')')?;
        let series = if query.starts_with("query_result") { inner } else { inner.rsplit_once(',')?.0 };
        Some((format!("the variable {}", template["name"]), series.trim().to_owned()))
    });
    found.collect()
}

fn filled(expr: &str, variables: &[(String, String)]) -> String {
    let mut text = expr.to_owned();
    for (name, value) in variables {
        // ${name:format} is ${name} here: there is one value only.
        while let Some(start) = text.find(&format!("${{{name}:")) {
            let Some(length) = text[start..].find('}') else { break };
            text.replace_range(start..=start + length, value);
        }
        for spelt in [format!("${{{name}}}"), format!("[[{name}]]"), format!("${name}")] {
            text = text.replace(&spelt, value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_a_dashboard_are_found_and_filled() {
        let dashboard = serde_json::json!({
            "annotations": {"list": [{"name": "starts", "expr": "changes(a{job=~\"$job\"}[$__rate_interval])"}]},
            "panels": [{"title": "row", "panels": [
                {"title": "p", "targets": [{"expr": "topk($top, rate(b{comm=~\"${comm:regex}\"}[$__range]))"}]},
            ]}],
            "templating": {"list": [
                {"name": "top", "type": "custom", "current": {"value": "7"}},
                {"name": "comm", "type": "query", "current": {"value": "x"}, "query": {"query": "label_values(c{job=~\"$job\"}, comm)"}},
            ]},
        });
        let variables = variables(&dashboard);
        let mut found = Vec::new();
        expressions(&dashboard, "", &mut found);
        found.extend(of_variables(&dashboard));
        let found: Vec<(String, String)> =
            found.into_iter().map(|(title, expr)| (title, filled(&expr, &variables))).collect();
        let text = |title: &str| found.iter().find(|(known, _)| known == title).map(|(_, expr)| expr.as_str());
        assert_eq!(text("starts"), Some("changes(a{job=~\".*\"}[10s])"));
        assert_eq!(text("p"), Some("topk(7, rate(b{comm=~\".*\"}[2m]))"));
        assert_eq!(text("the variable \"comm\""), Some("c{job=~\".*\"}"));
        assert_eq!(found.len(), 3);
    }
}
