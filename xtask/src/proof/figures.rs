//! What the daemon tells of its sinks in its metrics, and an Alertmanager of what it received.

use anyhow::{Context, Result};
use prometheus_parse::{Sample, Scrape, Value};

/// A scrape.
pub(super) struct Figures(Vec<Sample>);

impl Figures {
    /// Of a text.
    pub(super) fn of(text: &str) -> Result<Self> {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        Ok(Self(Scrape::parse(lines).context("read a scrape")?.samples))
    }

    /// All series of a family that have a label, summed.
    fn sum(&self, family: &str, label: &str, value: &str) -> f64 {
        let found = self.0.iter().filter(|sample| sample.metric == family && sample.labels.get(label) == Some(value));
        found.map(|sample| number(&sample.value)).fold(0.0, |sum, value| sum + value)
    }

    /// Alerts that wait for a sink's receiver.
    pub(super) fn waiting(&self, sink: &str) -> f64 {
        self.sum("mmscope_notification_queue_length", "sink", sink)
    }

    pub(super) fn failures(&self, sink: &str) -> f64 {
        self.sum("mmscope_notification_failures_total", "sink", sink)
    }

    pub(super) fn dropped(&self, sink: &str) -> f64 {
        self.sum("mmscope_notifications_dropped_total", "sink", sink)
    }

    pub(super) fn suppressed(&self, sink: &str) -> f64 {
        self.sum("mmscope_notifications_suppressed_total", "sink", sink)
    }

    /// When the daemon was started.
    pub(super) fn started(&self) -> Option<f64> {
        let found = self.0.iter().find(|sample| sample.metric == "process_start_time_seconds");
        found.map(|sample| number(&sample.value))
    }

    /// Alerts that an Alertmanager has been told of as over.
    pub(super) fn resolved(&self) -> f64 {
        self.sum("alertmanager_alerts_received_total", "status", "resolved")
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => *value,
        Value::Histogram(_) | Value::Summary(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn series_of_a_sink_are_summed() {
        let text = "# TYPE mmscope_notification_failures_total counter\n\
                    mmscope_notification_failures_total{sink=\"a\",reason=\"connect\"} 3\n\
                    mmscope_notification_failures_total{sink=\"a\",reason=\"tls\"} 4\n\
                    mmscope_notification_failures_total{sink=\"b\",reason=\"tls\"} 5\n\
                    # TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 7\n";
        let figures = Figures::of(text).unwrap();
        assert_eq!((figures.failures("a"), figures.dropped("a"), figures.started()), (7.0, 0.0, Some(7.0)));
    }
}
