//! The metric families as docs/metrics.md has them. A test of the daemon holds that page to its catalogue; to depend on
//! the daemon's crate instead would bring aya and the BPF object into the build of the tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// A metric family.
pub(crate) struct Family {
    /// Type.
    pub(crate) kind: Kind,
    /// Label names.
    pub(crate) labels: Vec<String>,
    /// Sets of hooks: with all of any one set it can be measured. None: always.
    needs: Vec<Vec<String>>,
    /// Its help text.
    pub(crate) help: String,
}

impl Family {
    /// Whether there are kernels on which it is absent.
    pub(crate) fn needs_hooks(&self) -> bool {
        !self.needs.is_empty()
    }

    /// Whether it needs hooks, and these are enough.
    fn has_its_hooks(&self, attached: &BTreeSet<String>) -> bool {
        self.needs.iter().any(|set| set.iter().all(|hook| attached.contains(hook)))
    }
}

/// All families by name.
pub(crate) struct Catalogue(BTreeMap<String, Family>);

impl Catalogue {
    /// Of this checkout's docs/metrics.md.
    pub(crate) fn read() -> Result<Self> {
        let page = paths::root().join("docs/metrics.md");
        let text = fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))?;
        Self::parse(&text).with_context(|| format!("read {}", page.display()))
    }

    /// Of the page's text: the rows of its table with seven columns.
    pub(crate) fn parse(page: &str) -> Result<Self> {
        let mut families = BTreeMap::new();
        for line in page.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, name, kind, _, labels, _, needs, help, _] = cells[..] else { continue };
            let kind = match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                "histogram" => Kind::Histogram,
                // The table's head.
                _ => continue,
            };
            let labels = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
            let set = |set: &str| set.split(" + ").map(str::to_owned).collect();
            let needs = needs.split(" or ").filter(|set| !set.is_empty()).map(set).collect();
            let family = Family { kind, labels, needs, help: help.to_owned() };
            families.insert(name.to_owned(), family);
        }
        if families.is_empty() {
            bail!("no table of metric families");
        }
        Ok(Self(families))
    }

    /// Names of all families.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names of the families that need hooks and are measured with these.
    pub(crate) fn measured_with(&self, attached: &BTreeSet<String>) -> impl Iterator<Item = &str> {
        let measured = self.0.iter().filter(|(_, family)| family.has_its_hooks(attached));
        measured.map(|(name, _)| name.as_str())
    }

    /// The family of a query's metric, with its name: a histogram's metrics are its buckets, sum and count.
    pub(crate) fn of_metric(&self, metric: &str) -> Option<(&str, &Family)> {
        let found = |name: &str| self.0.get_key_value(name).map(|(name, family)| (name.as_str(), family));
        if let Some((name, family)) = found(metric) {
            return (family.kind != Kind::Histogram).then_some((name, family));
        }
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| metric.strip_suffix(suffix))?;
        found(name).filter(|(_, family)| family.kind == Kind::Histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::{Catalogue, Kind};

    const PAGE: &str = "| family | type | unit | labels | series at most | needs the hooks | meaning |\n\
        |---|---|---|---|---|---|---|\n\
        | m_seconds | histogram | seconds | comm, mode | 2 S | down_read + up_read | How long |\n\
        | m_total | counter | count |  | 1 |  | How many |\n\n\
        | reason | meaning |\n|---|---|\n| full | No room |\n";

    #[test]
    fn the_table_of_families_is_read_and_no_other() {
        let catalogue = Catalogue::parse(PAGE).unwrap();
        assert_eq!(catalogue.0.len(), 2);
        let (_, seconds) = catalogue.of_metric("m_seconds_bucket").unwrap();
        assert_eq!((seconds.kind, seconds.needs_hooks()), (Kind::Histogram, true));
        assert_eq!(seconds.labels, ["comm", "mode"]);
        assert_eq!(seconds.help, "How long");
        let (_, total) = catalogue.of_metric("m_total").unwrap();
        assert!(total.labels.is_empty() && !total.needs_hooks());
    }

    #[test]
    fn a_histogram_has_three_metrics_and_not_its_own_name() {
        let catalogue = Catalogue::parse(PAGE).unwrap();
        assert!(catalogue.of_metric("m_seconds_sum").is_some() && catalogue.of_metric("m_seconds_count").is_some());
        assert!(catalogue.of_metric("m_seconds").is_none());
        assert!(catalogue.of_metric("m_total_bucket").is_none() && catalogue.of_metric("m").is_none());
    }

    #[test]
    fn a_page_without_families_is_no_catalogue() {
        assert!(Catalogue::parse("# Metrics\n").is_err());
    }
}
