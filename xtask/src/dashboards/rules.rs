//! Prometheus' rule files: which groups there are, and how they become YAML. Knows no metric by name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use self::alerts::{Alert, CLASSES, ITSELF};
use self::time::Scale;

pub(crate) mod alerts;
mod recording;
#[cfg(test)]
mod tests;
pub(crate) mod time;

/// The folder of runbooks, from the checkout's root.
const RUNBOOKS: &str = "docs/runbooks/";

/// What the addresses of runbooks begin with in the committed files: that folder in the repository which the package names, as GitHub
/// and GitLab show it; the path alone if it names none. The daemon's default (`daemon/src/notify/origin.rs`) begins with the same.
pub(crate) fn runbook_base() -> String {
    base(env!("CARGO_PKG_REPOSITORY"))
}

fn base(repository: &str) -> String {
    if repository.is_empty() {
        return RUNBOOKS.to_owned();
    }
    format!("{}/blob/HEAD/{RUNBOOKS}", repository.trim_end_matches('/'))
}

/// The `job` label that Prometheus gives mmscope's targets.
pub(crate) const JOB: &str = "mmscope";

/// A file of rules.
#[derive(Debug, Serialize)]
pub(crate) struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: &'static str,
    rules: Vec<Rule>,
}

/// One rule, recording or alerting, as Prometheus spells it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Rule {
    /// A series that is recorded.
    Recording {
        /// Name of the series.
        record: String,
        /// PromQL.
        expr: String,
    },
    /// An alert.
    Alerting {
        /// Its name.
        alert: &'static str,
        /// PromQL.
        expr: String,
        /// How long the expression has to hold.
        #[serde(rename = "for")]
        pending: String,
        /// Added to the expression's.
        labels: Labels,
        /// For people.
        annotations: Annotations,
    },
}

/// Labels of an alert.
#[derive(Debug, Serialize)]
pub(crate) struct Labels {
    severity: &'static str,
}

/// Annotations of an alert; templates of Prometheus.
#[derive(Debug, Serialize)]
pub(crate) struct Annotations {
    summary: String,
    description: String,
    runbook_url: String,
}

const HEADER: &str = "# Made by `cargo xtask dashboards` from xtask/src/dashboards/rules; do not edit.\n";

/// The files of rules: paths from the checkout's root, and what is there.
pub(crate) fn files(runbooks: &str) -> Result<Vec<(PathBuf, String)>> {
    let folder = PathBuf::from("dashboards/rules");
    let (alerting, recording) = (alerting(Scale::REAL, runbooks), recording(Scale::REAL));
    Ok(vec![
        (folder.join("mmscope-alerts.yml"), yaml(&alerting)?),
        (folder.join("mmscope-recording.yml"), yaml(&recording)?),
        (OBJECT.into(), object([alerting, recording])?),
    ])
}

/// Both files as an object of the Prometheus Operator.
const OBJECT: &str = "deploy/kubernetes/components/rules/prometheusrule.yaml";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: File,
}

#[derive(Serialize)]
struct Metadata {
    name: &'static str,
    namespace: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
}

fn object(files: [File; 2]) -> Result<String> {
    let object = Object {
        api_version: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata: Metadata { name: JOB, namespace: JOB, labels: BTreeMap::from([("app.kubernetes.io/name", JOB)]) },
        spec: File { groups: files.into_iter().flat_map(|file| file.groups).collect() },
    };
    let text = serde_saphyr::to_string(&object).context("write rules as YAML")?;
    Ok(format!("{HEADER}{text}"))
}

/// All alerts.
pub(crate) fn alerting(scale: Scale, runbooks: &str) -> File {
    let rules = |alerts: &[Alert]| alerts.iter().map(|alert| alert.rule(scale, runbooks)).collect();
    File {
        groups: vec![
            Group { name: "mmscope-classes", rules: rules(CLASSES) },
            Group { name: "mmscope-itself", rules: rules(ITSELF) },
        ],
    }
}

/// All series that are recorded.
pub(crate) fn recording(scale: Scale) -> File {
    let groups = recording::groups(scale).into_iter().map(|(name, rules)| Group { name, rules });
    File { groups: groups.collect() }
}

/// A file as text.
pub(crate) fn yaml(file: &File) -> Result<String> {
    let text = serde_saphyr::to_string(file).context("write rules as YAML")?;
    Ok(format!("{HEADER}{text}"))
}

impl File {
    /// All rules, in their order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }
}

impl Rule {
    /// Name and expression.
    pub(crate) fn expression(&self) -> (&str, &str) {
        match self {
            Self::Recording { record, expr } => (record, expr),
            Self::Alerting { alert, expr, .. } => (alert, expr),
        }
    }
}
