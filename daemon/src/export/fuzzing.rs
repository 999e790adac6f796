//! What holds for the exposition of any snapshot: each format can be read by its rules, and all say the same.

use std::sync::Arc;

use super::{
    Format, Scrape, protobuf,
    strict::{self, Series},
};
use crate::model::Snapshot;

/// The series that all formats tell.
///
/// # Panics
///
/// Where a format is not well formed, or they differ.
pub(crate) fn check(snapshot: &Arc<Snapshot>) -> Series {
    let bytes = |format| -> Vec<u8> { Scrape::new(snapshot.clone(), format).flatten().collect() };
    let text = |format| String::from_utf8(bytes(format)).unwrap_or_else(|error| panic!("{format:?}: {error}"));
    let prometheus = comparable(strict::read(&text(Format::Prometheus), false).unwrap_or_else(|why| panic!("{why}")));
    let open_metrics = comparable(strict::read(&text(Format::OpenMetrics), true).unwrap_or_else(|why| panic!("{why}")));
    let protobuf = comparable(protobuf::strict::read(&bytes(Format::Protobuf)).unwrap_or_else(|why| panic!("{why}")));
    assert_same(&prometheus, &open_metrics);
    assert_same(&prometheus, &protobuf);
    prometheus
}

/// With bounds of buckets spelt in one way.
fn comparable(series: Series) -> Series {
    let spelt = |(name, value): (String, String)| {
        let bound = value.replace("+Inf", "inf").parse::<f64>().ok().filter(|_| name == "le");
        (name, bound.map_or(value, |bound| format!("{bound:e}")))
    };
    series.into_iter().map(|((name, labels), value)| ((name, labels.into_iter().map(spelt).collect()), value)).collect()
}

fn assert_same(one: &Series, other: &Series) {
    for (key, value) in one {
        // Protobuf's gauges are floats, of which text has at most a signed number.
        let is_same =
            other.get(key).is_some_and(|found| found == value || (*value >= 2_f64.powi(63) && found >= value));
        assert!(is_same, "{key:?}: {value} here, {:?} there", other.get(key));
    }
    let extra = other.keys().find(|key| !one.contains_key(*key));
    assert!(extra.is_none(), "{extra:?} is told in one format only");
}
