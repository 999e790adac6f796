//! Two scrapes and what lies between them: counters and histograms summed over subjects. Knows the text format (through
//! prometheus-parse) and the catalogue's page, and none of the families by name but that of the hooks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use prometheus_parse::Value;

use crate::catalogue::Catalogue;

/// Tells which hooks are attached.
const ATTACHED: &str = "mmscope_probe_attached";

/// Label names and values.
pub(super) type Labels = BTreeMap<String, String>;

/// One scrape: each series with its value.
pub(super) struct Scrape {
    numbers: BTreeMap<(String, Labels), f64>,
    /// Bounds and what was counted up to each.
    buckets: BTreeMap<(String, Labels), Vec<(f64, f64)>>,
}

impl Scrape {
    /// Of the text format.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let samples = prometheus_parse::Scrape::parse(lines).context("read a scrape")?.samples;
        let mut scrape = Self { numbers: BTreeMap::new(), buckets: BTreeMap::new() };
        for sample in samples {
            let labels = sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let series = (sample.metric, labels);
            match sample.value {
                Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
                    scrape.numbers.insert(series, value);
                }
                Value::Histogram(counts) => {
                    let mut counts: Vec<(f64, f64)> =
                        counts.iter().map(|bucket| (bucket.less_than, bucket.count)).collect();
                    counts.sort_by(|one, other| one.0.total_cmp(&other.0));
                    scrape.buckets.insert(series, counts);
                }
                Value::Summary(_) => {}
            }
        }
        Ok(scrape)
    }

    fn attached(&self) -> BTreeSet<String> {
        let hooks = self.numbers.iter().filter(|((family, _), value)| family == ATTACHED && **value != 0.0);
        hooks.filter_map(|((_, labels), _)| labels.get("probe").cloned()).collect()
    }
}

/// A histogram's part between two scrapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    /// Bounds, and the events up to each.
    pub(super) buckets: Vec<(f64, f64)>,
    /// Events.
    pub(super) count: f64,
    /// Exact.
    pub(super) sum: f64,
}

impl Histogram {
    /// The bound of the bucket with the event that 99 of 100 do not exceed.
    pub(super) fn p99(&self) -> f64 {
        let found = self.buckets.iter().find(|(_, count)| *count >= 0.99 * self.count);
        found.map_or(f64::INFINITY, |(bound, _)| *bound)
    }

    /// Events above a bucket's bound; none if no bucket has this bound.
    pub(super) fn above(&self, bound: f64) -> Option<f64> {
        let (_, count) = self.buckets.iter().find(|(known, _)| *known == bound)?;
        Some(self.count - count)
    }

    fn add_buckets(&mut self, buckets: &[(f64, f64)]) {
        for &(bound, count) in buckets {
            match self.buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => self.buckets.push((bound, count)),
            }
        }
    }
}

/// Sums by the values of some labels.
pub(super) type By<T> = BTreeMap<Vec<String>, T>;

/// What was counted between two scrapes.
pub(super) struct Difference {
    scrape: Scrape,
    measured: BTreeSet<String>,
}

impl Difference {
    /// Series that the first scrape does not have began at zero.
    pub(super) fn new(before: &Scrape, after: &Scrape, catalogue: &Catalogue) -> Self {
        let numbers = after
            .numbers
            .iter()
            .map(|(series, value)| (series.clone(), value - before.numbers.get(series).unwrap_or(&0.0)));
        let buckets = after.buckets.iter().map(|(series, counts)| {
            let earlier = before.buckets.get(series);
            let earlier = |bound: f64| {
                let found = earlier.and_then(|counts| counts.iter().find(|(known, _)| *known == bound));
                found.map_or(0.0, |(_, count)| *count)
            };
            (series.clone(), counts.iter().map(|&(bound, count)| (bound, count - earlier(bound))).collect())
        });
        let scrape = Scrape { numbers: numbers.collect(), buckets: buckets.collect() };
        // A family without series is not in a scrape: what could have been measured is zero.
        let attached = after.attached();
        let could = catalogue.measured_with(&attached).map(str::to_owned);
        let told = after.numbers.keys().chain(after.buckets.keys()).map(|(family, _)| family.clone());
        let measured = could.chain(told).collect();
        Self { scrape, measured }
    }

    /// Whether zero means that there was none.
    pub(super) fn is_measured(&self, family: &str) -> bool {
        self.measured.contains(family)
    }

    /// Whether the second scrape has such a series, whatever its value.
    pub(super) fn has(&self, family: &str, wanted: impl Fn(&Labels) -> bool) -> bool {
        self.scrape.numbers.keys().any(|(name, labels)| name == family && wanted(labels))
    }

    /// A counter, over the series that are wanted, by the values of labels; what stayed zero is left out.
    pub(super) fn numbers(&self, family: &str, wanted: impl Fn(&Labels) -> bool, by: &[&str]) -> By<f64> {
        let mut sums = By::new();
        for ((_, labels), value) in self.scrape.numbers.iter().filter(|((name, _), _)| name == family) {
            if wanted(labels) && *value != 0.0 {
                *sums.entry(values(labels, by)).or_default() += value;
            }
        }
        sums
    }

    /// A histogram, likewise.
    pub(super) fn histograms(&self, family: &str, wanted: impl Fn(&Labels) -> bool, by: &[&str]) -> By<Histogram> {
        let mut sums: By<Histogram> = By::new();
        for (key, count) in self.numbers(&format!("{family}_count"), &wanted, by) {
            sums.entry(key).or_default().count = count;
        }
        for (key, sum) in self.numbers(&format!("{family}_sum"), &wanted, by) {
            sums.entry(key).or_default().sum = sum;
        }
        for ((_, labels), buckets) in self.scrape.buckets.iter().filter(|((name, _), _)| name == family) {
            if wanted(labels)
                && let Some(histogram) = sums.get_mut(&values(labels, by))
            {
                histogram.add_buckets(buckets);
            }
        }
        sums
    }
}

fn values(labels: &Labels, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| labels.get(*name).cloned().unwrap_or_default()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Catalogue, Difference, Scrape};

    const PAGE: &str = "\
| family | type | unit | labels | series at most | needs the hooks | meaning |
|---|---|---|---|---|---|---|
| mmscope_faults_total | counter | count | comm | S | fault + fault:exit or stand_in | Faults |
| mmscope_other_total | counter | count | comm | S | other | Others |
";

    /// The difference of two scrapes given as text.
    pub(in crate::findings) fn difference(before: &str, after: &str) -> Difference {
        let parse = |text: &str| Scrape::parse(text).unwrap_or_else(|error| panic!("{error}"));
        Difference::new(&parse(before), &parse(after), &Catalogue::parse(PAGE).unwrap())
    }

    #[test]
    fn what_could_be_measured_is_zero_and_what_is_absent_is_not() {
        let attached = "# TYPE mmscope_probe_attached gauge\n\
            mmscope_probe_attached{probe=\"fault\",tier=\"F\",reason=\"\"} 1\n\
            mmscope_probe_attached{probe=\"other\",tier=\"\",reason=\"no such function\"} 0\n";
        let found = difference("", attached);
        assert!(!found.is_measured("mmscope_faults_total"));
        let stands_in = format!("{attached}mmscope_probe_attached{{probe=\"stand_in\",tier=\"K\",reason=\"\"}} 1\n");
        let found = difference("", &stands_in);
        assert!(found.is_measured("mmscope_faults_total"));
        assert!(!found.is_measured("mmscope_other_total"));
        assert!(!found.is_measured("mmscope_of_the_future_total"));
    }

    #[test]
    fn histograms_are_summed_over_subjects_and_what_was_before_is_left_out() {
        let text = |one: u32, two: u32| {
            format!(
                "# TYPE h_seconds histogram\n\
                h_seconds_bucket{{comm=\"a\",cgroup=\"/x\",mode=\"read\",le=\"1\"}} {one}\n\
                h_seconds_bucket{{comm=\"a\",cgroup=\"/x\",mode=\"read\",le=\"2\"}} {two}\n\
                h_seconds_bucket{{comm=\"a\",cgroup=\"/x\",mode=\"read\",le=\"+Inf\"}} {two}\n\
                h_seconds_sum{{comm=\"a\",cgroup=\"/x\",mode=\"read\"}} {two}\n\
                h_seconds_count{{comm=\"a\",cgroup=\"/x\",mode=\"read\"}} {two}\n\
                h_seconds_bucket{{comm=\"a\",cgroup=\"/y\",mode=\"read\",le=\"1\"}} {one}\n\
                h_seconds_bucket{{comm=\"a\",cgroup=\"/y\",mode=\"read\",le=\"+Inf\"}} {one}\n\
                h_seconds_sum{{comm=\"a\",cgroup=\"/y\",mode=\"read\"}} {one}\n\
                h_seconds_count{{comm=\"a\",cgroup=\"/y\",mode=\"read\"}} {one}\n"
            )
        };
        let found = difference(&text(1, 1), &text(101, 103)).histograms("h_seconds", |_| true, &["mode"]);
        let read = &found[&vec!["read".to_owned()]];
        assert_eq!((read.count, read.sum, read.above(1.0), read.above(1.5)), (202.0, 202.0, Some(2.0), None));
        assert_eq!(read.p99(), 1.0);
    }
}
