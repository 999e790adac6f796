//! How each kind of panel looks: the options of Grafana's panels, the same all over. Knows no content.

use serde_json::{Value, json};

/// A kind of panel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines over time.
    Lines,
    /// Areas on top of each other: parts of a whole.
    Areas,
    /// Bars on top of each other: events in each interval.
    Bars,
    /// One number.
    Stat,
    /// Numbers as bars beside each other.
    Gauges,
    /// A histogram over time.
    Heatmap,
    /// Rows and columns.
    Table,
    /// Rows by columns, coloured by value.
    Matrix,
    /// States over time.
    Timeline,
    /// Words.
    Text,
}

impl Kind {
    /// Grafana's name of the panel.
    pub(super) fn plugin(self) -> &'static str {
        match self {
            Self::Lines | Self::Areas | Self::Bars => "timeseries",
            Self::Stat => "stat",
            Self::Gauges => "bargauge",
            Self::Heatmap => "heatmap",
            Self::Table | Self::Matrix => "table",
            Self::Timeline => "state-timeline",
            Self::Text => "text",
        }
    }

    /// Whether its queries ask for one moment, not for all of the time range.
    pub(super) fn is_instant(self) -> bool {
        matches!(self, Self::Table | Self::Matrix | Self::Gauges)
    }

    /// The form of a query's result.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::Table | Self::Matrix => "table",
            Self::Heatmap => "heatmap",
            _ => "time_series",
        }
    }

    /// Options of the panel; `unit` is a histogram's.
    pub(super) fn options(self, unit: &str) -> Value {
        match self {
            Self::Lines | Self::Areas | Self::Bars => json!({ "legend": legend(), "tooltip": tooltip() }),
            Self::Stat => json!({
                "graphMode": "area", "colorMode": "value", "justifyMode": "auto", "textMode": "auto", "wideLayout": true,
                "showPercentChange": false, "percentChangeColorMode": "standard", "orientation": "auto",
                "reduceOptions": last()
            }),
            Self::Gauges => json!({
                "displayMode": "basic", "valueMode": "color", "namePlacement": "auto", "showUnfilled": true, "sizing": "auto",
                "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300, "orientation": "horizontal",
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
                "reduceOptions": last()
            }),
            Self::Heatmap => json!({
                "calculate": false, "cellGap": 1, "showValue": "never", "legend": { "show": true },
                "color": { "mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential",
                    "exponent": 0.5, "steps": 64, "reverse": false },
                "yAxis": { "unit": unit, "axisPlacement": "left" }, "rowsFrame": { "layout": "auto" },
                // A bucket that counted nothing is no colour.
                "filterValues": { "le": 1e-9 }, "tooltip": { "mode": "single", "yHistogram": true, "showColorScale": false },
                "exemplars": { "color": "rgba(255,0,255,0.7)" }
            }),
            Self::Table | Self::Matrix => json!({ "frameIndex": 0, "showHeader": true, "cellHeight": "sm" }),
            Self::Timeline => json!({
                "showValue": "auto", "rowHeight": 0.9, "mergeValues": true, "alignValue": "left", "legend": legend(),
                "tooltip": tooltip()
            }),
            Self::Text => json!({ "mode": "markdown", "content": "" }),
        }
    }

    /// Field options that only this panel has.
    pub(super) fn custom(self) -> Option<Value> {
        match self {
            Self::Lines => Some(json!({ "drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "showPoints": "auto" })),
            Self::Areas => Some(json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40, "showPoints": "never",
                "stacking": { "mode": "normal", "group": "A" }
            })),
            Self::Bars => Some(json!({
                "drawStyle": "bars", "lineWidth": 1, "fillOpacity": 80, "showPoints": "never",
                "stacking": { "mode": "normal", "group": "A" }
            })),
            Self::Heatmap => Some(json!({ "scaleDistribution": { "type": "linear" } })),
            Self::Table => Some(json!({ "align": "auto", "inspect": false, "filterable": true })),
            Self::Matrix => Some(json!({
                "align": "auto", "inspect": false, "cellOptions": { "type": "color-background", "mode": "basic" }
            })),
            Self::Timeline => Some(json!({ "lineWidth": 0, "fillOpacity": 70 })),
            Self::Stat | Self::Gauges | Self::Text => None,
        }
    }

    /// How a field gets its colour.
    pub(super) fn colour(self) -> &'static str {
        match self {
            Self::Lines | Self::Areas | Self::Bars | Self::Heatmap => "palette-classic",
            Self::Matrix => "continuous-YlRd",
            Self::Stat | Self::Gauges | Self::Table | Self::Timeline | Self::Text => "thresholds",
        }
    }
}

fn legend() -> Value {
    json!({ "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] })
}

fn tooltip() -> Value {
    json!({ "mode": "multi", "sort": "desc" })
}

fn last() -> Value {
    json!({ "calcs": ["lastNotNull"], "values": false, "fields": "" })
}
