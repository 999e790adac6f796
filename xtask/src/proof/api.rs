//! The HTTP interfaces of Prometheus and Alertmanager, as far as the proof asks them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A page's text.
pub(crate) fn get(url: &str) -> Result<String> {
    let mut answer = agent().get(url).call().with_context(|| format!("get {url}"))?;
    answer.body_mut().read_to_string().with_context(|| format!("read {url}"))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build().into()
}

/// An alert, by its name and the instance that it is about (empty where it is about none).
pub(super) type Key = (String, String);

/// Labels or annotations.
pub(crate) type Words = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Alert {
    #[serde(flatten)]
    arrived: Arrived,
    #[serde(default)]
    state: Option<String>,
}

/// An alert with all its words.
#[derive(Debug, Deserialize)]
pub(super) struct Arrived {
    pub(super) labels: Words,
    #[serde(default)]
    pub(super) annotations: Words,
}

impl Arrived {
    /// Its name and instance.
    pub(super) fn key(&self) -> Key {
        let label = |name: &str| self.labels.get(name).cloned().unwrap_or_default();
        (label("alertname"), label("instance"))
    }
}

/// A Prometheus that serves here.
pub(crate) struct Prometheus(pub(crate) String);

impl Prometheus {
    /// Whether it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        get(&format!("{}/-/ready", self.0)).is_ok_and(|text| text.contains("Ready"))
    }

    /// The alerts that fire.
    pub(super) fn firing(&self) -> Result<Vec<Key>> {
        let data = self.data(&get(&format!("{}/api/v1/alerts", self.0))?)?;
        let alerts: Vec<Alert> = serde_json::from_value(data["alerts"].clone()).context("read Prometheus' alerts")?;
        Ok(alerts
            .iter()
            .filter(|alert| alert.state.as_deref() == Some("firing"))
            .map(|alert| alert.arrived.key())
            .collect())
    }

    /// Its version.
    pub(crate) fn version(&self) -> Result<String> {
        let data = self.data(&get(&format!("{}/api/v1/status/buildinfo", self.0))?)?;
        Ok(data["version"].as_str().context("Prometheus tells no version")?.to_owned())
    }

    /// What an expression has now, by its labels.
    pub(crate) fn now(&self, expr: &str) -> Result<Vec<(Words, f64)>> {
        #[derive(Deserialize)]
        struct Sample {
            metric: Words,
            value: (f64, String),
        }
        let url = format!("{}/api/v1/query", self.0);
        let mut answer = agent().post(&url).send_form([("query", expr)]).context("ask Prometheus")?;
        let text = answer.body_mut().read_to_string().context("read Prometheus' answer")?;
        let data = self.data(&text).with_context(|| expr.to_owned())?;
        let samples: Vec<Sample> =
            serde_json::from_value(data["result"].clone()).with_context(|| format!("read the answer to {expr}"))?;
        samples
            .into_iter()
            .map(|Sample { metric, value: (_, value) }| {
                Ok((metric, value.parse().with_context(|| format!("{expr} is {value}"))?))
            })
            .collect()
    }

    /// How many series an expression has between two moments, given in seconds since 1970.
    pub(super) fn series(&self, expr: &str, from: f64, to: f64, step: Duration) -> Result<usize> {
        let form = [
            ("query", expr.to_owned()),
            ("start", from.to_string()),
            ("end", to.to_string()),
            ("step", step.as_secs_f64().to_string()),
        ];
        let url = format!("{}/api/v1/query_range", self.0);
        let mut answer = agent().post(&url).send_form(form).context("ask Prometheus")?;
        let text =
            answer.body_mut().with_config().limit(256 << 20).read_to_string().context("read Prometheus' answer")?;
        let data = self.data(&text)?;
        Ok(data["result"].as_array().map_or(0, Vec::len))
    }

    /// What went wrong with rules, by the rule's name.
    pub(crate) fn unhealthy_rules(&self) -> Result<Vec<String>> {
        let data = self.data(&get(&format!("{}/api/v1/rules", self.0))?)?;
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let bad = rules.filter(|rule| rule["health"] != "ok");
        Ok(bad.map(|rule| format!("rule {}: {} {}", rule["name"], rule["health"], rule["lastError"])).collect())
    }

    fn data(&self, text: &str) -> Result<Value> {
        let answer: Value = serde_json::from_str(text).with_context(|| format!("Prometheus answered {text:.200}"))?;
        if answer["status"] != "success" {
            bail!("{}", answer["error"].as_str().unwrap_or(text));
        }
        Ok(answer["data"].clone())
    }
}

/// An Alertmanager that serves here.
pub(super) struct Alertmanager(pub(super) String);

impl Alertmanager {
    /// Whether it is ready.
    pub(super) fn is_ready(&self) -> bool {
        get(&format!("{}/-/ready", self.0)).is_ok_and(|text| text.contains("OK"))
    }

    /// The alerts that it has. It forgets one that is resolved.
    pub(super) fn received(&self) -> Result<Vec<Arrived>> {
        let text = get(&format!("{}/api/v2/alerts", self.0))?;
        serde_json::from_str(&text).with_context(|| format!("Alertmanager answered {text:.200}"))
    }
}
