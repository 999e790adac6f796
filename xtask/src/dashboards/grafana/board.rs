//! A dashboard: its sections of panels, set into Grafana's grid, and what is around them. Knows no panel's content.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::promql;
use super::panel::Panel;
use super::variables;
use crate::catalogue::Catalogue;

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// Version of the dashboards' schema that this is written in; a newer Grafana migrates from it.
const SCHEMA_VERSION: u64 = 41;

/// What an empty panel says of a family that there are kernels without.
const NOT_MEASURED: &str = "not measured on this kernel or nothing yet";

/// A dashboard.
pub(super) struct Board {
    /// Its address, and its file's name.
    pub(super) uid: &'static str,
    /// Title, after "mmscope / ".
    pub(super) title: &'static str,
    /// What it answers.
    pub(super) description: &'static str,
    /// Whether command and cgroup are chosen here.
    pub(super) subjects: bool,
    /// Whether anything links to the documentation.
    pub(super) docs: bool,
    /// Headings, with the panels below.
    pub(super) sections: Vec<(&'static str, Vec<Panel>)>,
}

/// Where the next panel goes.
#[derive(Default)]
struct Place {
    x: u64,
    y: u64,
    /// Of what stands in this line already.
    height: u64,
}

impl Board {
    /// As Grafana's JSON. Help texts are the catalogue's.
    pub(super) fn render(&self, catalogue: &Catalogue) -> Result<Value> {
        let mut panels = Vec::new();
        let mut place = Place::default();
        for (heading, section) in &self.sections {
            place.new_line();
            panels.push(
                json!({ "type": "row", "title": heading, "collapsed": false, "panels": [], "id": panels.len() + 1,
                "gridPos": place.take(COLUMNS, 1) }),
            );
            for panel in section {
                let mut value = panel.render();
                let about = About::of(panel, catalogue).with_context(|| format!("panel {}", panel.title))?;
                value["description"] = about.describe(panel.note).into();
                if about.may_be_absent && value["fieldConfig"]["defaults"].get("noValue").is_none() {
                    value["fieldConfig"]["defaults"]["noValue"] = NOT_MEASURED.into();
                }
                value["id"] = (panels.len() + 1).into();
                value["gridPos"] = place.take(panel.width, panel.height);
                panels.push(value);
            }
        }
        Ok(json!({
            "uid": self.uid, "title": format!("mmscope / {}", self.title), "description": self.description,
            "tags": ["mmscope"], "schemaVersion": SCHEMA_VERSION, "editable": false, "graphTooltip": 1,
            "time": { "from": "now-1h", "to": "now" }, "refresh": "30s", "timezone": "browser", "timepicker": {},
            "templating": { "list": variables::variables(self.subjects, self.docs) },
            "annotations": { "list": [variables::annotations(self.subjects)] },
            "links": variables::top_links(), "panels": panels,
        }))
    }
}

impl Place {
    fn new_line(&mut self) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
    }

    fn take(&mut self, width: u64, height: u64) -> Value {
        if self.x + width > COLUMNS {
            self.new_line();
        }
        let position = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.x += width;
        self.height = self.height.max(height);
        position
    }
}

/// What the catalogue says of a panel's families.
struct About {
    help: Vec<String>,
    may_be_absent: bool,
}

impl About {
    fn of(panel: &Panel, catalogue: &Catalogue) -> Result<Self> {
        let mut about = Self { help: Vec::new(), may_be_absent: false };
        let mut seen = BTreeSet::new();
        for query in panel.queries() {
            for selector in promql::parse(&query)?.selectors {
                // What the catalogue does not have, the linter tells.
                let Some((name, family)) = catalogue.of_metric(selector.name.as_deref().unwrap_or_default()) else {
                    continue;
                };
                about.may_be_absent |= family.needs_hooks();
                // That one is in a query to tell mmscope's processes from others.
                if name != "mmscope_build_info" && seen.insert(name.to_owned()) {
                    about.help.push(format!("`{name}`: {}.", family.help));
                }
            }
        }
        Ok(about)
    }

    fn describe(&self, note: &str) -> String {
        let mut parts = vec![note.to_owned()];
        parts.extend(self.help.iter().cloned());
        parts.join("\n\n")
    }
}
