//! Rules about what is around the queries: variables, titles, units, data sources, links.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::promql;
use super::{DATASOURCE, items, panels, text, variables};

/// Grafana's own variables that links may use.
const BUILT_IN: [&str; 1] = ["__url_time_range"];

/// Says every breach in a dashboard; `all` are those that its links may lead to.
pub(super) fn check<'a>(dashboard: &Value, all: impl Iterator<Item = &'a Value> + Clone, say: &mut dyn FnMut(String)) {
    for name in ["uid", "title", "description"] {
        if text(&dashboard[name]).is_empty() {
            say(format!("no {name}"));
        }
    }
    if dashboard["editable"] != false {
        say("is editable: what is changed in Grafana would be lost at the next provisioning".to_owned());
    }
    check_datasource_variable(dashboard, say);
    for (name, all) in [("cluster", ".*"), ("job", ".+"), ("instance", ".+")] {
        check_host_variable(dashboard, name, all, say);
    }
    for variable in items(&dashboard["templating"]["list"]) {
        check_variable(variable, say);
    }
    let mut ids = BTreeSet::new();
    for panel in items(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        let id = panel["id"].as_u64();
        if id.is_none() || !ids.insert(id) {
            say(format!("panel \"{title}\": its id is another's, or it has none"));
        }
    }
    for panel in panels(dashboard) {
        let title = text(&panel["title"]);
        check_panel(panel, &mut |what| say(format!("panel \"{title}\": {what}")));
    }
    let mut used = Vec::new();
    strings(dashboard, &mut used);
    for string in used {
        check_variables_used(string, dashboard, say);
        check_link(string, all.clone(), say);
    }
}

fn check_datasource_variable(dashboard: &Value, say: &mut dyn FnMut(String)) {
    let sources: Vec<&Value> =
        items(&dashboard["templating"]["list"]).filter(|variable| variable["type"] == "datasource").collect();
    let [source] = sources[..] else { return say(format!("{} variables for a data source, not one", sources.len())) };
    if source["name"] != "datasource" || source["label"] != "Data source" || source["query"] != "prometheus" {
        say("the variable for the data source is not datasource, \"Data source\", of type prometheus".to_owned());
    }
}

/// A variable by which every query is narrowed down to hosts.
fn check_host_variable(dashboard: &Value, name: &str, all: &str, say: &mut dyn FnMut(String)) {
    let Some(variable) = items(&dashboard["templating"]["list"]).find(|variable| variable["name"] == name) else {
        return say(format!("no variable {name}"));
    };
    if variable["type"] != "query" || text(&variable["label"]).to_lowercase() != name {
        say(format!("variable {name}: no query, or its label is another"));
    }
    if variable["multi"] != true || variable["includeAll"] != true || variable["allValue"] != all {
        say(format!("variable {name}: several cannot be chosen, or all of them are not {all}"));
    }
}

fn check_variable(variable: &Value, say: &mut dyn FnMut(String)) {
    if variable["type"] != "query" {
        return;
    }
    let name = text(&variable["name"]);
    let query = text(&variable["query"]["query"]);
    if variable["datasource"]["uid"] != DATASOURCE {
        say(format!("variable {name}: its data source is not the chosen one"));
    }
    if variable["refresh"] != 2 {
        say(format!("variable {name}: not asked anew when the time range changes"));
    }
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let Some((selector, label)) = inner.and_then(|inner| inner.rsplit_once(", ")) else {
        return say(format!("variable {name}: {query} is not label_values(SELECTOR, LABEL)"));
    };
    if label.is_empty() || promql::parse(selector).is_err() {
        say(format!("variable {name}: {selector} is no selector"));
    }
}

fn check_panel(panel: &Value, say: &mut dyn FnMut(String)) {
    if text(&panel["title"]).is_empty() || text(&panel["description"]).is_empty() {
        say("no title or no description".to_owned());
    }
    if panel["datasource"]["uid"] != DATASOURCE {
        say("its data source is not the chosen one".to_owned());
    }
    if text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty() {
        say("no unit".to_owned());
    }
    if panel["type"] != "text" && items(&panel["targets"]).next().is_none() {
        say("asks nothing".to_owned());
    }
    let mut letters = BTreeSet::new();
    for target in items(&panel["targets"]) {
        let letter = text(&target["refId"]);
        if target["datasource"]["uid"] != DATASOURCE {
            say(format!("query {letter}: its data source is not the chosen one"));
        }
        if letter.is_empty() || !letters.insert(letter) {
            say(format!("query {letter}: its letter is another's, or it has none"));
        }
    }
}

/// Every string of a value.
fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

/// Variables in a string: `$name`, `${name}`, `${name:format}`; and `var-name=` of a link, which must be one as well.
fn check_variables_used(string: &str, dashboard: &Value, say: &mut dyn FnMut(String)) {
    for (start, _) in string.match_indices('$') {
        let rest = &string[start + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = &rest[..end];
        // Those of Grafana: of the interval and of the value that is clicked at.
        if name.is_empty() || name.starts_with("__") || BUILT_IN.contains(&name) {
            continue;
        }
        if !variables(dashboard).any(|known| known == name) {
            say(format!("there is no variable ${name}: {string}"));
        }
    }
}

/// A link to another dashboard leads to one that there is, and sets variables that it has.
fn check_link<'a>(string: &str, mut all: impl Iterator<Item = &'a Value>, say: &mut dyn FnMut(String)) {
    let Some((uid, parameters)) = string.strip_prefix("/d/").and_then(|rest| rest.split_once('?')) else { return };
    let Some(target) = all.find(|dashboard| dashboard["uid"] == uid) else {
        return say(format!("a link to {uid}, which is no dashboard"));
    };
    for parameter in parameters.split('&') {
        let set = parameter.strip_prefix("var-").and_then(|rest| rest.split_once('=')).map(|(name, _)| name);
        let carried = parameter.strip_prefix("${").and_then(|rest| rest.strip_suffix(":queryparam}"));
        let Some(name) = set.or(carried) else { continue };
        if !variables(target).any(|known| known == name) {
            say(format!("a link to {uid} sets {name}, which it does not have"));
        }
    }
}
