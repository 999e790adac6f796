//! What is chosen at the top of a dashboard, and the matchers by which queries follow it.

use serde_json::{Value, json};

use super::links;

/// Matchers of every selector.
const HOST: &str = r#"cluster=~"$cluster",job=~"$job",instance=~"$instance""#;

/// Matchers of one subject.
const SUBJECT: &str = r#"cgroup=~"$cgroup",comm=~"$comm""#;

/// The data source of every panel, query and variable: the one that is chosen.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// A query as it is written here, as Grafana gets it: `@host` and `@subject` for matchers, `@rate` for the interval.
pub(super) fn expand(query: &str) -> String {
    query
        .replace("@host", HOST)
        .replace("@subject", &format!("{HOST},{SUBJECT}"))
        .replace("@rate", super::RATE_INTERVAL)
}

/// The variables of a dashboard.
pub(super) fn variables(subjects: bool, docs: bool) -> Vec<Value> {
    let mut variables = vec![
        json!({ "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "hide": 0,
            "multi": false, "includeAll": false, "refresh": 1, "regex": "", "options": [], "current": {"text": "", "value": ""} }),
        // A cluster is a label that not everybody adds: all of them, and none, are what .* matches.
        query("cluster", "Cluster", ".*", "mmscope_build_info", ""),
        query("job", "Job", ".+", "mmscope_build_info", r#"cluster=~"$cluster""#),
        query("instance", "Instance", ".+", "mmscope_build_info", r#"cluster=~"$cluster",job=~"$job""#),
    ];
    if subjects {
        // Whatever runs takes mmap_lock: no family knows more subjects. Hazards of the host have none.
        let family = "mmscope_mmap_lock_acquisitions_total";
        variables.push(query("cgroup", "Cgroup", ".*", family, HOST));
        variables.push(query("comm", "Command", ".*", family, &format!(r#"{HOST},cgroup=~"$cgroup""#)));
    }
    if docs {
        variables.push(documents());
    }
    variables
}

fn query(name: &str, label: &str, all: &str, family: &str, matchers: &str) -> Value {
    let selector = if matchers.is_empty() { family.to_owned() } else { format!("{family}{{{matchers}}}") };
    let query = format!("label_values({selector}, {name})");
    json!({
        "type": "query", "name": name, "label": label, "hide": 0, "datasource": datasource(),
        "definition": query, "query": { "query": query, "refId": format!("variable-{name}") },
        // When the time range changes too: a process may be gone by now.
        "refresh": 2, "sort": 5, "regex": "", "multi": true, "includeAll": true, "allValue": all, "options": [],
        "current": { "text": ["All"], "value": ["$__all"], "selected": true }
    })
}

/// Where the documentation is served. Empty until the repository has an address: whoever installs the dashboards sets it.
fn documents() -> Value {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let address = if repository.is_empty() { String::new() } else { format!("{repository}/blob/main/docs") };
    let option = json!({ "text": address, "value": address, "selected": true });
    json!({
        "type": "textbox", "name": "docs", "label": "Address of docs/", "hide": 0, "query": address,
        "description": "Where mmscope's docs folder is served: the links to runbooks and to the classes of \
            anomalies begin with it",
        "current": option, "options": [option]
    })
}

/// Hazards of whatever is chosen, as marks on every graph.
pub(super) fn annotations(subjects: bool) -> Value {
    // A series begins with its first event, which no increase sees.
    let chosen = if subjects { "@subject" } else { "@host" };
    let hazards = format!(r#"mmscope_hazards_total{{{chosen},class!="blind"}}"#);
    let expr = expand(&format!(
        "sum by (instance, comm, class, outcome) (({hazards} unless {hazards} offset @rate) or \
            increase({hazards}[@rate])) > 0"
    ));
    json!({
        "name": "Hazards", "datasource": datasource(), "enable": true, "hide": false, "iconColor": "orange",
        "target": { "refId": "hazards", "expr": expr, "range": true, "instant": false, "datasource": datasource() },
        "titleFormat": "{{class}} {{outcome}}", "textFormat": "{{comm}} on {{instance}}", "tagKeys": "class,outcome",
        "useValueForTime": false
    })
}

/// Links at the top.
pub(super) fn top_links() -> Value {
    json!([links::to_others()])
}
