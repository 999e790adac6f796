//! What hosts showed, kept from run to run: a run of one renews its row.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::guest::Run;
use super::kinds::Host;
use crate::paths;

const FILE: &str = "docs/hosts/results.json";

/// Own counts beside the kernel's.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Exactness {
    pub(super) events: i64,
    /// Own minus the kernel's.
    pub(super) difference: i64,
    /// What the kernel skipped, and said so.
    pub(super) missed: i64,
    /// Whether nothing else was missing.
    pub(super) is_exact: bool,
}

/// What one host showed.
#[derive(Serialize, Deserialize)]
pub(super) struct Shown {
    /// The kernel's release.
    pub(super) kernel: String,
    /// Whether every check went well.
    pub(super) is_good: bool,
    /// By check.
    pub(super) checks: BTreeMap<String, Value>,
    /// Of a run with --exact, the last one.
    pub(super) exactness: Option<Exactness>,
}

/// By host.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Results(pub(super) BTreeMap<String, Shown>);

impl Results {
    pub(super) fn read() -> Result<Self> {
        let path = paths::root().join(FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
    }

    pub(super) fn write(&self) -> Result<()> {
        let path = paths::root().join(FILE);
        let text = serde_json::to_string_pretty(self).context("write JSON")?;
        fs::write(&path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// What a host showed now; the exactness of the last run that had it stays.
    pub(super) fn take(&mut self, host: &Host, run: &Run) {
        let named = run.told.iter().filter_map(|told| Some((told["check"].as_str()?.to_owned(), told.clone())));
        let mut checks: BTreeMap<String, Value> = named.collect();
        // That is a page of its own.
        if let Some(Value::Object(doctor)) = checks.get_mut("doctor") {
            doctor.remove("text");
        }
        let exactness = self.0.get(host.name).and_then(|shown| shown.exactness.clone());
        let shown = Shown { kernel: run.release.clone(), is_good: run.problem().is_none(), checks, exactness };
        self.0.insert(host.name.to_owned(), shown);
    }

    pub(super) fn take_exactness(&mut self, host: &Host, exactness: Exactness) {
        if let Some(shown) = self.0.get_mut(host.name) {
            shown.exactness = Some(exactness);
        }
    }
}
