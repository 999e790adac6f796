//! Expositions of any sights with any names: by our own strict reader, and by parsers that are not ours.

use std::{collections::BTreeSet, sync::Arc};

use openmetrics_parser::{openmetrics::parse_openmetrics, prometheus::parse_prometheus};
use proptest::{collection::vec, prelude::*};

use super::{Format, Scrape, fuzzing};
use crate::{
    config::Config,
    identity::{Subject, printable},
    model::Snapshot,
    recording::{header, strategies},
    scope::Scope,
};

/// A command of any bytes, and a cgroup of any characters, with those that formats give a meaning more often.
fn name() -> impl Strategy<Value = (Vec<u8>, String)> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\\\"\n\r{}#=, \0\xff".to_vec())];
    (vec(byte, 0..16), prop_oneof!["\\PC{0,40}", "[\\\\\"\n\r\t{}#=, /a\u{2028}\u{feff}]{0,12}"])
}

fn snapshots() -> impl Strategy<Value = Arc<Snapshot>> {
    (vec(strategies::sight(), 1..3), vec(name(), 1..5)).prop_map(|(sights, names)| {
        let mut scope = Scope::new(&Config::default(), header().host);
        let mut names = names.into_iter().cycle();
        let mut snapshot = Snapshot::default();
        for mut sight in sights {
            let subjects = sight.mms.iter_mut().map(|mm| &mut mm.subject);
            for subject in subjects.chain(sight.records.iter_mut().map(|(subject, _)| subject)) {
                if let Some((comm, cgroup)) = names.next() {
                    *subject = Subject { comm: printable(&comm), cgroup };
                }
            }
            snapshot = scope.see(&sight).snapshot;
        }
        Arc::new(snapshot)
    })
}

/// That parser has it that only counters and gauges have units, which OpenMetrics does not say.
fn without_units(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("# UNIT ")).flat_map(|line| [line, "\n"]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_is_well_formed_and_all_say_the_same(snapshot in snapshots()) {
        let series = fuzzing::check(&snapshot);
        // Whom it tells of are all that have something, by their names; none where the hooks of it are absent.
        let label = |name: &str, value: &String| (name.to_owned(), value.clone());
        let counted = snapshot.subjects.iter().filter(|(_, counts)| counts.flush_pages != 0);
        let wanted: BTreeSet<_> =
            counted.map(|(subject, _)| vec![label("comm", &subject.comm), label("cgroup", &subject.cgroup)]).collect();
        let told: BTreeSet<_> =
            series.into_keys().filter(|(name, _)| name == "mmscope_tlb_flush_pages_total").map(|(_, labels)| labels).collect();
        prop_assert!(told == wanted || told.is_empty(), "{:?} of {:?}", told, wanted);
    }

    #[test]
    fn other_parsers_read_both_text_formats(snapshot in snapshots()) {
        // That parser takes a carriage return for the end of a line, which neither format does.
        let text = |format| Scrape::new(snapshot.clone(), format).text().replace('\r', " ");
        let open_metrics = parse_openmetrics(&without_units(&text(Format::OpenMetrics)));
        prop_assert!(open_metrics.is_ok(), "{:?}", open_metrics.err());
        let prometheus = parse_prometheus(&text(Format::Prometheus));
        prop_assert!(prometheus.is_ok(), "{:?}", prometheus.err());
    }
}
