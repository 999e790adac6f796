//! One panel: what it asks, in what unit, and what its values lead to. Knows nothing of where it stands.

use serde_json::{Map, Value, json};

use super::style::Kind;
use super::variables::{datasource, expand};

/// A panel under construction.
pub(super) struct Panel {
    /// Its title.
    pub(super) title: &'static str,
    /// What to look for in it; the catalogue's help texts follow.
    pub(super) note: &'static str,
    /// In the grid's columns.
    pub(super) width: u64,
    /// In the grid's rows of 30 pixels.
    pub(super) height: u64,
    kind: Kind,
    unit: &'static str,
    queries: Vec<Query>,
    defaults: Map<String, Value>,
    overrides: Vec<Value>,
    transformations: Vec<Value>,
    /// Columns of a table that stay away.
    hidden: Vec<&'static str>,
    sort: Option<&'static str>,
    content: &'static str,
}

struct Query {
    expr: String,
    /// The name of each series; of a table's column, its title.
    legend: &'static str,
}

impl Panel {
    /// With nothing to ask yet.
    pub(super) fn new(kind: Kind, title: &'static str, note: &'static str) -> Self {
        let (width, height) = match kind {
            Kind::Stat => (4, 4),
            Kind::Table | Kind::Matrix => (24, 9),
            Kind::Text => (24, 4),
            _ => (8, 8),
        };
        Self {
            title,
            note,
            width,
            height,
            kind,
            unit: "none",
            queries: Vec::new(),
            defaults: Map::new(),
            overrides: Vec::new(),
            transformations: Vec::new(),
            hidden: Vec::new(),
            sort: None,
            content: "",
        }
    }

    /// Words in Markdown.
    pub(super) fn text(title: &'static str, note: &'static str, content: &'static str) -> Self {
        Self { content, ..Self::new(Kind::Text, title, note) }
    }

    /// A histogram's increase over time; `selector` without `_bucket`.
    pub(super) fn heatmap(title: &'static str, note: &'static str, family: &str, matchers: &str) -> Self {
        let query = format!("sum by (le) (increase({family}_bucket{{{matchers}}}[@rate]))");
        Self::new(Kind::Heatmap, title, note).ask(&query, "{{le}}").unit("s")
    }

    /// One more query; `legend` names its series.
    pub(super) fn ask(mut self, query: &str, legend: &'static str) -> Self {
        self.queries.push(Query { expr: expand(query), legend });
        self
    }

    /// A table's column with a unit of its own.
    pub(super) fn column(self, title: &'static str, unit: &'static str, query: &str) -> Self {
        self.ask(query, title).property(title, "unit", &unit.into())
    }

    /// A column that stays away.
    pub(super) fn hide(mut self, column: &'static str) -> Self {
        self.hidden.push(column);
        self
    }

    /// The column that a table's rows are sorted by, largest first.
    pub(super) fn sort(mut self, column: &'static str) -> Self {
        self.sort = Some(column);
        self
    }

    /// The unit of its values, by Grafana's name.
    pub(super) fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Its place.
    pub(super) fn size(mut self, width: u64, height: u64) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    /// What it says where there is nothing to show.
    pub(super) fn empty(self, text: &'static str) -> Self {
        self.default("noValue", text.into())
    }

    /// From what value on it has which colour; green below.
    pub(super) fn steps(self, steps: &[(f64, &str)]) -> Self {
        let mut all = vec![json!({ "color": "green", "value": null })];
        all.extend(steps.iter().map(|(value, colour)| json!({ "color": colour, "value": value })));
        self.default("thresholds", json!({ "mode": "absolute", "steps": all }))
    }

    /// The ends of its scale.
    pub(super) fn scale(self, min: f64, max: f64) -> Self {
        self.default("min", min.into()).default("max", max.into())
    }

    /// Words and colours in place of values.
    pub(super) fn names(self, names: &[(&str, &str, &str)]) -> Self {
        let result = |(index, (value, text, colour)): (usize, &(&str, &str, &str))| {
            ((*value).to_owned(), json!({ "text": text, "color": colour, "index": index }))
        };
        let options: Map<String, Value> = names.iter().enumerate().map(result).collect();
        self.default("mappings", json!([{ "type": "value", "options": options }]))
    }

    /// Where a click on a value leads.
    pub(super) fn links(self, links: &[Value]) -> Self {
        self.default("links", links.into())
    }

    /// Where a click on a cell of one column leads.
    pub(super) fn links_of(self, column: &str, links: &[Value]) -> Self {
        self.property(column, "links", &links.into())
    }

    /// Colours a column's cells by the steps.
    pub(super) fn coloured(self, column: &str, steps: &[(f64, &str)]) -> Self {
        let mut all = vec![json!({ "color": "transparent", "value": null })];
        all.extend(steps.iter().map(|(value, colour)| json!({ "color": colour, "value": value })));
        self.property(column, "thresholds", &json!({ "mode": "absolute", "steps": all })).property(
            column,
            "custom.cellOptions",
            &json!({ "type": "color-background", "mode": "basic" }),
        )
    }

    /// Leaves a column's cells without colour.
    pub(super) fn uncoloured(self, column: &str) -> Self {
        self.property(column, "custom.cellOptions", &json!({ "type": "auto" }))
    }

    /// Words and colours in place of one column's values.
    pub(super) fn names_of(self, column: &str, names: &[(&str, &str, &str)]) -> Self {
        let named = Self::new(self.kind, "", "").names(names);
        self.property(column, "mappings", &named.defaults["mappings"]).property(
            column,
            "custom.cellOptions",
            &json!({ "type": "color-text" }),
        )
    }

    /// The width of a column, in pixels.
    pub(super) fn wide(self, column: &str, pixels: u64) -> Self {
        self.property(column, "custom.width", &pixels.into())
    }

    /// Rows by one label and columns by another, of the one query.
    pub(super) fn matrix(mut self, row: &str, column: &str) -> Self {
        self.transformations.push(json!({
            "id": "groupingToMatrix",
            "options": { "rowField": row, "columnField": column, "valueField": "Value" }
        }));
        self
    }

    /// Its queries as Grafana gets them.
    pub(super) fn queries(&self) -> impl Iterator<Item = String> + '_ {
        self.queries.iter().map(|query| query.expr.clone())
    }

    /// As Grafana's JSON, without id, place and description.
    pub(super) fn render(&self) -> Value {
        let mut options = self.kind.options(self.unit);
        if self.kind == Kind::Text {
            options["content"] = self.content.into();
        }
        if let Some(column) = self.sort {
            options["sortBy"] = json!([{ "displayName": column, "desc": true }]);
        }
        let mut panel = json!({
            "type": self.kind.plugin(), "title": self.title, "datasource": datasource(), "options": options,
            "fieldConfig": { "defaults": self.field_defaults(), "overrides": self.overrides },
        });
        if self.kind != Kind::Text {
            panel["targets"] = self.targets().into();
        }
        let transformations = self.all_transformations();
        if !transformations.is_empty() {
            panel["transformations"] = transformations.into();
        }
        panel
    }

    fn field_defaults(&self) -> Value {
        let mut defaults = json!({ "unit": self.unit, "color": { "mode": self.kind.colour() } });
        if let Some(custom) = self.kind.custom() {
            defaults["custom"] = custom;
        }
        for (name, value) in &self.defaults {
            defaults[name] = value.clone();
        }
        defaults
    }

    fn targets(&self) -> Vec<Value> {
        let names = ('A'..='Z').map(String::from);
        let instant = self.kind.is_instant();
        let target = |(name, query): (String, &Query)| {
            let legend = if self.kind == Kind::Table { "" } else { query.legend };
            json!({
                "refId": name, "datasource": datasource(), "expr": query.expr, "legendFormat": legend,
                "instant": instant, "range": !instant, "format": self.kind.format(), "editorMode": "code"
            })
        };
        names.zip(&self.queries).map(target).collect()
    }

    /// A table is what its queries have in common, with the columns named by them.
    fn all_transformations(&self) -> Vec<Value> {
        let mut all = self.transformations.clone();
        if self.kind != Kind::Table {
            return all;
        }
        // Of a single query Grafana leaves the letter out.
        let name = |letter: char| if self.queries.len() == 1 { "Value".to_owned() } else { format!("Value #{letter}") };
        let (mut renamed, mut hidden) = (Map::new(), Map::from_iter([("Time".to_owned(), true.into())]));
        for (letter, query) in ('A'..='Z').zip(&self.queries) {
            if self.hidden.contains(&query.legend) {
                hidden.insert(name(letter), true.into());
            } else {
                renamed.insert(name(letter), query.legend.into());
            }
        }
        all.push(json!({ "id": "merge", "options": {} }));
        all.push(json!({
            "id": "organize", "options": { "excludeByName": hidden, "indexByName": {}, "renameByName": renamed }
        }));
        all
    }

    fn default(mut self, name: &str, value: Value) -> Self {
        self.defaults.insert(name.to_owned(), value);
        self
    }

    /// A property of the fields of one name.
    fn property(mut self, field: &str, id: &str, value: &Value) -> Self {
        let property = json!({ "id": id, "value": value });
        let same = |known: &&mut Value| known["matcher"]["options"] == field;
        if let Some(properties) =
            self.overrides.iter_mut().find(same).and_then(|known| known["properties"].as_array_mut())
        {
            properties.push(property);
        } else {
            self.overrides.push(json!({ "matcher": { "id": "byName", "options": field }, "properties": [property] }));
        }
        self
    }
}
